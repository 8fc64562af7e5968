// From a parsed request to the trials it asks for, and from trials to bundles. Pure functions of request, teacher and
// corpus: the same request plans the same trials in the same order on every machine.
import { dialFaults, dropIdleDials, hasComposedLoss, hasSoftTerm, matchedTaps, WITHOUT_TEACHER } from './dials.js';
import type { Fault } from './errors.js';
import { HYPERPARAMETER_FIELDS, HYPERPARAMETER_NAMES, MAX_TRIALS } from './fields.js';
import { canonicalJson, trialIdOf } from './identity.js';
import {
  type CorpusRecord,
  type EvaluationSettings,
  type Hyperparameters,
  NUMERICS_VERSION,
  type SweepTrial,
  type TeacherRecord,
  type TrialSpec,
} from './records.js';
import { completeHyperparameters, HyperparametersRequest, type SweepRequest, widthFaults } from './requests.js';
import { drawSettings } from './space.js';
import { refuse } from './validation.js';

export interface PlannedTrial extends SweepTrial {
  spec: TrialSpec;
}

/**
 * The trials of a sweep in a fixed order: asked-for settings (grid in the order of the field table, the draws, or the list), seeds
 * innermost, then references at T = 1, then baselines at weight 0. A baseline (reference) is added for each setting that
 * differs in more than temperature and weight, so that it always has the same budget as what it is compared with. Trials
 * that come out equal are planned once. Throws InvalidRequest when teacher or corpus do not fit the request.
 */
export function planTrials(request: SweepRequest, teacher: TeacherRecord, corpus: CorpusRecord): PlannedTrial[] {
  refuse(matchFaults(teacher, corpus));
  const settings = settingsOf(request);
  refuse(settings.flatMap(({ hyperparameters, path }) => shapeFaults(hyperparameters, teacher, path)));
  const planned = new Map<string, PlannedTrial>();
  const add = (role: SweepTrial['role'], wanted: Setting[]) => {
    for (const { hyperparameters, seeds } of distinctSettings(wanted, teacher, corpus)) {
      for (const seed of seeds) {
        const spec: TrialSpec = {
          numericsVersion: NUMERICS_VERSION,
          teacherId: teacher.teacherId,
          corpusId: corpus.corpusId,
          hyperparameters: { ...hyperparameters, seed },
          evaluation: evaluationFor(request.evaluation, corpus),
        };
        const trialId = trialIdOf(spec);
        if (!planned.has(trialId)) planned.set(trialId, { trialId, role, spec });
      }
    }
  };
  const changed = (change: Partial<Hyperparameters>, from = settings): Setting[] =>
    from.map((setting) => ({ ...setting, hyperparameters: { ...setting.hyperparameters, ...change } }));
  add('requested', settings);
  if (request.reference) {
    const taught = settings.filter(({ hyperparameters }) => hasSoftTerm(hyperparameters));
    add('reference', changed({ temperature: 1 }, taught));
  }
  if (request.baseline) add('baseline', changed(WITHOUT_TEACHER));
  if (planned.size > MAX_TRIALS) {
    const message = `makes ${planned.size} trials with baseline and reference; at most ${MAX_TRIALS} fit one sweep`;
    refuse([{ path: '', message }]);
  }
  return [...planned.values()];
}

/**
 * Packs trials into bundles of at most `trialsPerBundle`: only trials that differ in nothing but temperature, weights,
 * loss, learning rate and weight decay share one; those whose loss the engine's operation does not know, and those whose hidden
 * states are matched, are by themselves. Their tensors have equal shapes, and their seed gives all of them the same batches under
 * the same noise, so the teacher runs once for all (docs/decisions/0002). Sizes are balanced (5 trials at 4 make 3 + 2), order is kept.
 *
 * Bundles deliberately do not depend on how many workers are idle or on what is already done: training several students
 * side by side changes the order of floating-point sums, so a trial's bits may depend on its bundle. As a function of
 * the request alone, two runs of one sweep give equal bytes on equal devices.
 */
export function planBundles(trials: readonly PlannedTrial[], trialsPerBundle: number): string[][] {
  const groups = new Map<string, string[]>();
  for (const { trialId, spec } of trials) {
    const key = bundleKeyOf(spec);
    const group = groups.get(key);
    if (group) group.push(trialId);
    else groups.set(key, [trialId]);
  }
  return [...groups.values()].flatMap((trialIds) => splitEvenly(trialIds, trialsPerBundle));
}

/**
 * Hyperparameters with every field that cannot matter set to one value, so that equal trainings are one trial: without a
 * teacher, and for a distance that knows none, the temperature (to 1); with part full the kept side; on an ideal channel the
 * training SNR; sizes equal to the teacher's, epochs over all sentences and dials that are as usual are left absent.
 */
export function normalise(given: Hyperparameters, teacher: TeacherRecord, corpus: CorpusRecord): Hyperparameters {
  const normal: Hyperparameters = { ...given, trainSnrDb: [...given.trainSnrDb] };
  if (!hasSoftTerm(normal) || normal.distillLoss === 'mse') normal.temperature = 1;
  if (normal.distillPart === 'full') normal.freezeKeptSide = false;
  if (normal.channel === 'ideal') normal.trainSnrDb = [...HYPERPARAMETER_FIELDS.trainSnrDb.default];
  if (normal.studentDModel === teacher.architecture.dModel) delete normal.studentDModel;
  if (normal.studentDff === teacher.architecture.dff) delete normal.studentDff;
  if ((normal.sentencesPerEpoch ?? 0) >= corpus.sentences.train) delete normal.sentencesPerEpoch;
  dropIdleDials(normal, corpus);
  return normal;
}

interface Setting {
  path: string;
  hyperparameters: Hyperparameters;
  seeds: number[];
}

function settingsOf(request: SweepRequest): Setting[] {
  if (request.search === 'random') {
    const draws = drawSettings(request.space ?? {}, request.trials as number, request.searchSeed ?? 0);
    return draws.map((drawn) => ({
      // The draws themselves are no fault of the user's; what they cannot be joined with is.
      path: '',
      hyperparameters: completeHyperparameters(overlay(request.base, drawn)),
      seeds: request.seeds,
    }));
  }
  if (Array.isArray(request.trials)) {
    return request.trials.map((trial, index) => ({
      path: `trials[${index}]`,
      hyperparameters: completeHyperparameters(overlay(request.base, trial)),
      // A listed trial may name its own seed.
      seeds: trial.seed === undefined ? request.seeds : [trial.seed],
    }));
  }
  let grid: HyperparametersRequest[] = [request.base];
  for (const name of HYPERPARAMETER_NAMES) {
    const values = name === 'seed' ? undefined : request.vary?.[name];
    if (values) grid = grid.flatMap((point) => values.map((value) => overlay(point, { [name]: value })));
  }
  return grid.map((point) => ({ path: '', hyperparameters: completeHyperparameters(point), seeds: request.seeds }));
}

/** Settings normalised, equal ones once (thousands of temperatures share one baseline). */
function distinctSettings(settings: Setting[], teacher: TeacherRecord, corpus: CorpusRecord): Setting[] {
  const distinct = new Map<string, Setting>();
  for (const setting of settings) {
    const hyperparameters = normalise(setting.hyperparameters, teacher, corpus);
    const key = canonicalJson([hyperparameters, setting.seeds]);
    if (!distinct.has(key)) distinct.set(key, { ...setting, hyperparameters });
  }
  return [...distinct.values()];
}

function overlay(base: HyperparametersRequest, over: HyperparametersRequest): HyperparametersRequest {
  const merged = Object.assign(new HyperparametersRequest(), base);
  for (const name of HYPERPARAMETER_NAMES) {
    if (over[name] !== undefined) Object.assign(merged, { [name]: over[name] });
  }
  return merged;
}

function matchFaults(teacher: TeacherRecord, corpus: CorpusRecord): Fault[] {
  const words = teacher.architecture.vocabularySize;
  if (corpus.vocabularySize !== words) {
    const message = `vocabulary mismatch: teacher '${teacher.name}' knows ${words} words, corpus '${corpus.name}' has ${corpus.vocabularySize}; leave 'corpus' out to use the teacher's, or train a teacher on this corpus`;
    return [{ path: 'corpus', message }];
  }
  if (corpus.corpusId !== teacher.corpusId) {
    const message = `vocabulary mismatch: teacher '${teacher.name}' learned on corpus ${teacher.corpusId}, and word numbers mean other words in '${corpus.name}'; leave 'corpus' out to use the teacher's`;
    return [{ path: 'corpus', message }];
  }
  return [];
}

function shapeFaults(hyperparameters: Hyperparameters, teacher: TeacherRecord, path: string): Fault[] {
  const { dModel, dff, heads } = teacher.architecture;
  const { studentDModel: width = dModel, studentDff: inner = dff, distillPart, init, freezeKeptSide } = hyperparameters;
  const at = (name: string) => (path === '' ? name : `${path}.${name}`);
  const faults = [...widthFaults(width, heads, at('studentDModel')), ...dialFaults(hyperparameters, at)];
  if (width === dModel && inner === dff) return faults;
  const sizes = `width ${width} and feed-forward width ${inner}, the teacher has ${dModel} and ${dff}`;
  if (init === 'teacher') {
    const message = `'teacher' copies the teacher's weights, but the student has ${sizes}; use init 'random' or the teacher's widths`;
    faults.push({ path: at('init'), message });
  }
  if (distillPart !== 'full' && freezeKeptSide) {
    const message = `a frozen kept side is the teacher's own, but the student has ${sizes}; use the teacher's widths, distillPart 'full', or freezeKeptSide false`;
    faults.push({ path: at('freezeKeptSide'), message });
  }
  return faults;
}

function evaluationFor(evaluation: EvaluationSettings, corpus: CorpusRecord): EvaluationSettings {
  const sentences = Math.min(evaluation.sentences, corpus.sentences.test);
  const similarity = evaluation.sentenceSimilarity ? { sentenceSimilarity: true as const } : {};
  return { snrDb: [...evaluation.snrDb], sentences, ...similarity };
}

function bundleKeyOf(spec: TrialSpec): string {
  const h = spec.hyperparameters;
  const { temperature, distillWeight, learningRate, weightDecay, ...others } = h;
  const { distillLoss, labelSmoothing, weightSchedule, finalWeight, hardWeight, featureWeight, ...rest } = others;
  return canonicalJson({
    ...spec,
    hyperparameters: rest,
    isComposed: hasComposedLoss(h),
    isMatched: matchedTaps(h) > 0,
  });
}

function splitEvenly<Item>(items: Item[], most: number): Item[][] {
  const count = Math.ceil(items.length / most);
  const parts: Item[][] = [];
  let start = 0;
  for (let part = 0; part < count; part++) {
    const end = start + Math.ceil((items.length - start) / (count - part));
    parts.push(items.slice(start, end));
    start = end;
  }
  return parts;
}
