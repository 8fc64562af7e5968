// The report as one tidy table for a statistics program: a row for each setting, measure and SNR.

import type { Estimate } from '../statistics/index.js';
import { type Cell, csvOf } from './csv-cells.js';
import {
  CURVES,
  type CurveName,
  DECODED_CURVES,
  DIVERGENCE_CURVES,
  LIKELIHOOD_CURVES,
  type Report,
  type ReportSetting,
} from './report.js';

/**
 * RFC 4180, LF line ends: setting, kind, the varied hyperparameters, measure, snr_db (empty for losses, 'mean' for the
 * mean over SNRs), n, mean, sd, low, high. Teacher, floor and ceiling are kinds of their own; numbers are unrounded.
 */
export function renderCsv(report: Report): string {
  const header = ['setting', 'kind', ...report.varied, 'measure', 'snr_db', 'n', 'mean', 'sd', 'low', 'high'];
  const rows: Cell[][] = [header];
  for (const setting of report.settings) rows.push(...settingRows(report, setting));
  const blanks: Cell[] = report.varied.map(() => null);
  const anchor = (kind: string, name: string, curve: number[] = []) =>
    curve.forEach((value, index) => {
      const snr = report.evaluation.snrDb[index] ?? null;
      rows.push([kind, kind, ...blanks, name, snr, null, value, null, null, null]);
    });
  if (report.anchors) {
    for (const name of [...DECODED_CURVES, ...LIKELIHOOD_CURVES]) anchor('teacher', name, report.anchors.teacher[name]);
    for (const name of DIVERGENCE_CURVES) anchor('floor', name, report.anchors.floor[name]);
    for (const name of DIVERGENCE_CURVES) anchor('ceiling', name, report.anchors.ceiling[name]);
  }
  return csvOf(rows);
}

/**
 * The same for single trials, a row for each trial and measure: trial_id, setting, seed, measure, snr_db ('mean' over SNRs, the headline
 * SNR, or empty for losses), value.
 */
export function renderTrialsCsv(report: Report): string {
  const rows: Cell[][] = [['trial_id', 'setting', 'seed', 'measure', 'snr_db', 'value']];
  for (const trial of report.trials) {
    const of = [trial.trialId, report.settings[trial.setting]?.label ?? '', trial.seed] satisfies Cell[];
    rows.push([...of, 'validationLoss', null, trial.validationLoss], [...of, 'finalLoss', null, trial.finalLoss]);
    for (const name of CURVES) {
      const [at, over] = [trial.atHeadline[name], trial.meanOverSnr[name]];
      if (at !== undefined) rows.push([...of, name, report.headlineSnrDb, at]);
      if (over !== undefined) rows.push([...of, name, 'mean', over]);
    }
  }
  return csvOf(rows);
}

function settingRows(report: Report, setting: ReportSetting): Cell[][] {
  const values = report.varied.map((name): Cell => {
    const value = setting.values[name];
    return value === undefined ? null : typeof value === 'number' ? value : String(value);
  });
  const row = (measure: string, snr: Cell, { n, mean, sd, low, high }: Estimate): Cell[] => [
    setting.label,
    setting.kind,
    ...values,
    measure,
    snr,
    n,
    mean,
    sd,
    low,
    high,
  ];
  const rows = [
    row('validationLoss', null, setting.validationLoss),
    row('finalLoss', null, setting.finalLoss),
    ...(['compressionRatio', 'compressionRatioCore', 'bytes', 'macsPerSentence'] as const).map((name) =>
      row(name, null, { n: setting.seeds.length, mean: setting[name], sd: null, low: null, high: null }),
    ),
  ];
  for (const name of CURVES) {
    rows.push(...curveRows(report, setting, name).map(([snr, estimate]) => row(name, snr, estimate)));
  }
  return rows;
}

function curveRows(report: Report, setting: ReportSetting, name: CurveName): [Cell, Estimate][] {
  const curve = setting.curves[name];
  const average = setting.meanOverSnr[name];
  if (!curve || !average) return [];
  const at = curve.mean.map((mean, index): [Cell, Estimate] => [
    report.evaluation.snrDb[index] ?? null,
    {
      n: curve.n,
      mean,
      sd: curve.sd?.[index] ?? null,
      low: curve.low?.[index] ?? null,
      high: curve.high?.[index] ?? null,
    },
  ]);
  return [...at, ['mean', average]];
}
