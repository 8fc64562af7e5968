// From results to the report: groups trials by setting, takes means and intervals over seeds, gathers anchors and run
// facts. Comparisons and verdicts are next door.

import { spentSeconds } from '../budget.js';
import { HEADLINE_SNR_DB, nearestIndex } from '../cross-decoding.js';
import { hyperparameterOf, isTaught, isTeacherDial } from '../dials.js';
import { HYPERPARAMETER_NAMES } from '../fields.js';
import { canonicalJson } from '../identity.js';
import { countMacs, parameterBytes, studentArchitecture } from '../parameters.js';
import type {
  CorpusRecord,
  CrossDecoding,
  Hyperparameters,
  StoredFile,
  SweepRecord,
  TeacherRecord,
  TrialResult,
  TrialRole,
  TrialSpec,
  TrialSummary,
} from '../records.js';
import { type Estimate, estimate, mean } from '../statistics/index.js';
import { DISTILL_PARTS } from '../terms.js';
import { compareSettings } from './comparisons.js';
import { crossSectionOf } from './cross-section.js';
import { findingsOf } from './findings.js';
import { importancesOf } from './importances.js';
import {
  type CurveName,
  type EstimateCurve,
  type FileHash,
  type PerCurve,
  type Report,
  type ReportSetting,
  type ReportTrial,
} from './report.js';
import { SentenceResamples } from './sentence-resamples.js';
import { anchorsOf, curvesOf } from './trial-curves.js';
import { verdictsOf } from './verdict.js';

export interface SweepResult {
  spec: TrialSpec;
  result: TrialResult;
}

interface CompletedTrial {
  spec: TrialSpec;
  result: TrialResult;
  summary: TrialSummary;
  curves: PerCurve<number[]>;
}

type Name = keyof Hyperparameters;

/** The report of a sweep from the results there are; trials without one are listed as missing. */
export function buildReport(
  sweep: SweepRecord,
  teacher: TeacherRecord,
  corpus: CorpusRecord,
  results: readonly SweepResult[],
  joined?: CrossDecoding | { failure: string },
): Report {
  const order = new Map(sweep.trials.map(({ trialId }, index) => [trialId, index]));
  const roles = new Map(sweep.trials.map(({ trialId, role }) => [trialId, role]));
  const ordered = results
    .filter(({ result }) => order.has(result.trialId))
    .sort((a, b) => (order.get(a.result.trialId) ?? 0) - (order.get(b.result.trialId) ?? 0));
  const { varied, fixed } = variedOf(ordered.map(({ spec }) => spec.hyperparameters));
  const axis = varied.includes('temperature') ? 'temperature' : (varied[0] ?? null);
  const evaluation = ordered[0]?.spec.evaluation ?? { snrDb: [], sentences: 0 };
  const headline = nearestIndex(evaluation.snrDb, HEADLINE_SNR_DB);
  const completed = ordered.flatMap(asCompleted);
  const groups = groupBySetting(completed);
  const anchors = anchorsOf(completed.map(({ summary }) => summary.evaluation));
  const resamples = new SentenceResamples(groups.flat().map(({ summary }) => summary.evaluation.sentenceValues));
  const tokens = corpus.statistics?.tokensPerSentence.mean ?? corpus.tokens.test / corpus.sentences.test;
  const context = { varied, axis, headline, roles, anchors, resamples, teacher, tokens };
  let before = 0;
  const settings = groups.map((group) => {
    before += group.length;
    return settingOf(group, { ...context, firstTrial: before - group.length });
  });
  const trials = groups.flatMap((group, setting) => group.map((trial) => reportTrialOf(trial, setting, headline)));
  const pruned = ordered.flatMap(({ spec, result }) => prunedOf(spec, result, varied));
  const prunedSettings = new Set(
    ordered.filter(({ result }) => result.status === 'pruned').map(({ spec }) => settingKey(spec.hyperparameters)),
  );
  const isPartlyPruned = groups.map(([first]) => first && prunedSettings.has(settingKey(first.spec.hyperparameters)));
  const failures = ordered.flatMap(({ spec, result }) => failureOf(spec, result, varied));
  const known = new Set(ordered.map(({ result }) => result.trialId));
  const missing = sweep.trials.map(({ trialId }) => trialId).filter((trialId) => !known.has(trialId));
  const { comparisons, trends, isPairTestingOmitted } = compareSettings(settings, trials, axis, resamples);
  const headlineSnrDb = evaluation.snrDb[headline] ?? HEADLINE_SNR_DB;
  return {
    format: 2,
    name: sweep.name,
    kind: sweep.kind,
    teacher: {
      teacherId: teacher.teacherId,
      name: teacher.name,
      architecture: teacher.architecture,
      parameters: teacher.parameters,
      bytes: parameterBytes(teacher.parameters),
      macsPerSentence: Math.round(countMacs(teacher.architecture, tokens)),
    },
    corpus: {
      corpusId: corpus.corpusId,
      name: corpus.name,
      vocabularySize: corpus.vocabularySize,
      sentences: corpus.sentences,
    },
    evaluation,
    headlineSnrDb,
    seeds: [...new Set(ordered.map(({ spec }) => spec.hyperparameters.seed))].sort((a, b) => a - b),
    varied,
    axis,
    fixed,
    counts: {
      trials: sweep.trials.length,
      completed: completed.length,
      failed: failures.length,
      pruned: pruned.length,
      missing: missing.length,
    },
    settings,
    trials,
    anchors,
    comparisons,
    trends,
    isPairTestingOmitted,
    verdicts: verdictsOf({ settings, comparisons, trends, axis, isPairTestingOmitted }),
    crossDecoding: crossSectionOf(joined, { settings, trials }),
    importances: importancesOf(varied, settings, trials),
    findings: findingsOf({
      joined,
      isPartlyPruned,
      settings,
      trials,
      comparisons,
      anchors,
      headlineSnrDb,
      snrDb: evaluation.snrDb,
    }),
    failures,
    pruned,
    missing,
    warnings: sweep.warnings,
    reproduction: {
      command: 'npx semdistill sweep request.json',
      request: { ...(sweep.request as object), teacher: sweep.teacherId, corpus: sweep.corpusId },
    },
    hashes: { teacher: hashesOf(teacher.files), corpus: hashesOf(corpus.files) },
    run: runOf(
      sweep,
      completed,
      groups,
      spentSeconds(
        sweep,
        ordered.map(({ result }) => result),
      ),
    ),
  };
}

const SHORT_NAMES: Partial<Record<Name, string>> = {
  temperature: 'T',
  distillWeight: 'weight',
  studentLayers: 'layers',
  studentDModel: 'width',
  studentDff: 'dff',
  labelSmoothing: 'smoothing',
  finalWeight: 'end',
  hardWeight: 'hard',
  featureWeight: 'features',
  featureTaps: 'taps',
  featureKind: 'matching',
  batchSize: 'batch',
  sentencesPerEpoch: 'sentences',
  learningRate: 'lr',
  weightDecay: 'decay',
};

/** A hyperparameter as a label: 'T=4', 'layers=2'; a choice by its value alone: 'rayleigh'. */
export function labelOf(name: Name, value: unknown): string {
  if (typeof value === 'string')
    return name === 'init' || name === 'featureTaps' ? `${SHORT_NAMES[name] ?? name}=${value}` : value;
  const shown = Array.isArray(value) ? value.join('..') : value === undefined ? 'default' : String(value);
  return `${SHORT_NAMES[name] ?? name}=${shown}`;
}

function asCompleted({ spec, result }: SweepResult): CompletedTrial[] {
  if (result.status !== 'completed' || !result.summary) return [];
  return [{ spec, result, summary: result.summary, curves: curvesOf(result.summary.evaluation) }];
}

/** What differs between distilled settings; baselines always differ in what the teacher says, which says nothing. */
function variedOf(all: Hyperparameters[]): { varied: Name[]; fixed: Partial<Hyperparameters> } {
  const distilled = all.filter(isTaught);
  const compared = distilled.length > 0 ? distilled : all;
  const isVariedIn = (some: Hyperparameters[], name: Name) =>
    new Set(some.map((h) => canonicalJson(hyperparameterOf(h, name) ?? null))).size > 1;
  const parts = DISTILL_PARTS.map((part) => compared.filter((h) => h.distillPart === part));
  // Freezing and hybrids follow from the part that learns; they vary only where one part has both.
  const isVaried = (name: Name) =>
    name === 'freezeKeptSide' || name === 'createHybrid'
      ? parts.some((some) => isVariedIn(some, name))
      : isVariedIn(compared, name);
  const names = HYPERPARAMETER_NAMES.filter((name) => name !== 'seed');
  const varied = names.filter(isVaried);
  const shared = names.filter((name) => !isVariedIn(compared, name) && compared[0]?.[name] !== undefined);
  return { varied, fixed: Object.fromEntries(shared.map((name) => [name, compared[0]?.[name]])) };
}

function groupBySetting(completed: CompletedTrial[]): CompletedTrial[][] {
  const groups = new Map<string, CompletedTrial[]>();
  for (const trial of completed) {
    const key = settingKey(trial.spec.hyperparameters);
    const group = groups.get(key);
    if (group) group.push(trial);
    else groups.set(key, [trial]);
  }
  const all = [...groups.values()];
  // Distilled settings by what varies, baselines last: a reference put in by the planner stands where its value belongs.
  return all.sort((a, b) => compareHyperparameters(a[0]?.spec.hyperparameters, b[0]?.spec.hyperparameters));
}

/** What trials of one setting have in common. */
function settingKey({ seed: _seed, ...setting }: Hyperparameters): string {
  return canonicalJson(setting);
}

function compareHyperparameters(a?: Hyperparameters, b?: Hyperparameters): number {
  const isBaseline = (h?: Hyperparameters) => (h && !isTaught(h) ? 1 : 0);
  if (isBaseline(a) !== isBaseline(b)) return isBaseline(a) - isBaseline(b);
  for (const name of HYPERPARAMETER_NAMES) {
    const [left, right] = [a, b].map((h) => h && hyperparameterOf(h, name));
    if (typeof left === 'number' && typeof right === 'number' && left !== right) return left - right;
  }
  return 0;
}

interface SettingContext {
  varied: Name[];
  axis: Name | null;
  headline: number;
  roles: Map<string, TrialRole>;
  anchors: Report['anchors'];
  resamples: SentenceResamples;
  teacher: TeacherRecord;
  /** mean tokens of a sentence */
  tokens: number;
  /** Where the group's first trial stands among all. */
  firstTrial: number;
}

function settingOf(group: CompletedTrial[], context: SettingContext): ReportSetting {
  const { varied, axis, headline, roles, resamples } = context;
  const first = group[0] as CompletedTrial;
  const hyperparameters = first.spec.hyperparameters;
  const isBaseline = !isTaught(hyperparameters);
  const told = varied.filter((name) => !isBaseline || !isTeacherDial(name));
  const labels = told.map((name) => labelOf(name, hyperparameterOf(hyperparameters, name)));
  const others = told
    .filter((name) => name !== axis)
    .map((name) => labelOf(name, hyperparameterOf(hyperparameters, name)));
  const per = <Value>(make: (values: number[][]) => Value): PerCurve<Value> => {
    const made: PerCurve<Value> = {};
    for (const name of Object.keys(first.curves) as CurveName[]) {
      const curves = group.map((trial) => trial.curves[name]);
      if (curves.every((curve) => curve !== undefined)) made[name] = make(curves);
    }
    return made;
  };
  const meanOverSnr = per((curves) => estimate(curves.map(mean)));
  const places = group.map((_, index) => context.firstTrial + index);
  const [jsd, bleu1] = [resamples.interval('jsd', places), resamples.interval('bleu1', places)];
  const { student: parameters } = first.summary.parameters;
  return {
    label:
      (isBaseline ? ['no teacher', ...labels] : labels).join(', ') ||
      labelOf('temperature', hyperparameters.temperature),
    kind: isBaseline ? 'baseline' : 'distilled',
    role: roles.get(first.result.trialId) ?? 'requested',
    values: Object.fromEntries(told.map((name) => [name, hyperparameterOf(hyperparameters, name)])),
    series: others.join(', '),
    seeds: group.map((trial) => trial.spec.hyperparameters.seed),
    trialIds: group.map((trial) => trial.result.trialId),
    validationLoss: estimate(group.map((trial) => trial.summary.bestLoss)),
    finalLoss: estimate(group.map((trial) => trial.summary.finalLoss)),
    curves: per(estimateCurve),
    atHeadline: per((curves) => estimate(curves.map((curve) => curve[headline] ?? Number.NaN))),
    meanOverSnr,
    ...(jsd && bleu1 ? { crossed: { jsd, bleu1 } } : {}),
    gapShare: gapShareOf(meanOverSnr.jsd, context.anchors),
    learning: learningOf(group),
    parameters,
    compressionRatio: first.summary.compressionRatio,
    compressionRatioCore: first.summary.compressionRatioCore,
    bytes: parameterBytes(parameters),
    macsPerSentence: Math.round(
      countMacs(studentArchitecture(context.teacher.architecture, hyperparameters), context.tokens),
    ),
  };
}

/** gap / ceiling, means over SNR; null where there is no ceiling. */
function gapShareOf(gap: Estimate | undefined, anchors: Report['anchors']): number | null {
  const ceiling = anchors?.ceiling.jsd;
  return gap && ceiling && mean(ceiling) > 0 ? gap.mean / mean(ceiling) : null;
}

function learningOf(group: CompletedTrial[]): ReportSetting['learning'] {
  const last = Math.max(...group.map(({ summary }) => summary.epochs.length));
  return Array.from({ length: last }, (_, index) => {
    const losses = group.flatMap(({ summary }) => summary.epochs[index]?.validationLoss ?? []);
    return { epoch: index + 1, ...estimate(losses) };
  });
}

function estimateCurve(curves: number[][]): EstimateCurve {
  const estimates = (curves[0] ?? []).map((_, index) => estimate(curves.map((curve) => curve[index] ?? Number.NaN)));
  const every = (pick: (value: Estimate) => number | null): number[] | null => {
    const values = estimates.map(pick);
    return values.every((value) => value !== null) ? values : null;
  };
  return {
    n: curves.length,
    mean: estimates.map((value) => value.mean),
    sd: every((value) => value.sd),
    low: every((value) => value.low),
    high: every((value) => value.high),
  };
}

function reportTrialOf(trial: CompletedTrial, setting: number, headline: number): ReportTrial {
  const { summary, curves } = trial;
  const per = (pick: (curve: number[]) => number): PerCurve<number> =>
    Object.fromEntries(Object.entries(curves).map(([name, curve]) => [name, pick(curve)]));
  return {
    trialId: trial.result.trialId,
    setting,
    seed: trial.spec.hyperparameters.seed,
    validationLoss: summary.bestLoss,
    bestEpoch: summary.bestEpoch,
    finalLoss: summary.finalLoss,
    atHeadline: per((curve) => curve[headline] ?? Number.NaN),
    meanOverSnr: per(mean),
  };
}

/** The setting of a trial that is in no group. */
function labelIn(varied: Name[], hyperparameters: Hyperparameters): string {
  const isBaseline = !isTaught(hyperparameters);
  const told = varied.filter((name) => !isBaseline || !isTeacherDial(name));
  const labels = told.map((name) => labelOf(name, hyperparameterOf(hyperparameters, name)));
  return (isBaseline ? ['no teacher', ...labels] : labels).join(', ');
}

function prunedOf({ hyperparameters }: TrialSpec, { trialId, pruned }: TrialResult, varied: Name[]): Report['pruned'] {
  if (!pruned) return [];
  const { cause, reason, epochs, bestLoss, decision } = pruned;
  return [
    {
      trialId,
      label: labelIn(varied, hyperparameters),
      seed: hyperparameters.seed,
      reason,
      cause,
      ...(epochs ? { epochs: epochs.length } : {}),
      ...(bestLoss === undefined ? {} : { validationLoss: bestLoss }),
      ...(decision ? { value: decision.value } : {}),
    },
  ];
}

function failureOf({ hyperparameters }: TrialSpec, result: TrialResult, varied: Name[]): Report['failures'] {
  if (result.status !== 'failed') return [];
  const { reason = 'no reason was recorded', step } = result.failure ?? {};
  return [
    {
      trialId: result.trialId,
      label: labelIn(varied, hyperparameters),
      seed: hyperparameters.seed,
      reason,
      ...(step === undefined ? {} : { step }),
    },
  ];
}

function runOf(
  sweep: SweepRecord,
  completed: CompletedTrial[],
  groups: CompletedTrial[][],
  deviceSeconds: number,
): Report['run'] {
  const tokensPerSecond = ({ epochs }: TrialSummary) =>
    mean(epochs.length > 0 ? epochs.map((e) => e.tokensPerSecond) : [0]);
  const numerics = new Map(completed.map(({ summary }) => [canonicalJson(summary.numerics), summary.numerics]));
  return {
    sweepId: sweep.sweepId,
    owner: sweep.owner,
    createdAt: sweep.createdAt,
    numerics: [...numerics.keys()].sort().flatMap((key) => numerics.get(key) ?? []),
    trials: completed.map(({ result, summary }) => ({
      trialId: result.trialId,
      worker: result.worker,
      startedAt: result.startedAt,
      finishedAt: result.finishedAt,
      trainingSeconds: summary.trainingSeconds,
      evaluationSeconds: summary.evaluationSeconds,
      tokensPerSecond: tokensPerSecond(summary),
      files: hashesOf(
        result.artifacts.filter(({ name }) => name.endsWith('.safetensors') || name === 'evaluation.json'),
      ),
    })),
    speed: groups.map((group) => ({
      trainingSeconds: estimate(group.map(({ summary }) => summary.trainingSeconds)),
      evaluationSeconds: estimate(group.map(({ summary }) => summary.evaluationSeconds)),
      tokensPerSecond: estimate(group.map(({ summary }) => tokensPerSecond(summary))),
      latencyMs: medianOf(group.flatMap(({ summary }) => summary.latency?.student.medianMs ?? [])),
    })),
    teacherLatencyMs: medianOf(completed.flatMap(({ summary }) => summary.latency?.teacher.medianMs ?? [])),
    cost: { expected: sweep.estimate ?? null, deviceSeconds },
  };
}

function hashesOf(files: StoredFile[]): FileHash[] {
  return files.map(({ name, sha256 }) => ({ name, sha256 }));
}

function medianOf(values: number[]): number | null {
  return values.length === 0 ? null : ([...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? null);
}
