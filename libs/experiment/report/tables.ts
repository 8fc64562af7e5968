// The tables of a report, as rows of text in one language; Markdown and HTML lay them out.

import { MEASURES } from './measure-names.js';
import { formatEstimate, formatNumber, formatProbability } from './numbers.js';
import {
  BLEU_CURVES,
  type CurveName,
  DECODED_CURVES,
  DIVERGENCE_CURVES,
  HYBRID_CURVES,
  LIKELIHOOD_CURVES,
  type Report,
  type ReportSetting,
  ruleOfThumb,
} from './report.js';
import { type Language, RULES_OF_THUMB, say, settingLabel, type Word } from './texts.js';

const OWN_CURVES = [...DECODED_CURVES, ...LIKELIHOOD_CURVES];

export interface Table {
  caption: string;
  /** The first column is text, the others are numbers unless named in `textColumns`. */
  columns: string[];
  rows: string[][];
  textColumns?: number[];
}

/** Pages stay readable; the CSV holds everything. */
export const MAX_TABLE_ROWS = 200;

/** One row a setting: losses and headline numbers, with the rule of thumb beside in a temperature sweep. */
export function overviewTable(report: Report, language: Language): Table {
  const word = (name: Word) => say(name, language);
  const hasHybrid = report.settings.some((setting) => setting.atHeadline.hybridBleu1);
  const isTemperature = report.axis === 'temperature';
  const at = say('atSnr', language, report.headlineSnrDb);
  const ranks = new Map(report.verdicts.flatMap(({ ranking }) => ranking.map((setting, rank) => [setting, rank + 1])));
  const columns = [
    word('setting'),
    word('seeds'),
    `${MEASURES.jsd[language]}${word('meanOverSnr')}`,
    word('gapRank'),
    ...(isTemperature ? [word('ruleOfThumb')] : []),
    ...BLEU_CURVES.map((name) => `${MEASURES[name][language]} ${at}`),
    ...(hasHybrid ? [`${MEASURES.hybridBleu1[language]} ${at}`] : []),
    MEASURES.validationLoss[language],
  ];
  const rows = report.settings
    .slice(0, MAX_TABLE_ROWS)
    .map((setting, index) => [
      settingLabel(setting.label, language),
      String(setting.seeds.length),
      setting.meanOverSnr.jsd ? formatEstimate(setting.meanOverSnr.jsd) : '–',
      String(ranks.get(index) ?? '–'),
      ...(isTemperature ? [ruleShown(setting, language)] : []),
      ...BLEU_CURVES.map((name) => shownAt(setting, name)),
      ...(hasHybrid ? [shownAt(setting, 'hybridBleu1')] : []),
      formatEstimate(setting.validationLoss),
    ]);
  const anchor = (name: Word, bleu: boolean, jsd: number[] | undefined) => [
    word(name),
    '–',
    jsd ? formatNumber(jsd.reduce((sum, value) => sum + value, 0) / jsd.length) : '–',
    '–',
    ...(isTemperature ? ['–'] : []),
    ...BLEU_CURVES.map((curve) => (bleu ? anchorAt(report, report.anchors?.teacher[curve]) : '–')),
    ...(hasHybrid ? ['–'] : []),
    '–',
  ];
  if (report.anchors) {
    rows.push(anchor('teacher', true, undefined));
    rows.push(anchor('floor', false, report.anchors.floor.jsd));
    rows.push(anchor('ceiling', false, report.anchors.ceiling.jsd));
  }
  const textColumns = isTemperature ? [0, 4] : [0];
  return { caption: word('overview'), columns, rows, textColumns };
}

/** One measure at each SNR, a row a setting, anchors below. */
export function curveTable(report: Report, name: CurveName, language: Language): Table {
  const rows = report.settings.slice(0, MAX_TABLE_ROWS).flatMap((setting) => {
    const curve = setting.curves[name];
    if (!curve) return [];
    const cells = curve.mean.map((mean, index) =>
      formatEstimate({
        n: curve.n,
        mean,
        sd: curve.sd?.[index] ?? null,
        low: curve.low?.[index] ?? null,
        high: curve.high?.[index] ?? null,
      }),
    );
    return [[settingLabel(setting.label, language), ...cells]];
  });
  for (const [word, values] of anchorCurves(report, name)) {
    rows.push([say(word, language), ...values.map(formatNumber)]);
  }
  const columns = [say('setting', language), ...report.evaluation.snrDb.map((snr) => `${snr} dB`)];
  return { caption: MEASURES[name][language], columns, rows };
}

/** All curve tables of a report in reading order. */
export function curveTables(report: Report, language: Language): Table[] {
  const names: CurveName[] = [
    ...DECODED_CURVES,
    ...HYBRID_CURVES,
    'gapBleu1',
    ...LIKELIHOOD_CURVES,
    ...DIVERGENCE_CURVES,
  ];
  return names
    .filter((name) => report.settings.some((setting) => setting.curves[name]))
    .map((name) => curveTable(report, name, language));
}

/** The teacher's own beside what is measured of students and hybrids, floor and ceiling beside distances. */
export function anchorCurves(report: Report, name: CurveName): [Word, number[]][] {
  const { anchors } = report;
  if (!anchors) return [];
  const beside = (word: Word, values: number[] | undefined): [Word, number[]][] => (values ? [[word, values]] : []);
  const own = OWN_CURVES.find((curve) => curve === name || name === `hybridBleu${curve.slice(4)}`);
  if (own) return beside('teacher', anchors.teacher[own]);
  const divergence = DIVERGENCE_CURVES.find((curve) => curve === name);
  if (!divergence) return [];
  return [...beside('floor', anchors.floor[divergence]), ...beside('ceiling', anchors.ceiling[divergence])];
}

/** Parameters, compression and speed. */
export function sizeTable(report: Report, language: Language): Table {
  const word = (name: Word) => say(name, language);
  const columns = [
    word('setting'),
    word('parameters'),
    word('core'),
    word('compression'),
    word('compressionCore'),
    word('megabytes'),
    word('macs'),
    word('latency'),
    word('trainingSeconds'),
    word('evaluationSeconds'),
    word('tokensPerSecond'),
  ];
  const { teacher } = report;
  const size = ({ bytes, macsPerSentence }: { bytes: number; macsPerSentence: number }) => [
    (bytes / 1e6).toFixed(2),
    (macsPerSentence / 1e6).toFixed(1),
  ];
  const latency = (median: number | null | undefined) => (median ? median.toFixed(1) : '–');
  const { total, core } = teacher.parameters;
  const rows = [
    [
      word('teacher'),
      grouped(total),
      grouped(core),
      '1',
      '1',
      ...size(teacher),
      latency(report.run.teacherLatencyMs),
      '–',
      '–',
      '–',
    ],
  ];
  report.settings.slice(0, MAX_TABLE_ROWS).forEach((setting, index) => {
    const speed = report.run.speed[index];
    rows.push([
      settingLabel(setting.label, language),
      grouped(setting.parameters.total),
      grouped(setting.parameters.core),
      `${setting.compressionRatio.toFixed(3)}×`,
      `${setting.compressionRatioCore.toFixed(3)}×`,
      ...size(setting),
      latency(speed?.latencyMs),
      speed ? speed.trainingSeconds.mean.toFixed(1) : '–',
      speed ? speed.evaluationSeconds.mean.toFixed(1) : '–',
      speed ? grouped(Math.round(speed.tokensPerSecond.mean)) : '–',
    ]);
  });
  return { caption: `${word('parameters')}, ${word('compression')}, ${word('run')}`, columns, rows };
}

/** Every paired test made. */
export function testTable(report: Report, language: Language): Table {
  const word = (name: Word) => say(name, language);
  const label = (index: number) => settingLabel(report.settings[index]?.label ?? '', language);
  const rows = report.comparisons
    .slice(0, MAX_TABLE_ROWS)
    .map((test) => [
      MEASURES[test.measure][language],
      `${label(test.a)} – ${label(test.b)}`,
      String(test.n),
      `${formatNumber(test.difference)} (${formatNumber(test.low)} … ${formatNumber(test.high)})`,
      test.hedgesG === null ? '–' : formatNumber(test.hedgesG),
      formatProbability(test.p),
      formatProbability(test.pHolm),
      word(test.isSignificant ? 'yes' : 'no'),
      test.crossed ? `${formatNumber(test.crossed.low)} … ${formatNumber(test.crossed.high)}` : '–',
    ]);
  const columns = [
    word('measure'),
    word('compared'),
    word('seeds'),
    word('difference'),
    word('hedgesG'),
    word('p'),
    word('pHolm'),
    word('significant'),
    word('crossed'),
  ];
  return { caption: word('tests'), columns, rows, textColumns: [0, 1, 7] };
}

/** Every trend tested. */
export function trendTable(report: Report, language: Language): Table {
  const word = (name: Word) => say(name, language);
  const rows = report.trends
    .slice(0, MAX_TABLE_ROWS)
    .map((trend) => [
      MEASURES[trend.measure][language],
      [trend.series, String(report.axis)].filter(Boolean).join(': '),
      String(trend.n),
      `${formatEstimate(trend.slope)} ${word(trend.scale === 'log2' ? 'perDoubling' : 'perUnit')}`,
      word(trend.direction === 'none' ? 'flat' : trend.direction),
      word(trend.isMonotone ? 'yes' : 'no'),
      formatProbability(trend.p),
      formatProbability(trend.pHolm),
      word(trend.isSignificant ? 'yes' : 'no'),
    ]);
  const columns = [
    word('measure'),
    word('along'),
    word('seeds'),
    word('slope'),
    word('direction'),
    word('everyStep'),
    word('p'),
    word('pHolm'),
    word('significant'),
  ];
  return { caption: word('trends'), columns, rows, textColumns: [0, 1, 4, 5, 8] };
}

/** Failed trials with their reasons. */
export function failureTable(report: Report, language: Language): Table {
  const word = (name: Word) => say(name, language);
  const rows = report.failures
    .slice(0, MAX_TABLE_ROWS)
    .map(({ trialId, label, seed, reason, step }) => [
      trialId,
      settingLabel(label, language),
      String(seed),
      step === undefined ? reason : `${reason} (${step})`,
    ]);
  return {
    caption: word('failures'),
    columns: [word('trial'), word('setting'), word('seed'), word('reason')],
    rows,
    textColumns: [0, 1, 3],
  };
}

/** Trials that were given up, with the reasons and what they had. */
export function prunedTable(report: Report, language: Language): Table {
  const word = (name: Word) => say(name, language);
  const rows = report.pruned
    .slice(0, MAX_TABLE_ROWS)
    .map(({ trialId, label, seed, reason, epochs, validationLoss }) => [
      trialId,
      settingLabel(label, language),
      String(seed),
      String(epochs ?? 0),
      validationLoss === undefined ? '–' : formatNumber(validationLoss),
      reason,
    ]);
  return {
    caption: word('pruned'),
    columns: [
      word('trial'),
      word('setting'),
      word('seed'),
      word('epochsDone'),
      MEASURES.validationLoss[language],
      word('reason'),
    ],
    rows,
    textColumns: [0, 1, 5],
  };
}

function shownAt(setting: ReportSetting, name: CurveName): string {
  const value = setting.atHeadline[name];
  return value ? formatEstimate(value) : '–';
}

function anchorAt(report: Report, curve: number[] | undefined): string {
  const value = curve?.[report.evaluation.snrDb.indexOf(report.headlineSnrDb)];
  return value === undefined ? '–' : formatNumber(value);
}

function ruleShown(setting: ReportSetting, language: Language): string {
  const { temperature } = setting.values;
  const rule = temperature === undefined ? null : ruleOfThumb(temperature);
  return rule ? RULES_OF_THUMB[rule][language] : '–';
}

/** 10582762 as '10,582,762', on every machine. */
function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** What the tables leave out, in words; empty when they hold everything. */
export function omissionNote(report: Report, language: Language): string {
  const most = Math.max(
    report.settings.length,
    report.comparisons.length,
    report.failures.length,
    report.pruned.length,
  );
  return most > MAX_TABLE_ROWS ? say('tablesCut', language, MAX_TABLE_ROWS) : '';
}
