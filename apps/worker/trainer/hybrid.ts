// A hybrid of two stored models: one's transmitter with the other's receiver, scored on the corpus's test sentences.
import { join } from 'node:path';
import { hybridArrays } from '#distillation';
import type { Engine } from '#engine';
import { linkWarnings } from '#experiment';
import type { TrainerJob } from '../trainer-protocol.js';
import { MODEL_TYPE, makeFolder, readCorpus, readModel, writeModel } from './files.js';
import type { TrainerPort } from './port.js';
import { measure, PLAIN_LINK } from './teacher.js';

export async function scoreHybrid(
  job: Extract<TrainerJob, { kind: 'score-hybrid' }>,
  engine: Engine,
  workFolder: string,
  port: TrainerPort,
): Promise<void> {
  const { transmitter, receiver, corpus } = job;
  const data = await readCorpus(job.corpusFolder);
  const model = hybridArrays({
    teacher: await readModel(transmitter.path, transmitter.architecture),
    student: await readModel(receiver.path, receiver.architecture),
    part: 'decoder',
  });
  const { scores, parameters, numerics } = await measure(model, { corpus, data, engine, port, ...PLAIN_LINK });
  const folder = await makeFolder(workFolder, 'hybrid');
  await writeModel(join(folder, 'hybrid_model.safetensors'), model, { corpusId: corpus.corpusId, role: 'hybrid' });
  port.send({
    type: 'hybrid-completed',
    hybrid: { architecture: model.shape, scores, parameters, numerics, warnings: linkWarnings(scores) },
    files: [{ name: 'hybrid_model.safetensors', contentType: MODEL_TYPE }],
  });
}
