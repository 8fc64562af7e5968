// Measures over SNR: a line with a band for each setting, or a heat map of settings by SNR.
import * as Plot from '@observablehq/plot';
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
import { type Drawing, draw, verticalScale } from './drawing.js';
import { MEASURES, SHORT_MEASURES } from './measure-names.js';
import { formatNumber } from './numbers.js';
import { inkOn, stepOf, viridis } from './palette.js';
import type { CurveName, Report } from './report.js';
import { anchorCurves } from './tables.js';
import { type Language, say, settingLabel } from './texts.js';

const MAX_LINES = 8;
const MAX_ROWS = 30;

export interface SnrChart {
  curve: CurveName;
  scale: 'linear' | 'log';
}

interface SnrLine {
  label: string;
  colour: string;
  dash?: string;
  points: { snr: number; value: number; low: number | null; high: number | null }[];
}

/** One line a setting with its band, and the anchors of the measure. */
export function drawOverSnr(report: Report, { curve, scale: wanted }: SnrChart, language: Language): Drawing {
  const { lines, shown, omitted } = snrLines(report, curve, language);
  const isSingle = report.settings.every((setting) => setting.seeds.length < 2);
  const values = lines.flatMap(({ points }) =>
    points.flatMap(({ value, low, high }) => [value, low ?? value, high ?? value]),
  );
  const isLog = wanted === 'log' && lines.every(({ points }) => points.every(({ value }) => value > 0));
  const scale = verticalScale(isLog ? values.filter((value) => value > 0) : values, wanted);
  const floor = scale.domain[0];
  const bounded = lines.map((line) => ({
    ...line,
    points: line.points.map((point) => ({ ...point, low: point.low === null ? null : Math.max(point.low, floor) })),
  }));
  const labels = endLabels(
    bounded.map(({ points }) => points.at(-1)?.value ?? floor),
    scale,
  );
  const title = say('by', language, MEASURES[curve][language], say('snr', language));
  const numbers = lines
    .map(({ label, points }) => `${label}: ${points.map(({ value }) => formatNumber(value)).join(', ')}`)
    .join('; ');
  const notes = [
    say(isSingle ? 'hollow' : 'bands', language),
    ...(omitted > 0 ? [say('shownOf', language, shown, shown + omitted)] : []),
  ];
  return draw(
    { title, numbers, notes },
    {
      ...margins(lines.map(({ label }) => label)),
      x: horizontalScale(report.evaluation.snrDb, false),
      y: scale,
      marks: [
        horizontalAxis(report.evaluation.snrDb, false, say('snr', language)),
        verticalAxis(scale, SHORT_MEASURES[curve][language]),
        ...bounded
          .filter(({ points }) => points.every(({ low }) => low !== null))
          .map(({ points, colour }) =>
            Plot.areaY(points, { x: 'snr', y1: 'low', y2: 'high', fill: colour, fillOpacity: 0.14 }),
          ),
        ...bounded.map(({ points, colour, dash }) =>
          Plot.lineY(points, {
            x: 'snr',
            y: 'value',
            stroke: colour,
            strokeWidth: 2,
            ...(dash ? { strokeDasharray: dash } : {}),
          }),
        ),
        ...bounded.map(({ points, colour }) =>
          Plot.dot(points, {
            x: 'snr',
            y: 'value',
            fill: points[0]?.low === null ? 'var(--paper)' : colour,
            stroke: colour,
            r: 2.5,
          }),
        ),
        ...bounded.map(({ label, colour }, index) => sideLabel(label, labels[index] ?? 0, colour)),
      ],
    },
  );
}

function snrLines(
  report: Report,
  curve: CurveName,
  language: Language,
): { lines: SnrLine[]; shown: number; omitted: number } {
  const all = report.settings.flatMap((setting) => {
    const estimates = setting.curves[curve];
    return estimates ? [{ setting, estimates }] : [];
  });
  // Colours go by the place among all settings, so that a temperature has one colour in every chart.
  const distilled = all.filter(({ setting }) => setting.kind === 'distilled');
  const shown = all.length > MAX_LINES ? evenly(all) : all;
  const lines = shown.map((one): SnrLine => {
    const { setting, estimates } = one;
    const isBaseline = setting.kind === 'baseline';
    return {
      label: settingLabel(setting.label, language),
      colour: isBaseline ? 'var(--muted)' : stepOf(distilled.indexOf(one), distilled.length),
      ...(isBaseline ? { dash: '2,3' } : {}),
      points: report.evaluation.snrDb.map((snr, index) => ({
        snr,
        value: estimates.mean[index] ?? Number.NaN,
        low: estimates.low?.[index] ?? null,
        high: estimates.high?.[index] ?? null,
      })),
    };
  });
  for (const [word, values] of anchorCurves(report, curve)) {
    lines.push({
      label: say(word, language),
      colour: 'var(--muted)',
      dash: '7,4',
      // An anchor is a mean over all trials; its dots are filled, for it has no interval to miss.
      points: report.evaluation.snrDb.map((snr, index) => {
        const value = values[index] ?? Number.NaN;
        return { snr, value, low: value, high: value };
      }),
    });
  }
  return { lines, shown: shown.length, omitted: all.length - shown.length };
}

/** As many as fit, spread over the whole order so that both ends and the baseline (last) are among them. */
function evenly<Item>(items: Item[]): Item[] {
  const step = (items.length - 1) / (MAX_LINES - 1);
  return Array.from({ length: MAX_LINES }, (_, index) => items[Math.round(index * step)]).filter(
    (item) => item !== undefined,
  );
}

/** A measure by SNR and setting, one coloured cell each. */
export function drawHeatMap(report: Report, curve: CurveName, language: Language): Drawing {
  const all = report.settings.filter((setting) => setting.curves[curve]);
  const rows = all.slice(0, MAX_ROWS);
  const values = rows.flatMap((setting) => setting.curves[curve]?.mean ?? []);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const cells = rows.flatMap((setting) =>
    report.evaluation.snrDb.map((snr, index) => {
      const value = setting.curves[curve]?.mean[index] ?? Number.NaN;
      const colour = viridis(high > low ? (value - low) / (high - low) : 0.5);
      return {
        snr,
        label: settingLabel(setting.label, language),
        text: shortNumber(value),
        colour,
        ink: inkOn(colour),
      };
    }),
  );
  const labels = rows.map((setting) => settingLabel(setting.label, language));
  const left = labelWidth(labels);
  const title = say('heatMap', language, MEASURES[curve][language]);
  const numbers = `${formatNumber(low)} … ${formatNumber(high)}`;
  const fontSize = report.evaluation.snrDb.length > 8 ? 9 : 11;
  return draw(
    {
      title,
      numbers,
      notes: [`${numbers}.`, ...(all.length > rows.length ? [say('shownOf', language, rows.length, all.length)] : [])],
    },
    {
      height: MARGIN.top + MARGIN.bottom + 30 * rows.length,
      marginLeft: left,
      marginRight: 8,
      marginTop: MARGIN.top,
      marginBottom: MARGIN.bottom,
      x: {
        type: 'band',
        label: say('snr', language),
        labelAnchor: 'center',
        labelArrow: 'none',
        padding: 0.04,
        tickSize: 0,
      },
      y: { type: 'band', domain: labels, label: null, padding: 0.06, tickSize: 0 },
      color: { type: 'identity' },
      marks: [
        Plot.cell(cells, { x: 'snr', y: 'label', fill: 'colour' }),
        Plot.text(report.evaluation.snrDb.length > 14 ? [] : cells, {
          x: 'snr',
          y: 'label',
          text: 'text',
          fill: 'ink',
          fontSize,
        }),
      ],
    },
  );
}

/** Four characters at most where it can be done: '.943', '.031', '1.20'. */
function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const text = value.toFixed(Math.abs(value) < 0.1 ? 3 : 2);
  return text.replace(/^(-?)0\./, '$1.');
}
