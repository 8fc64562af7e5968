// OpenAPI schemas of analyses of two models (libs/experiment/analysis).
import { CHANNEL_PROFILES, CHANNELS, TESTED_DIFFERENCES } from '#experiment';
import { choice, count, exactly, flag, id, listOf, number, ref, text, time } from './record-schemas.js';
import type { JsonSchema } from './request-schemas.js';

const model = exactly({ label: text, sha256: text });
const conditions = exactly({
  channels: listOf(choice(...CHANNELS)),
  channelProfile: choice(...CHANNEL_PROFILES),
  snrDb: listOf(number),
  headlineSnrDb: number,
  sentences: count,
  seed: count,
  'sentenceSimilarity?': flag,
});
const analysedModel = exactly({
  label: text,
  sha256: text,
  architecture: ref('Architecture'),
  parameters: ref('ParameterCounts'),
  bytes: count,
  macsPerSentence: count,
});
const curves = exactly({ decoded: ref('BleuCurve'), likelihood: ref('LikelihoodCurve') });
const received = exactly({ text, bleu1: number, cumulativeBleu4: number, wordErrors: count });
const latency = exactly({ medianMs: number, p95Ms: number });

const analysisFacts: Record<string, JsonSchema> = {
  analysisId: id,
  state: choice('queued', 'running', 'completed', 'failed', 'cancelled'),
  reference: model,
  other: model,
  corpusId: id,
  conditions,
  warnings: listOf(ref('Warning')),
  'progress?': exactly({ fraction: { type: 'number', minimum: 0, maximum: 1 }, message: text }),
  'failure?': exactly({ reason: text }),
  createdAt: time,
  'finishedAt?': time,
  'contentSha256?': text,
  files: listOf(ref('Artifact')),
  links: exactly({ self: { type: 'string', format: 'uri' }, report: { type: 'string', format: 'uri' } }),
};

export const ANALYSIS_SCHEMAS = {
  AnalysisListItem: exactly(analysisFacts),
  Analysis: exactly({ ...analysisFacts, 'result?': ref('AnalysisReport') }),
  AnalysisReport: exactly({
    format: { type: 'integer', enum: [1] },
    reference: analysedModel,
    other: analysedModel,
    corpus: exactly({ corpusId: id, name: text, vocabularySize: count }),
    conditions,
    channels: listOf(
      exactly({
        channel: choice(...CHANNELS),
        reference: curves,
        other: curves,
        divergence: ref('DivergenceCurve'),
        floor: ref('DivergenceCurve'),
        crossed: exactly({ referenceSends: ref('BleuCurve'), otherSends: ref('BleuCurve') }),
        sentences: listOf(
          exactly({ sentence: count, source: text, reference: received, other: received, jsd: number }),
        ),
        differences: listOf(
          exactly({
            measure: choice(...TESTED_DIFFERENCES),
            reference: number,
            other: number,
            difference: number,
            low: number,
            high: number,
            p: number,
            pHolm: number,
            isSignificant: flag,
          }),
        ),
        worst: listOf(count),
        gained: listOf(count),
        differing: count,
      }),
    ),
    findings: listOf(exactly({ code: text, text: exactly({ en: text, zh: text }) })),
    warnings: listOf(ref('Warning')),
    run: exactly({
      numerics: ref('Numerics'),
      latency: exactly({ sentences: count, reference: latency, other: latency }),
    }),
  }),
} satisfies Record<string, JsonSchema>;
