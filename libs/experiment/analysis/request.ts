// An analysis of any two stored models: what may be asked, and what keeps two models from being compared.

import { HEADLINE_SNR_DB, nearestIndex } from '../cross-decoding.js';
import type { Fault } from '../errors.js';
import { EVALUATION_FIELDS, type Field, HYPERPARAMETER_FIELDS } from '../fields.js';
import type { Architecture, HybridSide, PreparationRequest, Warning } from '../records.js';
import { CHANNELS, type Channel, type ChannelProfile } from '../terms.js';
import { Described, faultOf, readFields, refuse, shown, similarityFaults } from '../validation.js';

export type AnalysisPreparation = Extract<PreparationRequest, { kind: 'analysis' }>;

/** Every sentence is in the record, and 10,000 replicates draw from them. */
export const MOST_ANALYSED_SENTENCES = 5000;

const MODEL = { kind: 'text', required: true, maxLength: 300 } as const;

export const ANALYSIS_FIELDS = {
  reference: {
    ...MODEL,
    meaning: 'The model compared with (A): name or id of a teacher, id of a trial or a hybrid, or TRIAL/FILE',
  },
  other: {
    ...MODEL,
    meaning: 'The model compared (B): name or id of a teacher, id of a trial or a hybrid, or TRIAL/FILE',
  },
  corpus: {
    kind: 'name',
    meaning: 'Id or name of the corpus whose test sentences are sent',
    defaultMeaning: "the reference's",
  },
  channels: {
    kind: 'labels',
    meaning: `Channels to measure over, any of ${CHANNELS.join(', ')}`,
    default: ['awgn'],
    minItems: 1,
    maxItems: CHANNELS.length,
  },
  channelProfile: HYPERPARAMETER_FIELDS.channelProfile,
  snrDb: { ...EVALUATION_FIELDS.snrDb, meaning: 'SNRs to measure at' },
  headlineSnrDb: {
    kind: 'number',
    meaning: 'SNR of the table of sentences, one of snrDb',
    defaultMeaning: `the one nearest to ${HEADLINE_SNR_DB} dB`,
    minimum: EVALUATION_FIELDS.snrDb.minimum,
    maximum: EVALUATION_FIELDS.snrDb.maximum,
    unit: 'dB',
    flag: '--headline-snr',
  },
  sentences: { ...EVALUATION_FIELDS.sentences, maximum: MOST_ANALYSED_SENTENCES },
  sentenceSimilarity: EVALUATION_FIELDS.sentenceSimilarity,
  seed: {
    kind: 'integer',
    meaning: 'Seed of noise and fading; 0 draws what the evaluation of trials draws',
    default: 0,
    minimum: 0,
    maximum: 2 ** 32 - 1,
  },
} as const satisfies Record<string, Field>;

class AnalysisBody {
  @Described(ANALYSIS_FIELDS.reference) reference!: string;
  @Described(ANALYSIS_FIELDS.other) other!: string;
  @Described(ANALYSIS_FIELDS.corpus) corpus?: string;
  @Described(ANALYSIS_FIELDS.channels) channels?: Channel[];
  @Described(ANALYSIS_FIELDS.channelProfile) channelProfile?: ChannelProfile;
  @Described(ANALYSIS_FIELDS.snrDb) snrDb?: number[];
  @Described(ANALYSIS_FIELDS.headlineSnrDb) headlineSnrDb?: number;
  @Described(ANALYSIS_FIELDS.sentences) sentences?: number;
  @Described(ANALYSIS_FIELDS.sentenceSimilarity) sentenceSimilarity?: boolean;
  @Described(ANALYSIS_FIELDS.seed) seed?: number;
}

/** An analysis as parsed: checked, defaults filled in. */
export interface AnalysisRequest {
  reference: string;
  other: string;
  corpus?: string;
  conditions: AnalysisConditions;
}

/** How both models are measured. */
export interface AnalysisConditions {
  channels: Channel[];
  channelProfile: ChannelProfile;
  snrDb: number[];
  headlineSnrDb: number;
  /** The first this many test sentences. */
  sentences: number;
  seed: number;
  /** Only where it was asked for. */
  sentenceSimilarity?: true;
}

/** Parses the body of POST /v1/analyses. Throws InvalidRequest with all faults. */
export function parseAnalysisRequest(body: unknown): AnalysisRequest {
  const faults: Fault[] = [];
  const given = readFields(AnalysisBody, ANALYSIS_FIELDS, body, '', faults);
  const { reference, other, corpus, seed, sentenceSimilarity } = given;
  const sentences = given.sentences ?? ANALYSIS_FIELDS.sentences.default;
  if (sentenceSimilarity) faults.push(...similarityFaults(sentences, 'sentences'));
  const channels = given.channels ?? [...ANALYSIS_FIELDS.channels.default];
  if (faultOf(ANALYSIS_FIELDS.channels, channels) === undefined)
    for (const [index, channel] of channels.entries())
      if (!(CHANNELS as readonly string[]).includes(channel))
        faults.push({
          path: `channels[${index}]`,
          message: `must be one of ${CHANNELS.join(', ')}, got ${shown(channel)}`,
        });
  const snrDb = given.snrDb ?? [...ANALYSIS_FIELDS.snrDb.default];
  const isListed = faultOf(ANALYSIS_FIELDS.snrDb, snrDb) === undefined;
  const headlineSnrDb = given.headlineSnrDb ?? (isListed ? (snrDb[nearestIndex(snrDb, HEADLINE_SNR_DB)] as number) : 0);
  if (isListed && faultOf(ANALYSIS_FIELDS.headlineSnrDb, headlineSnrDb) === undefined && !snrDb.includes(headlineSnrDb))
    faults.push({ path: 'headlineSnrDb', message: `must be one of snrDb (${snrDb.join(', ')}), got ${headlineSnrDb}` });
  refuse(faults);
  return {
    reference,
    other,
    ...(corpus === undefined ? {} : { corpus }),
    conditions: {
      channels: channels as Channel[],
      channelProfile: given.channelProfile ?? ANALYSIS_FIELDS.channelProfile.default,
      snrDb,
      headlineSnrDb,
      sentences,
      seed: seed ?? ANALYSIS_FIELDS.seed.default,
      ...(sentenceSimilarity ? { sentenceSimilarity } : {}),
    },
  };
}

/** A model and the words that its ids stand for. */
export interface Comparable {
  label: string;
  architecture: Architecture;
  vocabularySha256: string;
}

/**
 * What keeps two models from being measured on the sentences of a corpus. Widths, layers and heads may differ: models meet in the sixteen
 * reals that every DeepSC here sends for a token, and in the words.
 */
export function analysisFaults(
  { reference, other }: { reference: Comparable; other: Comparable },
  corpus?: { name: string; vocabularySize: number; vocabularySha256: string },
): Fault[] {
  const faults: Fault[] = [];
  const compare = (path: string, model: Comparable, to: { name: string; size: number; sha256: string }) => {
    const { vocabularySize } = model.architecture;
    if (vocabularySize !== to.size) {
      const message = `${model.label} has ${vocabularySize} words, ${to.name} has ${to.size}: what one says the other has no word for`;
      faults.push({ path, message });
    } else if (model.vocabularySha256 !== to.sha256) {
      const message = `${model.label} and ${to.name} have other vocabularies: the same id is another word`;
      faults.push({ path, message });
    }
  };
  const { label, architecture, vocabularySha256 } = reference;
  compare('other', other, { name: label, size: architecture.vocabularySize, sha256: vocabularySha256 });
  if (corpus) {
    const to = { name: `corpus ${corpus.name}`, size: corpus.vocabularySize, sha256: corpus.vocabularySha256 };
    compare('reference', reference, to);
    compare('other', other, to);
  }
  return faults;
}

/** A report holds every sentence three times over for each channel, and is read whole. */
const MOST_TOKENS = 600_000;

/** More text than a report can hold. */
export function analysisSizeFaults(
  { sentences, channels }: AnalysisConditions,
  corpus: { name: string; tokens: { test: number }; sentences: { test: number } },
): Fault[] {
  const mean = corpus.tokens.test / Math.max(1, corpus.sentences.test);
  const most = Math.max(1, Math.floor(MOST_TOKENS / (mean * channels.length)));
  if (Math.min(sentences, corpus.sentences.test) <= most) return [];
  const message = `at most ${most} for ${channels.length} channel${channels.length === 1 ? '' : 's'}: sentences of ${corpus.name} have ${mean.toFixed(0)} tokens on average, and a report holds ${MOST_TOKENS}`;
  return [{ path: 'sentences', message }];
}

/** What an analysis of these models on this corpus cannot say. */
export function analysisWarnings(
  models: { reference: HybridSide & { corpusId: string }; other: HybridSide & { corpusId: string } },
  corpus: { corpusId: string; name: string },
): Warning[] {
  const { reference, other } = models;
  const warnings: Warning[] = [];
  if (reference.file.sha256 === other.file.sha256)
    warnings.push({ code: 'same-model', message: 'A and B are the same model: all differences are 0.' });
  const foreign = [reference, other].filter(({ corpusId }) => corpusId !== corpus.corpusId);
  for (const label of new Set(foreign.map((model) => model.label)))
    warnings.push({
      code: 'other-corpus',
      message: `${label} was trained on another corpus: test sentences of ${corpus.name} may be among those it learned from.`,
    });
  return warnings;
}
