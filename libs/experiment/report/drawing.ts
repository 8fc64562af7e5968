// The little that Observable Plot needs from us to draw in Node: a document, a size, and what makes an SVG accessible.
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';

export const WIDTH = 480;
export const HEIGHT = 320;

/** One drawn chart; colours are CSS variables of palette.ts. */
export interface Drawing {
  title: string;
  /** How to read it, and what the picture leaves out. */
  note: string;
  svg: string;
}

export interface Caption {
  title: string;
  /** The numbers in words, for those who cannot see the picture. */
  numbers: string;
  notes: string[];
}

interface SvgElement {
  setAttribute(name: string, value: string): void;
  insertBefore(child: unknown, before: unknown): void;
  firstChild: unknown;
  outerHTML: string;
  tagName: string;
  querySelector(selector: string): SvgElement | null;
}

interface PageDocument {
  createElementNS(namespace: string, name: string): { textContent: string };
}

const SVG = 'http://www.w3.org/2000/svg';

/** Draws marks into an SVG with title and description as its first children. */
export function draw({ title, numbers, notes }: Caption, options: Plot.PlotOptions): Drawing {
  const note = notes.join(' ');
  const description = `${numbers}. ${note}`;
  const { document } = parseHTML('<!doctype html><html><body></body></html>') as unknown as { document: PageDocument };
  const settings = {
    width: WIDTH,
    height: HEIGHT,
    style: { fontSize: '13px', fontFamily: 'inherit', background: 'none', overflow: 'visible' },
    ...options,
    document,
  } as unknown as Plot.PlotOptions;
  const drawn = Plot.plot(settings) as unknown as SvgElement;
  const svg = drawn.tagName.toLowerCase() === 'svg' ? drawn : drawn.querySelector('svg');
  if (!svg) throw new Error('Observable Plot drew no SVG');
  svg.setAttribute('xmlns', SVG);
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', `${title}. ${description}`);
  for (const [name, text] of [
    ['desc', description],
    ['title', title],
  ] as const) {
    const element = document.createElementNS(SVG, name);
    element.textContent = text;
    svg.insertBefore(element, svg.firstChild);
  }
  return { title, note, svg: svg.outerHTML };
}

/** A vertical scale whose pixels we know too, so that labels can be kept apart. */
export interface VerticalScale {
  domain: [number, number];
  type: 'linear' | 'log';
}

/** The scale that holds all values with a little air; logarithmic only when asked and all values are positive. */
export function verticalScale(values: number[], wanted: 'linear' | 'log'): VerticalScale {
  const finite = values.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  if (wanted === 'log' && low > 0) {
    const air = Math.max(1.1, (high / low) ** 0.06);
    return { type: 'log', domain: [low / air, high * air] };
  }
  const air = (high - low) * 0.06 || Math.abs(high) * 0.05 || 1;
  return { type: 'linear', domain: [low - air, high + air] };
}

/** Pixels from the top of the frame. */
export function pixelOf(scale: VerticalScale, value: number, frameHeight: number): number {
  const [low, high] = scale.domain;
  const share = scale.type === 'log' ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  return (1 - share) * frameHeight;
}

/** Moves labels apart vertically so that none overlap and all stay near their value and inside the frame. */
export function spread(wanted: number[], least: number, frameHeight: number): number[] {
  const order = wanted.map((at, index) => ({ at, index })).sort((a, b) => a.at - b.at);
  const placed: number[] = [];
  for (const { at } of order) placed.push(Math.max(at, (placed.at(-1) ?? -Infinity) + least));
  let limit = frameHeight;
  for (let rank = placed.length - 1; rank >= 0; rank--) {
    placed[rank] = Math.min(placed[rank] ?? 0, limit);
    limit = (placed[rank] ?? 0) - least;
  }
  const result = new Array<number>(wanted.length).fill(0);
  order.forEach(({ index }, rank) => {
    result[index] = placed[rank] ?? 0;
  });
  return result;
}
