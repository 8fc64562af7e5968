// Which charts a report has, in reading order, each with the table that says the same. How they are drawn is next door.
import { type AxisChart, drawOverAxis } from './axis-charts.js';
import type { Drawing } from './drawing.js';
import { drawImportances, drawParallel } from './hyperparameter-charts.js';
import { drawLearning, drawMatrix, drawPareto, hasSizes } from './model-charts.js';
import { importanceTable, learningTable, matrixTable } from './model-tables.js';
import type { CurveName, Report } from './report.js';
import { drawHeatMap, drawOverSnr, type SnrChart } from './snr-charts.js';
import { curveTable, overviewTable, sizeTable, type Table } from './tables.js';
import type { Language } from './texts.js';

export interface Chart extends Drawing {
  /** File name without ending. */
  name: string;
  /** The same numbers, for those who cannot see the picture. */
  table: Table;
}

/** All charts that the report has numbers for, in reading order. */
export function drawCharts(report: Report, language: Language): Chart[] {
  const { settings } = report;
  if (settings.length === 0) return [];
  const tableOf = (curve: CurveName | 'validationLoss') =>
    curve === 'validationLoss' ? overviewTable(report, language) : curveTable(report, curve, language);
  const overAxis = AXIS_CHARTS.filter((chart) => settings.some(chart.of)).map((chart) => ({
    ...drawOverAxis(report, chart, language),
    name: chart.file,
    table: tableOf(chart.curve),
  }));
  const overSnr = SNR_CHARTS.filter(({ curve }) => settings.some((setting) => setting.curves[curve])).map((chart) => ({
    ...drawOverSnr(report, chart, language),
    name: chart.file,
    table: tableOf(chart.curve),
  }));
  const heatMaps = (settings.length > 1 ? HEAT_MAPS : []).map(({ file, curve }) => ({
    ...drawHeatMap(report, curve, language),
    name: file,
    table: tableOf(curve),
  }));
  return [...overAxis, ...overSnr, ...heatMaps, ...ofModels(report, language)];
}

/** Charts of sizes, learning, pairs and hyperparameters, where there is something to show. */
function ofModels(report: Report, language: Language): Chart[] {
  const charts: Chart[] = [];
  const { crossDecoding, settings } = report;
  if (crossDecoding)
    charts.push({
      ...drawMatrix(report, crossDecoding, language),
      name: 'cross-decoding',
      table: matrixTable(report, crossDecoding, language),
    });
  if (hasSizes(report))
    charts.push({ ...drawPareto(report, language), name: 'size', table: sizeTable(report, language) });
  if (settings.some(({ learning }) => learning.length > 1))
    charts.push({ ...drawLearning(report, language), name: 'learning', table: learningTable(report, language) });
  if (report.importances.length > 0) {
    const table = importanceTable(report, language);
    charts.push({
      ...drawParallel(report, language),
      name: 'parallel-coordinates',
      table: overviewTable(report, language),
    });
    charts.push({ ...drawImportances(report, language), name: 'importances', table });
  }
  return charts;
}

const meanChart = (file: string, curve: CurveName): AxisChart & { file: string } => ({
  file,
  curve,
  at: 'mean',
  of: (setting) => setting.meanOverSnr[curve],
  ofTrial: (trial) => trial.meanOverSnr[curve],
});

const headlineChart = (file: string, curve: CurveName): AxisChart & { file: string } => ({
  file,
  curve,
  at: 'headline',
  of: (setting) => setting.atHeadline[curve],
  ofTrial: (trial) => trial.atHeadline[curve],
});

const AXIS_CHARTS: (AxisChart & { file: string })[] = [
  meanChart('gap', 'jsd'),
  headlineChart('bleu', 'bleu1'),
  headlineChart('hybrid-bleu', 'hybridBleu1'),
  headlineChart('agreement', 'top1Agreement'),
  {
    file: 'validation-loss',
    curve: 'validationLoss',
    at: 'none',
    of: (setting) => setting.validationLoss,
    ofTrial: (trial) => trial.validationLoss,
  },
];

const SNR_CHARTS: (SnrChart & { file: string })[] = [
  { file: 'bleu-over-snr', curve: 'bleu1', scale: 'linear' },
  { file: 'bleu4-over-snr', curve: 'bleu4', scale: 'linear' },
  { file: 'exact-sentences-over-snr', curve: 'exactSentences', scale: 'linear' },
  { file: 'sentence-similarity-over-snr', curve: 'sentenceSimilarity', scale: 'linear' },
  { file: 'bleu-gap-over-snr', curve: 'gapBleu1', scale: 'linear' },
  { file: 'jsd-over-snr', curve: 'jsd', scale: 'log' },
  { file: 'calibration-over-snr', curve: 'calibrationError', scale: 'linear' },
  { file: 'cka-over-snr', curve: 'ckaDecOut', scale: 'linear' },
];

const HEAT_MAPS: { file: string; curve: CurveName }[] = [
  { file: 'jsd-heat-map', curve: 'jsd' },
  { file: 'bleu-heat-map', curve: 'bleu1' },
];
