// Every transmitter with every receiver: BLEU-1 of each pair on common sentences and noise. Sides that several models share (a frozen
// teacher's) are measured once.
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type EvaluationRequest, EvaluationStopped, measureBleu } from '#distillation';
import type { Engine } from '#engine';
import { disposeWeights, parameterShapes, type Side } from '#semcom';
import type { TrainerJob } from '../trainer-protocol.js';
import { splitTest } from './engine-parts.js';
import { type Model, readCorpus, readModel } from './files.js';
import { measuringAt, type TrainerPort } from './port.js';
import { stack } from './stack.js';

export async function crossDecode(
  job: Extract<TrainerJob, { kind: 'cross-decode' }>,
  engine: Engine,
  port: TrainerPort,
): Promise<void> {
  const data = await readCorpus(job.corpusFolder);
  const models: Model[] = [];
  for (const { path, architecture } of job.models) models.push(await readModel(path, architecture));
  const request: EvaluationRequest = {
    sentences: splitTest(data.test, job.sentences).evaluation,
    snrDb: [job.snrDb],
    channel: job.channel,
    channelProfile: job.channelProfile,
    maxTokens: job.corpus.maxTokens,
    scoredIds: (ids) => data.vocabulary.scoredIds(ids),
    goOn: () => nextTurn(!port.isStopping()),
  };
  try {
    const bleu1 = await everyPair(models, request, (fraction) => port.send(measuringAt(fraction)));
    port.send({ type: 'cross-decoded', bleu1, numerics: engine.numerics });
  } catch (error) {
    if (!(error instanceof EvaluationStopped)) throw error;
  }
}

/** BLEU-1 [transmitter][receiver] of each pair, in the order of the models. */
async function everyPair(
  models: Model[],
  request: EvaluationRequest,
  tell: (fraction: number) => void,
): Promise<number[][]> {
  const transmitters = distinctSides(models, 'transmitter');
  const receivers = distinctSides(models, 'receiver');
  const scores = transmitters.sides.map(() => new Array<number>(receivers.sides.length).fill(0));
  for (const [r, receiver] of receivers.sides.entries()) {
    tell(r / receivers.sides.length);
    const heard = stack([receiver], 'receiver');
    try {
      for (const together of ofOneShape(transmitters.sides)) {
        const sent = stack(
          together.map((t) => transmitters.sides[t] as Model),
          'transmitter',
        );
        try {
          const curves = await measureBleu({ transmitter: sent, receiver: heard }, request);
          for (const [g, t] of together.entries()) (scores[t] as number[])[r] = curves[g]?.bleu1[0] ?? Number.NaN;
        } finally {
          disposeWeights(sent.weights);
        }
      }
    } finally {
      disposeWeights(heard.weights);
    }
  }
  return transmitters.placeOf.map((t) => receivers.placeOf.map((r) => scores[t]?.[r] ?? Number.NaN));
}

/** Models whose side differs from those before, and for each model where its own stands among them. */
function distinctSides(models: Model[], side: Side): { sides: Model[]; placeOf: number[] } {
  const places = new Map<string, number>();
  const sides: Model[] = [];
  const placeOf = models.map((model) => {
    const hash = createHash('sha256').update(JSON.stringify(model.shape));
    for (const { name, side: own } of parameterShapes(model.shape)) {
      const values = model.arrays.get(name);
      if (own === side && values) hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
    const content = hash.digest('hex');
    const known = places.get(content);
    if (known !== undefined) return known;
    places.set(content, sides.length);
    return sides.push(model) - 1;
  });
  return { sides, placeOf };
}

/** Places of models that can stand side by side in one stack. */
function ofOneShape(models: Model[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const [place, { shape }] of models.entries()) {
    const name = JSON.stringify(shape);
    groups.set(name, [...(groups.get(name) ?? []), place]);
  }
  return [...groups.values()];
}
