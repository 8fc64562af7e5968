// Where more than one hyperparameter varies: all settings across all of them at once, and how much of the gap each accounts for.
import * as Plot from '@observablehq/plot';
import type { Hyperparameters } from '../records.js';
import { MARGIN } from './axes.js';
import { isLogAxis } from './comparisons.js';
import { type Drawing, draw, WIDTH } from './drawing.js';
import { MEASURES, SHORT_MEASURES } from './measure-names.js';
import { formatNumber } from './numbers.js';
import { stepOf } from './palette.js';
import type { Report, ReportSetting } from './report.js';
import { type Language, say } from './texts.js';

const MAX_SETTINGS = 80;

interface Column {
  name: string;
  /** 0 at the bottom, 1 at the top */
  placeOf(setting: ReportSetting): number | undefined;
  ticks: { place: number; text: string }[];
}

/** A line a setting across one column for each varied hyperparameter, the gap and BLEU-1; colour by the gap. */
export function drawParallel(report: Report, language: Language): Drawing {
  const all = report.settings.filter(({ kind, meanOverSnr }) => kind === 'distilled' && meanOverSnr.jsd);
  const shown = all.slice(0, MAX_SETTINGS);
  const columns = [
    ...report.varied.map((name) => hyperparameterColumn(name, shown)),
    measuredColumn(SHORT_MEASURES.jsd[language], shown, ({ meanOverSnr }) => meanOverSnr.jsd?.mean),
    measuredColumn(SHORT_MEASURES.bleu1[language], shown, ({ atHeadline }) => atHeadline.bleu1?.mean),
  ];
  const byGap = [...shown].sort((a, b) => (a.meanOverSnr.jsd?.mean ?? 0) - (b.meanOverSnr.jsd?.mean ?? 0));
  const points = shown.flatMap((setting, line) =>
    columns.flatMap((column, x) => {
      const y = column.placeOf(setting);
      return y === undefined ? [] : [{ x, y, line, colour: stepOf(byGap.indexOf(setting), byGap.length) }];
    }),
  );
  const ticks = columns.flatMap(({ ticks: own }, x) => own.map(({ place, text }) => ({ x, y: place, text })));
  const names = columns.map(({ name }, x) => ({ x, name }));
  const last = columns.length - 1;
  return draw(
    {
      title: say('parallel', language),
      numbers: columns.map(({ name, ticks: own }) => `${name}: ${own.map(({ text }) => text).join(' … ')}`).join('; '),
      notes: [
        say('parallelNote', language),
        ...(all.length > shown.length ? [say('shownOf', language, shown.length, all.length)] : []),
      ],
    },
    {
      width: Math.max(WIDTH, 110 * columns.length),
      height: 320,
      marginLeft: 56,
      marginRight: 72,
      marginTop: 40,
      marginBottom: MARGIN.top,
      x: { axis: null, domain: [0, last] },
      y: { axis: null, domain: [0, 1] },
      marks: [
        Plot.ruleX(names, { x: 'x', stroke: 'var(--line)' }),
        Plot.line(points, { x: 'x', y: 'y', z: 'line', stroke: 'colour', strokeWidth: 1.5, strokeOpacity: 0.8 }),
        Plot.text(ticks, {
          x: 'x',
          y: 'y',
          text: 'text',
          dx: 5,
          textAnchor: 'start',
          fill: 'currentColor',
          stroke: 'var(--paper)',
          strokeWidth: 3,
          fontSize: 11,
        }),
        Plot.text(names, {
          x: 'x',
          text: ({ name }: { name: string }) => name.replace(/ \(.*/, ''),
          frameAnchor: 'top',
          dy: -24,
          fill: 'currentColor',
          fontWeight: 600,
        }),
      ],
    },
  );
}

function hyperparameterColumn(name: keyof Hyperparameters, settings: ReportSetting[]): Column {
  const values = settings.map((setting) => setting.values[name]);
  if (values.every((value) => typeof value === 'number')) {
    const numbers = values as number[];
    const isLog = isLogAxis(name, numbers);
    const along = (value: number) => (isLog ? Math.log(value) : value);
    const [low, high] = [along(Math.min(...numbers)), along(Math.max(...numbers))];
    const place = (value: number) => (high > low ? (along(value) - low) / (high - low) : 0.5);
    const ticks = [...new Set(numbers)]
      .sort((a, b) => a - b)
      .map((value) => ({ place: place(value), text: String(value) }));
    return { name, placeOf: (setting) => place(Number(setting.values[name])), ticks: thinned(ticks) };
  }
  const texts = [...new Set(values.map(String))];
  const place = (text: string) => (texts.length > 1 ? texts.indexOf(text) / (texts.length - 1) : 0.5);
  return {
    name,
    placeOf: (setting) => place(String(setting.values[name])),
    ticks: thinned(texts.map((text) => ({ place: place(text), text }))),
  };
}

function measuredColumn(
  name: string,
  settings: ReportSetting[],
  of: (setting: ReportSetting) => number | undefined,
): Column {
  const values = settings.map(of).filter((value) => value !== undefined);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const place = (value: number) => (high > low ? (value - low) / (high - low) : 0.5);
  return {
    name,
    placeOf: (setting) => {
      const value = of(setting);
      return value === undefined ? undefined : place(value);
    },
    ticks: [low, high].map((value) => ({ place: place(value), text: formatNumber(value) })),
  };
}

/** Labels stand 0.06 of the height apart at least. */
function thinned(ticks: Column['ticks']): Column['ticks'] {
  let last = Number.NEGATIVE_INFINITY;
  return ticks.filter(({ place }) => {
    if (place - last < 0.06) return false;
    last = place;
    return true;
  });
}

/** How much of the variance of the gap each varied hyperparameter accounts for. */
export function drawImportances(report: Report, language: Language): Drawing {
  const rows = [...report.importances].sort((a, b) => b.share - a.share);
  return draw(
    {
      title: say('importances', language, MEASURES.jsd[language]),
      numbers: rows.map(({ name, share }) => `${name}: ${(100 * share).toFixed(1)} %`).join('; '),
      notes: [say('importanceNote', language)],
    },
    {
      width: WIDTH,
      height: MARGIN.top + MARGIN.bottom + 34 * rows.length,
      marginLeft: 150,
      marginRight: 56,
      marginTop: MARGIN.top,
      marginBottom: MARGIN.bottom,
      x: {
        domain: [0, 1],
        label: say('shareOfVariance', language),
        labelAnchor: 'center',
        labelArrow: 'none',
        ticks: 5,
      },
      y: { type: 'band', domain: rows.map(({ name }) => name), label: null, padding: 0.35, tickSize: 0 },
      marks: [
        Plot.gridX({ stroke: 'var(--line)', strokeOpacity: 1, ticks: 5 }),
        Plot.barX(rows, { x: 'share', y: 'name', fill: 'var(--step-5)' }),
        Plot.text(rows, {
          x: 'share',
          y: 'name',
          text: ({ share }: { share: number }) => `${(100 * share).toFixed(0)} %`,
          dx: 6,
          textAnchor: 'start',
          fill: 'currentColor',
        }),
      ],
    },
  );
}
