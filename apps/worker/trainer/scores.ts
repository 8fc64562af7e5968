// A stored model measured as it was when its scores were recorded: the same sentences, SNRs and draws, and as many models
// side by side where the numerics are the same, so that the last bits are too.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { EvaluationStopped, type Link, measureBleu, type Sided } from '#distillation';
import type { Engine } from '#engine';
import { isSameNumerics } from '#experiment';
import { disposeWeights, weightsFromArrays } from '#semcom';
import type { TrainerJob } from '../trainer-protocol.js';
import { splitTest } from './engine-parts.js';
import { readCorpus, readModel } from './files.js';
import type { TrainerPort } from './port.js';
import { stack } from './stack.js';

export async function measureScores(
  job: Extract<TrainerJob, { kind: 'measure-scores' }>,
  engine: Engine,
  port: TrainerPort,
): Promise<void> {
  const { recorded, corpus } = job;
  const data = await readCorpus(job.corpusFolder);
  const model = await readModel(job.model.path, job.model.architecture);
  const isExact = recorded.numerics !== undefined && isSameNumerics(recorded.numerics, engine.numerics);
  const single: Sided = { shape: model.shape, weights: weightsFromArrays(model.shape, model.arrays) };
  const copies =
    isExact && recorded.together > 1 ? stack(Array.from({ length: recorded.together }, () => model)) : single;
  const link: Link = {
    transmitter: recorded.kept === 'transmitter' ? single : copies,
    receiver: recorded.kept === 'receiver' ? single : copies,
  };
  try {
    const [scores] = await measureBleu(link, {
      sentences: splitTest(data.test, recorded.sentences).evaluation,
      snrDb: recorded.scores.snrDb,
      channel: recorded.channel,
      channelProfile: recorded.channelProfile,
      maxTokens: corpus.maxTokens,
      scoredIds: (ids) => data.vocabulary.scoredIds(ids),
      goOn: () => nextTurn(!port.isStopping()),
    });
    if (scores) port.send({ type: 'scores-measured', scores, numerics: engine.numerics });
  } catch (error) {
    if (!(error instanceof EvaluationStopped)) throw error;
  } finally {
    for (const side of new Set([single, copies])) disposeWeights(side.weights);
  }
}
