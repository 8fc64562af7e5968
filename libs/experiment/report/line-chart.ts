// Lines with bands over a numeric axis, labelled at their ends: what charts over SNR and over epochs have in common.
import * as Plot from '@observablehq/plot';
import { endLabels, horizontalAxis, horizontalScale, margins, sideLabel, verticalAxis } from './axes.js';
import { type Drawing, draw, verticalScale } from './drawing.js';
import { formatNumber } from './numbers.js';
import { stepOf } from './palette.js';
import type { ReportSetting } from './report.js';

export const MAX_LINES = 8;

export interface Line {
  label: string;
  colour: string;
  dash?: string;
  points: { x: number; value: number; low: number | null; high: number | null }[];
}

export interface LineChart {
  title: string;
  xs: number[];
  xName: string;
  yName: string;
  scale: 'linear' | 'log';
  notes: string[];
}

/** Dots are filled where there is an interval, hollow where there is none. */
export function drawLines(lines: Line[], { title, xs, xName, yName, scale: wanted, notes }: LineChart): Drawing {
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
  const numbers = lines
    .map(({ label, points }) => `${label}: ${points.map(({ value }) => formatNumber(value)).join(', ')}`)
    .join('; ');
  return draw(
    { title, numbers, notes },
    {
      ...margins(lines.map(({ label }) => label)),
      x: horizontalScale(xs, false),
      y: scale,
      marks: [
        horizontalAxis(xs, false, xName),
        verticalAxis(scale, yName),
        ...bounded
          .filter(({ points }) => points.every(({ low }) => low !== null))
          .map(({ points, colour }) =>
            Plot.areaY(points, { x: 'x', y1: 'low', y2: 'high', fill: colour, fillOpacity: 0.14 }),
          ),
        ...bounded.map(({ points, colour, dash }) =>
          Plot.lineY(points, {
            x: 'x',
            y: 'value',
            stroke: colour,
            strokeWidth: 2,
            ...(dash ? { strokeDasharray: dash } : {}),
          }),
        ),
        ...bounded.map(({ points, colour }) =>
          Plot.dot(points, {
            x: 'x',
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

/** How a setting's line looks: one colour in every chart, by its place among the distilled ones; baselines grey and dotted. */
export function lookOf(setting: ReportSetting, distilled: readonly ReportSetting[]): Pick<Line, 'colour' | 'dash'> {
  if (setting.kind === 'baseline') return { colour: 'var(--muted)', dash: '2,3' };
  return { colour: stepOf(distilled.indexOf(setting), distilled.length) };
}

/** As many as fit, spread over the whole order so that both ends and the baseline (last) are among them. */
export function evenly<Item>(items: Item[]): Item[] {
  if (items.length <= MAX_LINES) return items;
  const step = (items.length - 1) / (MAX_LINES - 1);
  return Array.from({ length: MAX_LINES }, (_, index) => items[Math.round(index * step)]).filter(
    (item) => item !== undefined,
  );
}
