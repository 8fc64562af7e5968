// A measure over the axis: on a numeric axis when only that varies, else a row for each setting. Every trial, the mean and
// the interval are drawn; teacher, floor, ceiling and the no-teacher baseline stand beside as lines.
import * as Plot from '@observablehq/plot';
import type { Estimate } from '../statistics/index.js';
import {
  endLabels,
  horizontalAxis,
  horizontalScale,
  labelWidth,
  MARGIN,
  margins,
  sideLabel,
  verticalAxis,
} from './axes.js';
import { isLogAxis } from './comparisons.js';
import { type Drawing, draw, type VerticalScale, verticalScale, WIDTH } from './drawing.js';
import { MEASURES, SHORT_MEASURES } from './measure-names.js';
import { formatNumber } from './numbers.js';
import { stepOf } from './palette.js';
import type { CurveName, Report, ReportSetting, ReportTrial } from './report.js';
import { anchorCurves } from './tables.js';
import { type Language, say, settingLabel } from './texts.js';

const MAX_ROWS = 30;
/** More trials than this are shown by their intervals alone. */
const MAX_DOTS = 1500;

/** What one chart shows of settings and trials. */
export interface AxisChart {
  curve: CurveName | 'validationLoss';
  at: 'mean' | 'headline' | 'none';
  of(setting: ReportSetting): Estimate | undefined;
  ofTrial(trial: ReportTrial): number | undefined;
}

interface Anchor {
  label: string;
  value: number;
  isBaseline: boolean;
}

/** The chart of one measure over the axis. */
export function drawOverAxis(report: Report, chart: AxisChart, language: Language): Drawing {
  const at = chart.at === 'headline' ? ` ${say('atSnr', language, report.headlineSnrDb)}` : '';
  const measure = `${MEASURES[chart.curve][language]}${at}${chart.at === 'mean' ? say('meanOverSnr', language) : ''}`;
  const distilled = report.settings.filter((setting) => setting.kind === 'distilled' && chart.of(setting));
  const isLine = distilled.every((setting) => setting.series === '' && typeof axisValue(report, setting) === 'number');
  return isLine && report.axis && distilled.length > 0
    ? overNumericAxis(report, chart, measure, language)
    : overSettings(report, chart, measure, language);
}

function overNumericAxis(report: Report, chart: AxisChart, measure: string, language: Language): Drawing {
  const axisName = report.axis === 'temperature' ? say('temperature', language) : String(report.axis);
  const settings = report.settings.flatMap((setting, index) => {
    const value = chart.of(setting);
    const x = axisValue(report, setting);
    return setting.kind === 'distilled' && value && typeof x === 'number' ? [{ index, setting, value, x }] : [];
  });
  const dots = (report.trials.length > MAX_DOTS ? [] : report.trials).flatMap((trial) => {
    const at = settings.findIndex(({ index }) => index === trial.setting);
    const y = chart.ofTrial(trial);
    return at >= 0 && y !== undefined ? [{ x: settings[at]?.x ?? 0, y, colour: stepOf(at, settings.length) }] : [];
  });
  const { anchors, band } = anchorsFor(report, chart, language);
  const shown = [
    ...dots.map(({ y }) => y),
    ...settings.flatMap(({ value }) => [value.low ?? value.mean, value.high ?? value.mean]),
  ];
  const { scale, inside, outside } = scaleFor(shown, anchors);
  const labels = endLabels(
    inside.map(({ value }) => value),
    scale,
  );
  const xs = settings.map(({ x }) => x);
  const isLog = isLogAxis(report.axis, xs);
  const means = settings.map(({ x, value }, at) => ({ x, ...value, colour: stepOf(at, settings.length) }));
  const single = means.every(({ n }) => n < 2);
  const title = say('by', language, measure, axisName);
  const numbers = means.map(({ x, mean }) => `${x}: ${formatNumber(mean)}`).join('; ');
  const notes = [
    say(single ? 'hollow' : 'dots', language),
    ...outside.map(({ label, value }) => say('offScale', language, label, formatNumber(value))),
  ];
  return draw(
    { title, numbers, notes },
    {
      ...margins(inside.map(({ label }) => label)),
      x: horizontalScale(xs, isLog),
      y: scale,
      marks: [
        horizontalAxis(xs, isLog, axisName),
        verticalAxis(scale, SHORT_MEASURES[chart.curve][language]),
        band ? bandMark(band, scale) : null,
        ...inside.map(({ value, isBaseline }) =>
          Plot.ruleY([value], {
            stroke: 'var(--muted)',
            strokeWidth: 1.5,
            strokeDasharray: isBaseline ? '2,3' : '7,4',
          }),
        ),
        ...inside.map(({ label }, index) => sideLabel(label, labels[index] ?? 0, 'var(--muted)')),
        Plot.lineY(means, { x: 'x', y: 'mean', stroke: 'var(--muted)', strokeOpacity: 0.6 }),
        Plot.link(
          means.filter(({ low }) => low !== null),
          { x1: 'x', x2: 'x', y1: 'low', y2: 'high', stroke: 'colour', strokeWidth: 2 },
        ),
        Plot.dot(dots, { x: 'x', y: 'y', fill: 'colour', fillOpacity: 0.55, r: 2.5, dx: 8 }),
        Plot.dot(
          means.filter(({ n }) => n > 1),
          { x: 'x', y: 'mean', fill: 'colour', r: 5 },
        ),
        Plot.dot(
          means.filter(({ n }) => n < 2),
          { x: 'x', y: 'mean', stroke: 'colour', strokeWidth: 2, fill: 'var(--paper)', r: 5 },
        ),
      ],
    },
  );
}

/** Any other sweep: a row for each setting, baselines included. */
function overSettings(report: Report, chart: AxisChart, measure: string, language: Language): Drawing {
  const all = report.settings.flatMap((setting, index) => {
    const value = chart.of(setting);
    const isBaseline = setting.kind === 'baseline';
    return value ? [{ index, value, isBaseline, label: settingLabel(setting.label, language) }] : [];
  });
  const distilled = all.slice(0, MAX_ROWS).filter(({ isBaseline }) => !isBaseline).length;
  const rows = all.slice(0, MAX_ROWS).map((row, at) => ({
    ...row,
    ...row.value,
    colour: row.isBaseline ? 'var(--muted)' : stepOf(at, distilled),
  }));
  const dots = (report.trials.length > MAX_DOTS ? [] : report.trials).flatMap((trial) => {
    const row = rows.find(({ index }) => index === trial.setting);
    const x = chart.ofTrial(trial);
    return row && x !== undefined ? [{ x, label: row.label, colour: row.colour }] : [];
  });
  const { anchors } = anchorsFor(report, chart, language);
  const values = [...dots.map(({ x }) => x), ...rows.flatMap(({ low, high, mean }) => [low ?? mean, high ?? mean])];
  const { scale, inside, outside } = scaleFor(
    values,
    anchors.filter(({ isBaseline }) => !isBaseline),
  );
  const left = labelWidth(rows.map(({ label }) => label));
  const ticks = Math.max(2, Math.floor((WIDTH - left) / 80));
  const numbers = rows.map(({ label, mean }) => `${label}: ${formatNumber(mean)}`).join('; ');
  const notes = [
    say(rows.every(({ n }) => n < 2) ? 'hollow' : 'dots', language),
    ...(all.length > rows.length ? [say('shownOf', language, rows.length, all.length)] : []),
    ...outside.map(({ label, value }) => say('offScale', language, label, formatNumber(value))),
  ];
  return draw(
    { title: measure, numbers, notes },
    {
      height: MARGIN.top + MARGIN.bottom + 20 + 26 * rows.length,
      marginLeft: left,
      marginRight: 32,
      marginTop: MARGIN.top + 14,
      marginBottom: MARGIN.bottom,
      x: {
        domain: scale.domain,
        label: SHORT_MEASURES[chart.curve][language],
        labelAnchor: 'center',
        labelArrow: 'none',
        ticks,
      },
      y: { type: 'point', domain: rows.map(({ label }) => label), label: null, padding: 0.6 },
      marks: [
        Plot.gridX({ stroke: 'var(--line)', strokeOpacity: 1, ticks }),
        Plot.ruleX(inside, { x: 'value', stroke: 'var(--muted)', strokeDasharray: '7,4' }),
        Plot.text(inside, { x: 'value', text: 'label', frameAnchor: 'top', dy: -10, fill: 'var(--muted)' }),
        Plot.link(
          rows.filter(({ low }) => low !== null),
          { x1: 'low', x2: 'high', y1: 'label', y2: 'label', stroke: 'colour', strokeWidth: 2 },
        ),
        Plot.dot(dots, { x: 'x', y: 'label', fill: 'colour', fillOpacity: 0.55, r: 2.5, dy: 7 }),
        Plot.dot(rows, {
          x: 'mean',
          y: 'label',
          r: 5,
          stroke: 'colour',
          strokeWidth: 2,
          fill: (row: { n: number; colour: string }) => (row.n > 1 ? row.colour : 'var(--paper)'),
        }),
      ],
    },
  );
}

/** Lines to compare with: no-teacher baseline, teacher, floor, ceiling. */
function anchorsFor(report: Report, chart: AxisChart, language: Language): { anchors: Anchor[]; band?: Estimate } {
  const anchors: Anchor[] = [];
  const baselines = report.settings.filter((setting) => setting.kind === 'baseline');
  const only = baselines.length === 1 ? baselines[0] : undefined;
  const band = only && chart.of(only);
  if (only && band) anchors.push({ label: settingLabel(only.label, language), value: band.mean, isBaseline: true });
  if (chart.curve !== 'validationLoss') {
    for (const [word, curve] of anchorCurves(report, chart.curve)) {
      const value = chart.at === 'mean' ? meanOf(curve) : curve[report.evaluation.snrDb.indexOf(report.headlineSnrDb)];
      if (value !== undefined) anchors.push({ label: say(word, language), value, isBaseline: false });
    }
  }
  return { anchors, ...(band ? { band } : {}) };
}

/** Anchors near the values are drawn; those that would squeeze them are told in the description only. */
function scaleFor(shown: number[], anchors: Anchor[]): { scale: VerticalScale; inside: Anchor[]; outside: Anchor[] } {
  const [low, high] = [Math.min(...shown), Math.max(...shown)];
  const reach = 2 * Math.max(high - low, Math.abs(high) * 0.02);
  const isNear = ({ value }: Anchor) => value >= low - reach && value <= high + reach;
  const inside = anchors.filter(isNear);
  return {
    scale: verticalScale([...shown, ...inside.map(({ value }) => value)], 'linear'),
    inside,
    outside: anchors.filter((anchor) => !isNear(anchor)),
  };
}

/** A flat band from low to high across the frame, clipped to the scale. */
function bandMark(band: Estimate, { domain }: VerticalScale): Plot.Markish {
  if (band.low === null || band.high === null) return null;
  const y1 = Math.max(band.low, domain[0]);
  const y2 = Math.min(band.high, domain[1]);
  // A baseline outside the picture has its band there too.
  if (y1 >= y2) return null;
  return Plot.rect([{ y1, y2 }], { y1: 'y1', y2: 'y2', fill: 'var(--muted)', fillOpacity: 0.12 });
}

function axisValue(report: Report, setting: ReportSetting): unknown {
  return report.axis ? setting.values[report.axis] : undefined;
}

function meanOf(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
