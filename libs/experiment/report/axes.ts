// Axes, margins and labels that all charts share. Labels stand beside the frame, kept apart, in place of a legend.
import * as Plot from '@observablehq/plot';
import { HEIGHT, pixelOf, spread, type VerticalScale, WIDTH } from './drawing.js';

export const MARGIN = { top: 16, right: 104, bottom: 44, left: 76 };
const FRAME = HEIGHT - MARGIN.top - MARGIN.bottom;
const MAX_LABEL = 26;

/** Margins of a chart whose labels stand right of the frame. */
export function margins(labels: string[]): Plot.PlotOptions {
  return {
    width: WIDTH,
    height: HEIGHT,
    marginTop: MARGIN.top,
    marginRight: Math.max(MARGIN.right, Math.min(200, labelWidth(labels) + 12)),
    marginBottom: MARGIN.bottom,
    marginLeft: MARGIN.left,
  };
}

/** Room for row labels; 7.2 px a character at 13 px, twice that for Chinese ones. */
export function labelWidth(labels: string[]): number {
  const widths = labels.map((label) => [...label].reduce((sum, c) => sum + (c > '\u2e7f' ? 13.5 : 7.2), 0));
  return Math.min(260, 16 + Math.max(...widths));
}

/** Where labels of these values go, in pixels from the top of the frame. */
export function endLabels(values: number[], scale: VerticalScale): number[] {
  return spread(
    values.map((value) => pixelOf(scale, value, FRAME)),
    15,
    FRAME,
  );
}

/** A label right of the frame at a given pixel, with a square of its line's colour. */
export function sideLabel(label: string, pixel: number, colour: string): Plot.Markish {
  const text = label.length > MAX_LABEL ? `${label.slice(0, MAX_LABEL - 1)}…` : label;
  return [
    Plot.dot([0], { frameAnchor: 'top-right', dx: 10, dy: pixel, r: 3, symbol: 'square', fill: colour }),
    Plot.text([text], {
      frameAnchor: 'top-right',
      textAnchor: 'start',
      dx: 17,
      dy: pixel,
      lineAnchor: 'middle',
      fill: 'currentColor',
    }),
  ];
}

/** The horizontal scale that holds all values with a little air. */
export function horizontalScale(xs: number[], isLog: boolean): Plot.ScaleOptions & { domain: [number, number] } {
  const [low, high] = [Math.min(...xs), Math.max(...xs)];
  if (isLog) {
    const air = low === high ? 2 : (high / low) ** 0.08;
    return { type: 'log', domain: [low / air, high * air] };
  }
  const air = (high - low) * 0.05 || 1;
  return { type: 'linear', domain: [low - air, high + air] };
}

/** Ticks at the values themselves, thinned where they would run into each other. */
export function horizontalAxis(xs: number[], isLog: boolean, label: string): Plot.Markish {
  const place = (x: number) => (isLog ? Math.log(x) : x);
  const sorted = [...new Set(xs)].sort((a, b) => a - b);
  const least = (place(sorted.at(-1) ?? 1) - place(sorted[0] ?? 1)) / 11;
  const ticks: number[] = [];
  for (const x of sorted) {
    const last = ticks.at(-1);
    if (last === undefined || place(x) - place(last) >= least) ticks.push(x);
  }
  return Plot.axisX(ticks, { label, labelAnchor: 'center', labelArrow: 'none', text: String });
}

/** Ticks and grid of a vertical scale; a logarithmic axis left to itself would drop some of its labels. */
export function verticalAxis({ domain, type }: VerticalScale, label: string): Plot.Markish {
  const options = { label, labelAnchor: 'center', labelArrow: 'none' } as const;
  const grid = { stroke: 'var(--line)', strokeOpacity: 1 };
  if (type === 'linear') return [Plot.gridY({ ...grid, ticks: 5 }), Plot.axisY({ ...options, ticks: 5 })];
  const ticks = logTicks(domain);
  const text = (value: number) => String(Number(value.toPrecision(2)));
  return [Plot.gridY(ticks, grid), Plot.axisY(ticks, { ...options, text })];
}

/** 1, 2 and 5 of each decade inside the domain. */
function logTicks([low, high]: [number, number]): number[] {
  const ticks: number[] = [];
  for (let decade = Math.floor(Math.log10(low)); decade <= Math.log10(high); decade++) {
    for (const digit of [1, 2, 5]) ticks.push(digit * 10 ** decade);
  }
  return ticks.filter((tick) => tick >= low && tick <= high);
}
