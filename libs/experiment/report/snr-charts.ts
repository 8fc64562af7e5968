// Measures over SNR: a line with a band for each setting, or a heat map of settings by SNR.
import * as Plot from '@observablehq/plot';
import { labelWidth, MARGIN } from './axes.js';
import { type Drawing, draw } from './drawing.js';
import { drawLines, evenly, type Line, lookOf } from './line-chart.js';
import { MEASURES, SHORT_MEASURES } from './measure-names.js';
import { formatNumber } from './numbers.js';
import { inkOn, viridis } from './palette.js';
import type { CurveName, Report } from './report.js';
import { anchorCurves } from './tables.js';
import { type Language, say, settingLabel } from './texts.js';

const MAX_ROWS = 30;

export interface SnrChart {
  curve: CurveName;
  scale: 'linear' | 'log';
}

/** One line a setting with its band, and the anchors of the measure. */
export function drawOverSnr(report: Report, { curve, scale }: SnrChart, language: Language): Drawing {
  const all = report.settings.filter((setting) => setting.curves[curve]);
  const distilled = all.filter(({ kind }) => kind === 'distilled');
  const shown = evenly(all);
  const { snrDb } = report.evaluation;
  const lines = shown.map((setting): Line => {
    const estimates = setting.curves[curve];
    return {
      label: settingLabel(setting.label, language),
      ...lookOf(setting, distilled),
      points: snrDb.map((x, index) => ({
        x,
        value: estimates?.mean[index] ?? Number.NaN,
        low: estimates?.low?.[index] ?? null,
        high: estimates?.high?.[index] ?? null,
      })),
    };
  });
  for (const [word, values] of anchorCurves(report, curve)) {
    // An anchor is a mean over all trials; its dots are filled, for it has no interval to miss.
    const points = snrDb.map((x, index) => {
      const value = values[index] ?? Number.NaN;
      return { x, value, low: value, high: value };
    });
    lines.push({ label: say(word, language), colour: 'var(--muted)', dash: '7,4', points });
  }
  const isSingle = report.settings.every((setting) => setting.seeds.length < 2);
  return drawLines(lines, {
    title: say('by', language, MEASURES[curve][language], say('snr', language)),
    xs: snrDb,
    xName: say('snr', language),
    yName: SHORT_MEASURES[curve][language],
    scale,
    notes: [
      say(isSingle ? 'hollow' : 'bands', language),
      ...(all.length > shown.length ? [say('shownOf', language, shown.length, all.length)] : []),
    ],
  });
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
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const text = value.toFixed(Math.abs(value) < 0.1 ? 3 : 2);
  return text.replace(/^(-?)0\./, '$1.');
}
