// Charts of models rather than of SNR: how they learned, what their size buys, and who understands whom.
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
import { drawLines, evenly, type Line, lookOf } from './line-chart.js';
import { MEASURES, SHORT_MEASURES } from './measure-names.js';
import { formatNumber } from './numbers.js';
import { inkOn, viridis } from './palette.js';
import type { CrossSection, Report, ReportSetting } from './report.js';
import { shortNumber } from './snr-charts.js';
import { type Language, say, settingLabel } from './texts.js';

/** Beyond, points and bands say nothing more and make the file large. */
const MAX_POINTS = 60;
const MAX_LABELS = 12;

/** Validation loss by epoch, a line with its band a setting. */
export function drawLearning(report: Report, language: Language): Drawing {
  const all = report.settings.filter(({ learning }) => learning.length > 1);
  const distilled = all.filter(({ kind }) => kind === 'distilled');
  const shown = evenly(all);
  const lines = shown.map((setting): Line => {
    const step = Math.ceil(setting.learning.length / MAX_POINTS);
    const kept = setting.learning.filter((_, index, list) => index % step === 0 || index === list.length - 1);
    return {
      label: settingLabel(setting.label, language),
      ...lookOf(setting, distilled),
      points: kept.map(({ epoch, mean, low, high }) => ({ x: epoch, value: mean, low, high })),
    };
  });
  const isSingle = shown.every(({ seeds }) => seeds.length < 2);
  return drawLines(lines, {
    title: say('by', language, MEASURES.validationLoss[language], say('epoch', language)),
    xs: lines.flatMap(({ points }) => points.map(({ x }) => x)),
    xName: say('epoch', language),
    yName: SHORT_MEASURES.validationLoss[language],
    scale: 'log',
    notes: [
      say(isSingle ? 'hollow' : 'bands', language),
      ...(all.length > shown.length ? [say('shownOf', language, shown.length, all.length)] : []),
    ],
  });
}

interface Sized {
  label: string;
  millions: number;
  bleu1: number;
  low: number | null;
  high: number | null;
  colour: string;
  isFront: boolean;
}

/** Whether there is more than one size to compare, the teacher's among them. */
export function hasSizes({ teacher, settings }: Report): boolean {
  const measured = settings.filter(({ atHeadline }) => atHeadline.bleu1);
  return new Set([teacher.parameters.total, ...measured.map(({ parameters }) => parameters.total)]).size > 1;
}

/** Quality against parameters; what nothing smaller or equal beats is joined. */
export function drawPareto(report: Report, language: Language): Drawing {
  const models = sizedModels(report, language);
  const front = models.filter(({ isFront }) => isFront).sort((a, b) => a.millions - b.millions || b.bleu1 - a.bleu1);
  const scale = verticalScale(
    models.flatMap(({ bleu1, low, high }) => [bleu1, low ?? bleu1, high ?? bleu1]),
    'linear',
  );
  const labelled = models.length <= MAX_LABELS ? models : front.slice(0, MAX_LABELS);
  const places = endLabels(
    labelled.map(({ bleu1 }) => bleu1),
    scale,
  );
  const xs = models.map(({ millions }) => millions);
  const measure = `${MEASURES.bleu1[language]} ${say('atSnr', language, report.headlineSnrDb)}`;
  return draw(
    {
      title: say('by', language, measure, say('parameters', language)),
      numbers: models.map(({ label, millions, bleu1 }) => `${label}: ${millions}, ${formatNumber(bleu1)}`).join('; '),
      notes: [
        say('front', language),
        ...(labelled.length < models.length ? [say('shownOf', language, labelled.length, models.length)] : []),
      ],
    },
    {
      ...margins(labelled.map(({ label }) => label)),
      x: horizontalScale(xs, false),
      y: scale,
      marks: [
        horizontalAxis(xs, false, say('millions', language)),
        verticalAxis(scale, SHORT_MEASURES.bleu1[language]),
        Plot.line(front, { x: 'millions', y: 'bleu1', stroke: 'var(--muted)', curve: 'step-after' }),
        Plot.link(
          models.filter(({ low }) => low !== null),
          { x1: 'millions', x2: 'millions', y1: 'low', y2: 'high', stroke: 'colour', strokeOpacity: 0.6 },
        ),
        Plot.dot(models, {
          x: 'millions',
          y: 'bleu1',
          r: 4.5,
          stroke: 'colour',
          strokeWidth: 2,
          fill: ({ isFront, colour }: Sized) => (isFront ? colour : 'var(--paper)'),
        }),
        ...labelled.map(({ label, colour }, index) => sideLabel(label, places[index] ?? 0, colour)),
      ],
    },
  );
}

function sizedModels(report: Report, language: Language): Sized[] {
  const measured = report.settings.filter(({ atHeadline }) => atHeadline.bleu1);
  const distilled = measured.filter(({ kind }) => kind === 'distilled');
  const millions = (total: number) => Number((total / 1e6).toPrecision(3));
  const students = measured.map((setting) => {
    const bleu1 = setting.atHeadline.bleu1 as NonNullable<ReportSetting['atHeadline']['bleu1']>;
    return {
      label: settingLabel(setting.label, language),
      millions: millions(setting.parameters.total),
      bleu1: bleu1.mean,
      low: bleu1.low,
      high: bleu1.high,
      colour: lookOf(setting, distilled).colour,
    };
  });
  const own = report.anchors?.teacher.bleu1?.[report.evaluation.snrDb.indexOf(report.headlineSnrDb)];
  const teacher =
    own === undefined
      ? []
      : [
          {
            label: say('teacher', language),
            millions: millions(report.teacher.parameters.total),
            bleu1: own,
            low: null,
            high: null,
            colour: 'var(--ink)',
          },
        ];
  const all = [...students, ...teacher];
  const isBeaten = (one: (typeof all)[number]) =>
    all.some(
      (other) =>
        other.millions <= one.millions &&
        other.bleu1 >= one.bleu1 &&
        (other.millions < one.millions || other.bleu1 > one.bleu1),
    );
  return all.map((one) => ({ ...one, isFront: !isBeaten(one) }));
}

/** What a party of the matrix is called. */
export function partyLabel(report: Report, party: number | null, language: Language): string {
  return party === null ? say('teacher', language) : settingLabel(report.settings[party]?.label ?? '', language);
}

/** BLEU-1 of every transmitter (rows) with every receiver (columns). */
export function drawMatrix(report: Report, section: CrossSection, language: Language): Drawing {
  const labels = section.parties.map((party) => partyLabel(report, party, language));
  const cells = section.bleu1.flatMap((row, i) =>
    row.flatMap((estimate, j) => {
      if (!estimate) return [];
      // BLEU lies in [0, 1]: the same colour means the same score in every report.
      const colour = viridis(estimate.mean);
      const text = shortNumber(estimate.mean);
      return [{ transmitter: labels[i], receiver: labels[j], text, colour, ink: inkOn(colour) }];
    }),
  );
  const left = labelWidth(labels);
  const side = Math.max(34, Math.min(52, 360 / labels.length));
  return draw(
    {
      title: say('matrix', language, section.snrDb),
      numbers: section.bleu1
        .map((row, i) => `${labels[i]}: ${row.map((one) => (one ? formatNumber(one.mean) : '–')).join(', ')}`)
        .join('; '),
      notes: [say('matrixNote', language, section.sentences)],
    },
    {
      width: Math.max(480, left + 8 + side * labels.length),
      height: MARGIN.bottom + left + 26 * labels.length,
      marginLeft: left,
      marginRight: 8,
      marginTop: 24,
      marginBottom: left,
      x: {
        type: 'band',
        domain: labels,
        label: say('receiver', language),
        labelAnchor: 'center',
        labelArrow: 'none',
        padding: 0.04,
        tickSize: 0,
        tickRotate: -60,
      },
      y: {
        type: 'band',
        domain: labels,
        label: say('transmitter', language),
        labelArrow: 'none',
        padding: 0.06,
        tickSize: 0,
      },
      color: { type: 'identity' },
      marks: [
        Plot.cell(cells, { x: 'receiver', y: 'transmitter', fill: 'colour' }),
        Plot.text(cells, {
          x: 'receiver',
          y: 'transmitter',
          text: 'text',
          fill: 'ink',
          fontSize: labels.length > 10 ? 9 : 11,
        }),
      ],
    },
  );
}
