// Flags of `sweep`, `distill` and `teacher train` made from the table of request fields, and back: the body a set of
// flags means, and the flag a fault's path means. What a value may be is judged by the parsers of #experiment alone.
import { type Command, Option } from 'commander';
import {
  ANALYSIS_FIELDS,
  EARLY_STOPPING_FIELDS,
  EVALUATION_FIELDS,
  EXTENSION_FIELDS,
  type Fault,
  type Field,
  flagOf,
  HYPERPARAMETER_FIELDS,
  InvalidRequest,
  PLACEMENT_FIELDS,
  SWEEP_FIELDS,
  TEACHER_FIELDS,
  TEACHER_TRAINING_FIELDS,
} from '#experiment';
import type { Texts } from './texts.js';
import { EXIT_WRONG_REQUEST, Trouble } from './trouble.js';

/** Flags as commander hands them over: attribute name -> value as typed. */
export type Flags = Record<string, unknown>;
type Fields = Record<string, Field>;
type Body = Record<string, unknown>;

const SWEEP_FLAG_FIELDS: Fields = {
  name: SWEEP_FIELDS.name,
  search: SWEEP_FIELDS.search,
  trials: SWEEP_FIELDS.trials,
  searchSeed: SWEEP_FIELDS.searchSeed,
  seeds: SWEEP_FIELDS.seeds,
  baseline: SWEEP_FIELDS.baseline,
  reference: SWEEP_FIELDS.reference,
  budget: SWEEP_FIELDS.budget,
  crossDecoding: SWEEP_FIELDS.crossDecoding,
  trialsPerBundle: SWEEP_FIELDS.trialsPerBundle,
  ...PLACEMENT_FIELDS,
};

const { reference: _reference, other: _other, corpus: _corpus, ...ANALYSIS_FLAG_FIELDS } = ANALYSIS_FIELDS;
const TEACHER_TRAINING_FLAG_FIELDS: Fields = {
  ...TEACHER_TRAINING_FIELDS,
  pool: TEACHER_FIELDS.pool,
  requires: TEACHER_FIELDS.requires,
};

/** The hyper-parameters; `varying` allows lists with commas. */
export function addHyperparameterFlags(command: Command, texts: Texts, varying: boolean): void {
  addFlags(command, HYPERPARAMETER_FIELDS, texts, varying);
  addFlags(command, EVALUATION_FIELDS, texts, false);
}

/** How two models are measured. */
export function addAnalysisFlags(command: Command, texts: Texts): void {
  // The same names as of trials, but for the seed, which is of the noise alone.
  const words = (name: string, meaning: string) => texts.fieldMeaning(name === 'seed' ? 'noiseSeed' : name, meaning);
  addFlags(command, ANALYSIS_FLAG_FIELDS, { ...texts, fieldMeaning: words }, false);
}

/** Where and when it runs. */
export function addPlacementFlags(command: Command, texts: Texts): void {
  addFlags(command, PLACEMENT_FIELDS, texts, false);
}

export function addSweepFlags(command: Command, texts: Texts): void {
  addFlags(command, SWEEP_FLAG_FIELDS, texts, false);
  addFlags(command, EARLY_STOPPING_FIELDS, texts, false);
}

/** Further values and seeds; without standard values, for there are none. */
export function addExtensionFlags(command: Command, texts: Texts): void {
  const swept = Object.entries(HYPERPARAMETER_FIELDS as Fields).filter(([name]) => name !== 'seed');
  const { vary: _vary, ...own } = EXTENSION_FIELDS as Fields;
  for (const [name, field] of [...swept, ...Object.entries(own)]) {
    const value = placeholderOf(field, !(name in own));
    command.addOption(new Option(`${flagOf(name, field)} <${value}>`, texts.fieldMeaning(name, field.meaning)));
  }
}

export function addTeacherTrainingFlags(command: Command, texts: Texts): void {
  addFlags(command, TEACHER_TRAINING_FLAG_FIELDS, texts, false);
}

function addFlags(command: Command, fields: Fields, texts: Texts, varying: boolean): void {
  for (const [name, field] of Object.entries(fields)) {
    const flag = flagOf(name, field);
    const meaning = texts.fieldMeaning(name, field.meaning);
    const standard = field.default !== undefined ? shownDefault(field.default) : (field.defaultMeaning ?? '');
    const help = standard === '' ? meaning : `${meaning} ${texts.standardValue(standard)}`;
    if (field.kind === 'boolean') {
      command.addOption(new Option(flag, help));
      command.addOption(new Option(flag.replace(/^--/, '--no-'), texts.opposite(flag)));
    } else {
      command.addOption(new Option(`${flag} <${placeholderOf(field, varying)}>`, help));
    }
  }
}

function shownDefault(value: unknown): string {
  return Array.isArray(value) ? value.join(value.length === 2 ? ':' : ',') : String(value);
}

function placeholderOf(field: Field, varying: boolean): string {
  const one = {
    integer: 'n',
    number: 'x',
    choice: (field.choices ?? []).join('|'),
    range: 'low:high',
    numbers: 'x,x,…',
    seeds: 'n|s,s,…',
    labels: 'label,…',
    settings: 'n',
  };
  const placeholder = one[field.kind as keyof typeof one] ?? field.kind;
  return varying && field.kind !== 'choice' ? `${placeholder},…` : placeholder;
}

function attributeOf(name: string, field: Field): string {
  return new Option(flagOf(name, field)).attributeName();
}

/** What was typed, as the JSON value it stands for; what is no number stays text, and the parser says so. */
function valueOfFlag(field: Field, text: unknown): unknown {
  if (typeof text !== 'string') return text;
  switch (field.kind) {
    case 'integer':
    case 'number':
    case 'settings':
      return numberOr(text);
    case 'range':
      return /^[^:]+:[^:]+$/.test(text) ? text.split(':').map(numberOr) : text;
    case 'numbers':
      return text.split(',').map(numberOr);
    case 'labels':
      return text.split(',').map((label) => label.trim());
    case 'seeds':
      return text.includes(',') ? text.split(',').map(numberOr) : numberOr(text);
    default:
      return text;
  }
}

function numberOr(text: string): number | string {
  const value = Number(text);
  return text.trim() === '' || !Number.isFinite(value) ? text : value;
}

function given(fields: Fields, flags: Flags): [string, Field, unknown][] {
  return Object.entries(fields).flatMap(([name, field]): [string, Field, unknown][] => {
    const typed = flags[attributeOf(name, field)];
    return typed === undefined ? [] : [[name, field, typed]];
  });
}

/** How a flag says what a random search draws from: 'log-uniform:1e-5..1e-2', 'uniform:1..16', 'int:1..4'. */
const DISTRIBUTION = /^(uniform|log-uniform|int):(.*?)\.\.(.*)$/;

function distributionOf(typed: unknown): Body | undefined {
  const [, kind = '', low = '', high = ''] = (typeof typed === 'string' && DISTRIBUTION.exec(typed)) || [];
  if (kind === '') return undefined;
  return { [kind === 'log-uniform' ? 'logUniform' : kind]: [numberOr(low), numberOr(high)] };
}

/**
 * A sweep's body: the file's, with the flags over it; a flag with a list varies its hyper-parameter, and in a random search is
 * what is chosen from.
 */
export function sweepBody(flags: Flags, file: Body = {}): Body {
  const body: Body = { ...file };
  const typedOver = given(HYPERPARAMETER_FIELDS, flags);
  const isDrawn =
    flags.search === 'random' ||
    (flags.search === undefined && (file.search === 'random' || file.space !== undefined)) ||
    typedOver.some(([, , typed]) => distributionOf(typed) !== undefined);
  const base: Body = { ...objectOr(file.base) };
  const vary: Body = { ...objectOr(file.vary) };
  const space: Body = { ...objectOr(file.space) };
  for (const [name, field, typed] of typedOver) {
    for (const part of [base, vary, space]) delete part[name];
    const distribution = distributionOf(typed);
    const values = typeof typed === 'string' ? typed.split(',').map((text) => valueOfFlag(field, text)) : [typed];
    if (distribution) space[name] = distribution;
    else if (values.length > 1) (isDrawn ? space : vary)[name] = values;
    else base[name] = values[0];
  }
  for (const [name, field, typed] of given(SWEEP_FLAG_FIELDS, flags)) body[name] = valueOfFlag(field, typed);
  setOrDrop(body, 'base', base, file.base);
  setOrDrop(body, 'vary', vary, file.vary);
  setOrDrop(body, 'space', space, file.space);
  setOrDrop(body, 'evaluation', evaluationOf(flags, file.evaluation), file.evaluation);
  const stopping = given(EARLY_STOPPING_FIELDS, flags).map(([name, field, typed]) => [name, valueOfFlag(field, typed)]);
  if (stopping.length > 0) body.earlyStopping = { ...objectOr(file.earlyStopping), ...Object.fromEntries(stopping) };
  return body;
}

/** What a sweep is extended by: further values of each hyper-parameter named, further seeds. */
export function extensionBody(flags: Flags): Body {
  const vary: Body = {};
  for (const [name, field, typed] of given(HYPERPARAMETER_FIELDS, flags))
    vary[name] = typeof typed === 'string' ? typed.split(',').map((text) => valueOfFlag(field, text)) : [typed];
  const { vary: _vary, ...own } = EXTENSION_FIELDS as Fields;
  const more = given(own, flags).map(([name, field, typed]) => [name, valueOfFlag(field, typed)] as const);
  return { ...(Object.keys(vary).length > 0 ? { vary } : {}), ...Object.fromEntries(more) };
}

/** One distillation's body. */
export function distillationBody(flags: Flags): Body {
  const body: Body = {};
  for (const [name, field, typed] of given({ ...HYPERPARAMETER_FIELDS, ...PLACEMENT_FIELDS }, flags))
    body[name] = valueOfFlag(field, typed);
  setOrDrop(body, 'evaluation', evaluationOf(flags, undefined), undefined);
  return body;
}

/** The conditions of an analysis. */
export function analysisBody(flags: Flags): Body {
  return Object.fromEntries(
    given(ANALYSIS_FLAG_FIELDS, flags).map(([name, field, typed]) => [name, valueOfFlag(field, typed)]),
  );
}

export function teacherTrainingBody(flags: Flags): Body {
  return Object.fromEntries(
    given(TEACHER_TRAINING_FLAG_FIELDS, flags).map(([name, field, typed]) => [name, valueOfFlag(field, typed)]),
  );
}

function evaluationOf(flags: Flags, file: unknown): Body {
  const evaluation: Body = { ...objectOr(file) };
  for (const [name, field, typed] of given(EVALUATION_FIELDS, flags)) evaluation[name] = valueOfFlag(field, typed);
  return evaluation;
}

/** Sets an object that has something in it; what the file holds in its place and is no object stays, to be judged. */
function setOrDrop(body: Body, name: string, value: Body, original: unknown): void {
  if (original !== undefined && !isObject(original)) return;
  if (Object.keys(value).length > 0) body[name] = value;
  else delete body[name];
}

function objectOr(value: unknown): Body {
  return isObject(value) ? value : {};
}

function isObject(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Runs a parser of #experiment; its faults become one Trouble that speaks of flags. */
export function checked<T>(parse: () => T, texts: Texts, flags: Flags): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof InvalidRequest)) throw error;
    throw new Trouble(
      texts.wrongRequest,
      EXIT_WRONG_REQUEST,
      error.faults.map((fault) => inFlags(fault, flags)),
    );
  }
}

/** The fault with its path told as the flag that was typed, if it was one. */
export function inFlags(fault: Fault, flags: Flags): Fault {
  const match = /^(?:base\.|vary\.|space\.|earlyStopping\.|evaluation\.)?(\w+)(?:\[\d+\])?$/.exec(fault.path);
  const name = match?.[1] ?? '';
  const fields: Fields = {
    ...ANALYSIS_FLAG_FIELDS,
    ...TEACHER_TRAINING_FLAG_FIELDS,
    ...SWEEP_FLAG_FIELDS,
    ...EARLY_STOPPING_FIELDS,
    ...EVALUATION_FIELDS,
    ...HYPERPARAMETER_FIELDS,
  };
  const field = fields[name];
  if (field === undefined || flags[attributeOf(name, field)] === undefined) return fault;
  return { path: flagOf(name, field), message: fault.message };
}
