// The tables of an analysis, as rows of text in one language; Markdown, HTML and the command line lay them out.
import { formatNumber, formatProbability } from '../report/numbers.js';
import type { Table } from '../report/tables.js';
import { type Language, say } from '../report/texts.js';
import type { AnalysisOfChannel, AnalysisReport, ModelCurves } from './analysis.js';
import { type AnalysisMeasure, DECODED, DISTANCES, LIKELIHOOD, measureName, sayOf } from './analysis-texts.js';

/** Both models' means over SNR and how sure their difference is. */
export function differenceTable({ differences }: AnalysisOfChannel, language: Language): Table {
  const word = (name: Parameters<typeof sayOf>[0]) => sayOf(name, language);
  const rows = differences.map((one) => [
    measureName(one.measure, language),
    formatNumber(one.reference),
    formatNumber(one.other),
    signed(one.difference),
    `${signed(one.low)} … ${signed(one.high)}`,
    formatProbability(one.p),
    formatProbability(one.pHolm),
    word(one.isSignificant ? 'yes' : 'no'),
  ]);
  const columns = [
    word('measure'),
    'A',
    'B',
    word('difference'),
    word('interval'),
    word('p'),
    word('pHolm'),
    word('significant'),
  ];
  return { caption: word('differences'), columns, rows, textColumns: [0, 7] };
}

/** What stands in the rows of one measure over SNR: both models, both crossed pairs, or the distance and the floor. */
export function linesOf(channel: AnalysisOfChannel, measure: AnalysisMeasure, language: Language) {
  const { reference, other, crossed, divergence, floor } = channel;
  if (isOneOf(DECODED, measure)) {
    return [
      { label: 'A', values: reference.decoded[measure] ?? [] },
      { label: 'B', values: other.decoded[measure] ?? [] },
      { label: sayOf('own', language, 'A', 'B'), values: crossed.referenceSends[measure] ?? [] },
      { label: sayOf('own', language, 'B', 'A'), values: crossed.otherSends[measure] ?? [] },
    ];
  }
  if (isOneOf(LIKELIHOOD, measure)) {
    const of = ({ likelihood }: ModelCurves) => likelihood[measure];
    return [
      { label: 'A', values: of(reference) },
      { label: 'B', values: of(other) },
    ];
  }
  const values = (curve: typeof divergence): (number | null)[] =>
    measure === 'jsdShare' ? curve.jsd.map((value) => value / Math.LN2) : curve[measure];
  return [
    { label: 'B', values: values(divergence) },
    { label: sayOf('floor', language), values: values(floor) },
  ];
}

/** One measure at each SNR. */
export function analysisCurveTable(channel: AnalysisOfChannel, measure: AnalysisMeasure, language: Language): Table {
  const rows = linesOf(channel, measure, language).map(({ label, values }) => [
    label,
    ...values.map((value) => (value === null ? '–' : formatNumber(value))),
  ]);
  const { snrDb } = channel.divergence;
  return {
    caption: measureName(measure, language),
    columns: [sayOf('model', language), ...snrDb.map((snr) => `${snr} dB`)],
    rows,
  };
}

/** Every measure that was asked for, in reading order. */
export function measuresOf({ reference }: AnalysisOfChannel): readonly AnalysisMeasure[] {
  return [...DECODED.filter((measure) => reference.decoded[measure] !== undefined), ...LIKELIHOOD, ...DISTANCES];
}

/** Parameters, bytes, MACs, time. */
export function analysisSizeTable(report: AnalysisReport, language: Language): Table {
  const { latency } = report.run;
  const models = [
    ['A', report.reference, latency.reference],
    ['B', report.other, latency.other],
  ] as const;
  const rows = models.map(([name, { label, architecture, parameters, bytes, macsPerSentence }, time]) => [
    `${name}: ${label}`,
    `${architecture.encoderLayers}+${architecture.decoderLayers}`,
    String(architecture.dModel),
    grouped(parameters.total),
    grouped(parameters.core),
    (bytes / 1e6).toFixed(2),
    (macsPerSentence / 1e6).toFixed(1),
    `${time.medianMs.toFixed(1)} (${time.p95Ms.toFixed(1)})`,
  ]);
  const columns = [
    sayOf('model', language),
    sayOf('layers', language),
    sayOf('width', language),
    say('parameters', language),
    say('core', language),
    say('megabytes', language),
    say('macs', language),
    sayOf('latency', language),
  ];
  return { caption: sayOf('size', language), columns, rows };
}

export function modelHashTable({ reference, other, corpus }: AnalysisReport, language: Language): Table {
  const rows = [
    ['A', reference.label, reference.sha256],
    ['B', other.label, other.sha256],
    [say('corpus', language), corpus.name, corpus.corpusId],
  ];
  const columns = ['', sayOf('file', language), 'SHA-256'];
  return { caption: sayOf('hashes', language), columns, rows, textColumns: [0, 1, 2] };
}

/** With its sign, the minus as in print. */
export function signed(value: number): string {
  const shown = formatNumber(Math.abs(value));
  return value === 0 || shown === '0' ? '0' : `${value > 0 ? '+' : '−'}${shown}`;
}

/** 10582762 as '10,582,762', on every machine. */
function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

function isOneOf<Name extends string>(names: readonly Name[], name: string): name is Name {
  return (names as readonly string[]).includes(name);
}
