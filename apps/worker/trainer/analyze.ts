// Two stored models measured on the same sentences, noise and fading: each by itself, each with the other's side, one against the other;
// then the report on them and its files.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  batchesOf,
  type DecodedLink,
  type EvaluationRequest,
  EvaluationStopped,
  type Link,
  type MeasuredDivergence,
  measureDecoding,
  measureDivergence,
  type Sided,
} from '#distillation';
import type { Engine } from '#engine';
import {
  buildAnalysis,
  type Channel,
  contentHashOf,
  type MeasuredChannel,
  type ReceivedSentence,
  renderAnalysis,
  type SentenceMeans,
} from '#experiment';
import { disposeWeights, type SentenceEncoder, type Vocabulary, weightsFromArrays } from '#semcom';
import type { TrainerJob } from '../trainer-protocol.js';
import { splitTest } from './engine-parts.js';
import { type CorpusData, type Model, makeFolder, readCorpus, readModel, textOf } from './files.js';
import { latencyOf, latencySentences } from './latency.js';
import { measuringAt, type TrainerPort, throttled } from './port.js';
import { loadSentenceEncoder } from './sentence-encoder.js';

type AnalyzeJob = Extract<TrainerJob, { kind: 'analyze' }>;

/** Each model by itself, two crossed pairs, the distance, the floor: about as long each, at every SNR. */
const PASSES = 6;

export async function analyze(job: AnalyzeJob, engine: Engine, workFolder: string, port: TrainerPort): Promise<void> {
  const data = await readCorpus(job.corpusFolder);
  const models = {
    reference: await readModel(job.reference.path, job.reference.architecture),
    other: await readModel(job.other.path, job.other.architecture),
  };
  const sides = { reference: sideOf(models.reference), other: sideOf(models.other) };
  const encoder = job.encoderFolder === undefined ? undefined : await loadSentenceEncoder(job.encoderFolder);
  try {
    const analysis = new Analysis(job, data, sides, port, encoder?.encode);
    const measured: MeasuredChannel[] = [];
    for (const channel of job.request.conditions.channels) measured.push(await analysis.over(channel));
    const run = { numerics: engine.numerics, latency: analysis.latency() };
    const report = buildAnalysis(job.request, job.corpus, measured, run);
    const folder = await makeFolder(workFolder, 'analysis');
    const files = renderAnalysis(report);
    for (const { name, text } of files) await writeFile(join(folder, name), text);
    port.send({
      type: 'analysis-completed',
      contentSha256: contentHashOf(report),
      files: files.map(({ name, contentType }) => ({ name, contentType })),
    });
  } catch (error) {
    if (!(error instanceof EvaluationStopped)) throw error;
  } finally {
    encoder?.dispose();
    for (const { weights } of Object.values(sides)) disposeWeights(weights);
  }
}

function sideOf({ shape, arrays }: Model): Sided {
  return { shape, weights: weightsFromArrays(shape, arrays) };
}

/** Both models and how far their measuring has come. */
class Analysis {
  private readonly sentences: number[][];
  private done = 0;
  private readonly tell: (fraction: number) => void;

  constructor(
    private readonly job: AnalyzeJob,
    private readonly data: CorpusData,
    private readonly sides: { reference: Sided; other: Sided },
    private readonly port: TrainerPort,
    private readonly encode: SentenceEncoder | undefined,
  ) {
    this.sentences = splitTest(data.test, job.request.conditions.sentences).evaluation;
    this.tell = throttled((fraction) => port.send(measuringAt(fraction)));
  }

  /** Everything that is measured over one channel. */
  async over(channel: Channel): Promise<MeasuredChannel> {
    const { headline = 0 } = this.request(channel, 'one');
    const [a, b] = [ownLink(this.sides.reference), ownLink(this.sides.other)];
    const decoded = async (link: Link) => (await measureDecoding(link, this.request(channel, 'all')))[0] as DecodedLink;
    const [own, others] = [await decoded(a), await decoded(b)];
    const referenceSends = await decoded({ transmitter: a.transmitter, receiver: b.receiver });
    const otherSends = await decoded({ transmitter: b.transmitter, receiver: a.receiver });
    const apart = async (link: Link, otherNoise: boolean) =>
      withoutRounding(
        (await measureDivergence(a, link, this.request(channel, 'one'), otherNoise))[0] as MeasuredDivergence,
        headline,
      );
    const measured = await apart(b, false);
    const floor = await apart(a, true);
    const { sentences: distances } = measured;
    return {
      channel,
      reference: { decoded: own.curves, likelihood: measured.teacher },
      other: { decoded: others.curves, likelihood: measured.likelihood },
      divergence: measured.divergence,
      floor: floor.divergence,
      crossed: { referenceSends: referenceSends.curves, otherSends: otherSends.curves },
      sentenceMeans: {
        tokens: distances.tokens,
        words: this.sentences.map((row) => this.data.vocabulary.scoredIds(row).length),
        reference: meansOf(own, distances.teacherCrossEntropy, distances.teacherTokenAccuracy),
        other: meansOf(others, distances.crossEntropy, distances.tokenAccuracy),
      },
      sentences: this.sentences.map((row, sentence) => ({
        sentence,
        source: textOf(this.data.vocabulary, row),
        reference: received(this.data.vocabulary, own, sentence),
        other: received(this.data.vocabulary, others, sentence),
        jsd: short(distances.headlineJsd?.[sentence] as number),
      })),
    };
  }

  /** One sentence at a time, over the first channel. */
  latency() {
    const request = this.request(this.job.request.conditions.channels[0] as Channel, 'one');
    const of = (side: Sided) => latencyOf(ownLink(side), request);
    return {
      sentences: latencySentences(request),
      reference: of(this.sides.reference),
      other: of(this.sides.other),
    };
  }

  /** `at`: how many SNRs are measured between two looks at whether to go on. */
  private request(channel: Channel, at: 'one' | 'all'): EvaluationRequest {
    const { conditions } = this.job.request;
    const request: EvaluationRequest = {
      sentences: this.sentences,
      snrDb: conditions.snrDb,
      channel,
      channelProfile: conditions.channelProfile,
      maxTokens: this.job.corpus.maxTokens,
      scoredIds: (ids) => this.data.vocabulary.scoredIds(ids),
      seed: conditions.seed,
      headline: conditions.snrDb.indexOf(conditions.headlineSnrDb),
    };
    if (this.encode) {
      request.similarity = { encode: this.encode, textOf: (ids) => textOf(this.data.vocabulary, ids) };
    }
    const points = conditions.snrDb.length;
    const steps = PASSES * conditions.channels.length * points * batchesOf(request).length;
    request.goOn = () => {
      this.tell(Math.min(1, this.done / steps));
      this.done += at === 'all' ? points : 1;
      return nextTurn(!this.port.isStopping());
    };
    return request;
  }
}

/** JSD <= (KL(p||q) + KL(q||p)) / 4 (Lin 1991): where both are 0 it is, too, and what float32 leaves of it is rounding. */
function withoutRounding(measured: MeasuredDivergence, headline: number): MeasuredDivergence {
  const { divergence, sentences } = measured;
  const isZero = divergence.kl.map((kl, s) => kl === 0 && divergence.reverseKl[s] === 0);
  const jsd = divergence.jsd.map((value, s) => (isZero[s] ? 0 : value));
  const headlineJsd = (sentences.headlineJsd ?? []).map((value) => (isZero[headline] ? 0 : value));
  return { ...measured, divergence: { ...divergence, jsd }, sentences: { ...sentences, headlineJsd } };
}

function ownLink(side: Sided): Link {
  return { transmitter: side, receiver: side };
}

function meansOf({ sentences }: DecodedLink, crossEntropy: number[], tokenAccuracy: number[]): SentenceMeans {
  const { wordErrors, ...scores } = sentences;
  return { ...scores, wordErrorRate: wordErrors, crossEntropy, tokenAccuracy };
}

function received(vocabulary: Vocabulary, { headline }: DecodedLink, sentence: number): ReceivedSentence {
  if (!headline) throw new Error('no SNR was named whose sentences are kept');
  const { ids, bleu1, cumulativeBleu4, wordErrors } = headline;
  return {
    text: textOf(vocabulary, ids[sentence] as number[]),
    bleu1: short(bleu1[sentence] as number),
    cumulativeBleu4: short(cumulativeBleu4[sentence] as number),
    wordErrors: wordErrors[sentence] as number,
  };
}

/** Seven digits hold all that float32 knows. */
function short(value: number): number {
  return Number(value.toPrecision(7));
}
