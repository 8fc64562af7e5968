// From measurements of two models to the report on them: which differences are sure, which sentences are worst, what is to be said.
import { createHash } from 'node:crypto';
import { canonicalJson } from '../identity.js';
import { countMacs, countParameters, parameterBytes } from '../parameters.js';
import type { CorpusRecord, HybridSide, Numerics } from '../records.js';
import { holm, mean, pairedBootstrap } from '../statistics/index.js';
import type {
  AnalysedModel,
  AnalysisLatency,
  AnalysisOfChannel,
  AnalysisReport,
  MeasuredChannel,
  ModelCurves,
  ModelDifference,
  SentenceComparison,
  TestedDifference,
} from './analysis.js';
import { lossOf, TESTED_DIFFERENCES } from './analysis.js';
import { findingsOf } from './findings.js';
import type { AnalysisPreparation } from './request.js';

export const MOST_WORST = 20;
const LEVEL = 0.05;

/** The report; `run` alone depends on more than the request and the numerics. */
export function buildAnalysis(
  request: Pick<AnalysisPreparation, 'reference' | 'other' | 'conditions' | 'warnings'>,
  corpus: CorpusRecord,
  measured: readonly MeasuredChannel[],
  run: { numerics: Numerics; latency: AnalysisLatency },
): AnalysisReport {
  const tokens = corpus.statistics?.tokensPerSentence.mean ?? corpus.tokens.test / corpus.sentences.test;
  const differences = differencesOf(measured);
  const channels = measured.map(({ sentenceMeans: _means, ...channel }, index): AnalysisOfChannel => {
    const { sentences } = channel;
    return {
      ...channel,
      differences: differences[index] as ModelDifference[],
      worst: furthest(sentences, lossOf),
      gained: furthest(sentences, (sentence) => -lossOf(sentence)),
      differing: sentences.filter(({ reference, other }) => reference.text !== other.text).length,
    };
  });
  const { conditions, warnings } = request;
  const sentences = measured[0]?.sentences.length ?? 0;
  const report = {
    format: 1 as const,
    reference: modelOf(request.reference, tokens),
    other: modelOf(request.other, tokens),
    corpus: { corpusId: corpus.corpusId, name: corpus.name, vocabularySize: corpus.vocabularySize },
    conditions: { ...conditions, sentences },
    channels,
    findings: [],
    warnings,
    run,
  };
  return { ...report, findings: findingsOf(report) };
}

/** SHA-256 of everything that the same request gives again on the same numerics. */
export function contentHashOf({ run: { numerics }, ...report }: AnalysisReport): string {
  return createHash('sha256')
    .update(canonicalJson({ ...report, numerics }))
    .digest('hex');
}

function modelOf({ label, file, architecture }: HybridSide, tokens: number): AnalysedModel {
  const parameters = countParameters(architecture);
  return {
    label,
    sha256: file.sha256,
    architecture,
    parameters,
    bytes: parameterBytes(parameters),
    macsPerSentence: Math.round(countMacs(architecture, tokens)),
  };
}

/** All tests of one analysis are one family for Holm's correction, over all channels. */
function differencesOf(measured: readonly MeasuredChannel[]): ModelDifference[][] {
  const tests = measured.flatMap((channel) => TESTED_DIFFERENCES.map((measure) => ({ channel, measure })));
  const found = pairedBootstrap(
    tests.map(({ channel: { sentenceMeans }, measure }) => {
      const [a, b] = [sentenceMeans.reference[measure], sentenceMeans.other[measure]];
      if (measure === 'wordErrorRate') {
        const each = (edits: number[]) => edits.map((value, i) => ratio(value, sentenceMeans.words[i] as number));
        return { weights: sentenceMeans.words, a: each(a), b: each(b) };
      }
      const isOverTokens = measure === 'crossEntropy' || measure === 'tokenAccuracy';
      return { weights: isOverTokens ? sentenceMeans.tokens : sentenceMeans.tokens.map(() => 1), a, b };
    }),
  );
  const adjusted = holm(found.map(({ p }) => p));
  const results = tests.map(({ channel, measure }, index): ModelDifference => {
    const { low, high, p } = found[index] as (typeof found)[number];
    const [reference, other] = [mean(curveOf(channel.reference, measure)), mean(curveOf(channel.other, measure))];
    const pHolm = adjusted[index] as number;
    return {
      measure,
      reference,
      other,
      difference: other - reference,
      low,
      high,
      p,
      pHolm,
      isSignificant: pHolm < LEVEL,
    };
  });
  return measured.map((_, index) =>
    results.slice(index * TESTED_DIFFERENCES.length, (index + 1) * TESTED_DIFFERENCES.length),
  );
}

/** One measure of a model over SNR. */
export function curveOf({ decoded, likelihood }: ModelCurves, measure: TestedDifference): number[] {
  return measure === 'crossEntropy' || measure === 'tokenAccuracy' ? likelihood[measure] : decoded[measure];
}

function ratio(value: number, of: number): number {
  return of > 0 ? value / of : 0;
}

/** Places of the sentences with the largest positive values; of equal ones those further apart, then the earlier. */
function furthest(sentences: readonly SentenceComparison[], value: (sentence: SentenceComparison) => number): number[] {
  const places = [...sentences.keys()].filter((place) => value(sentences[place] as SentenceComparison) > 0);
  const of = (place: number) => sentences[place] as SentenceComparison;
  places.sort((x, y) => value(of(y)) - value(of(x)) || of(y).jsd - of(x).jsd || x - y);
  return places.slice(0, MOST_WORST);
}
