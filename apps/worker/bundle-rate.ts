// What a bundle took goes into the record, so that the next sweep of its shape can be told beforehand what it will take. Advice only:
// a rate that cannot be written is no reason for anything.
import {
  type BundleRate,
  type CorpusRecord,
  deviceIdOf,
  rateOf,
  type TeacherRecord,
  type TrialSpec,
  type TrialSummary,
} from '#experiment';
import { keys, putJson } from '#storage';
import { deviceFacts } from './device-facts.js';
import type { JobTools } from './job-tools.js';

export interface TrainedWhole {
  trials: readonly { spec: TrialSpec }[];
  teacher: TeacherRecord;
  corpus: CorpusRecord;
  summaries: readonly TrialSummary[];
  /** From the job's begin to the last result. */
  wallSeconds: number;
}

/** Only of a bundle that this run alone has trained, all of it, in whole batches. */
export async function storeRate({ store, log }: JobTools, trained: TrainedWhole): Promise<void> {
  const { trials, teacher, corpus, summaries, wallSeconds } = trained;
  const [first] = trials;
  const [any] = summaries;
  const isPlain = summaries.every(({ resumes, microBatches }) => !resumes && !microBatches);
  if (!first || !any || summaries.length !== trials.length || !isPlain) return;
  const sum = (pick: (summary: TrialSummary) => number) => summaries.reduce((total, one) => total + pick(one), 0);
  const trainingSeconds = sum((one) => one.trainingSeconds);
  const evaluationSeconds = sum((one) => one.evaluationSeconds);
  const { threads, library, device } = any.numerics;
  const { cpu, gpus = [] } = deviceFacts();
  const rate: BundleRate = rateOf(
    { spec: first.spec, students: trials.length },
    { teacher, corpus },
    {
      trainingSeconds,
      evaluationSeconds,
      overheadSeconds: Math.max(0, wallSeconds - trainingSeconds - evaluationSeconds),
      device: { cpu, threads, library, device: device === 'gpu' ? (gpus[0] ?? device) : device },
      measuredAt: new Date().toISOString(),
    },
  );
  const deviceId = deviceIdOf(rate.device);
  try {
    await putJson(store, keys.rate(rate.shape, deviceId, rate.students), rate);
    await putJson(store, keys.deviceRate(deviceId), rate);
  } catch (error) {
    log.warn(`what the bundle took is not noted: ${(error as Error).message}`);
  }
}
