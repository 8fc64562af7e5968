// Results of trials as one attempt writes them: artifacts under the attempt's own prefix, then result.json, once and last.
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { EpochMetrics, PrunedFacts, StoredFile, TrialResult, TrialSummary } from '#experiment';
import type { JobContext } from '#queue';
import { findJson, keys, putJsonIfAbsent } from '#storage';
import { allSettled, hashFiles, type NamedFile, uploadFiles, uploadText } from './artifacts.js';
import { type JobTools, patiently } from './job-tools.js';

/** Names an attempt as no other: the start's number, and chance, for a wiped Redis counts from 1 again. */
export function newFence(attempt: number): string {
  return `${attempt}-${randomBytes(4).toString('hex')}`;
}

export class TrialResults {
  private readonly startedAt = new Date().toISOString();

  constructor(
    private readonly tools: JobTools,
    private readonly context: JobContext,
    private readonly fence: string,
    private readonly bundleTrialIds: string[],
  ) {}

  /** Stores the files in `folder`, the curve and the trainer's output, then the result. */
  async completed(trial: {
    trialId: string;
    retry: number;
    summary: TrialSummary;
    folder: string;
    files: NamedFile[];
    output: string;
  }): Promise<void> {
    const { trialId, retry, summary, folder, files, output } = trial;
    const keyOf = (name: string) => keys.trialArtifact(trialId, this.fence, name);
    const hashed = await hashFiles(folder, files);
    const artifacts = await patiently(this.tools, this.context, () =>
      allSettled([uploadFiles(this.tools.store, hashed, keyOf), this.texts(trialId, summary.epochs, output)]),
    );
    await this.write({ ...this.common(trialId, retry), status: 'completed', summary, artifacts: artifacts.flat() });
    await rm(folder, { recursive: true, force: true });
  }

  /** As completed, of what the trial had when its sweep stopped it; for that sweep alone. */
  async pruned(trial: {
    trialId: string;
    pruned: PrunedFacts;
    folder: string;
    files: NamedFile[];
    output: string;
  }): Promise<void> {
    const { trialId, pruned, folder, files, output } = trial;
    const keyOf = (name: string) => keys.trialArtifact(trialId, this.fence, name);
    const hashed = await hashFiles(folder, files);
    const artifacts = await patiently(this.tools, this.context, async () => [
      ...(await uploadFiles(this.tools.store, hashed, keyOf)),
      ...(await this.texts(trialId, pruned.epochs ?? [], output)),
    ]);
    const result: TrialResult = { ...this.common(trialId, 0), status: 'pruned', pruned, artifacts };
    await this.writeAt(keys.trialPruned(trialId, pruned.sweepId), result);
    await rm(folder, { recursive: true, force: true });
  }

  async failed(trial: {
    trialId: string;
    retry: number;
    failure: { reason: string; step?: number };
    epochs: EpochMetrics[];
    output: string;
  }): Promise<void> {
    const { trialId, retry, failure, epochs, output } = trial;
    const artifacts = await patiently(this.tools, this.context, () => this.texts(trialId, epochs, output));
    await this.write({ ...this.common(trialId, retry), status: 'failed', failure, artifacts });
  }

  private common(trialId: string, retry: number) {
    const { fence, bundleTrialIds, startedAt } = this;
    const worker = this.tools.settings.workerId;
    return {
      trialId,
      ...(retry > 0 ? { retry } : {}),
      fence,
      worker,
      bundleTrialIds,
      startedAt,
      finishedAt: new Date().toISOString(),
    };
  }

  private async texts(trialId: string, epochs: EpochMetrics[], output: string): Promise<StoredFile[]> {
    const put = (name: string, contentType: string, text: string) =>
      uploadText(this.tools.store, { name, contentType, text }, keys.trialArtifact(trialId, this.fence, name));
    return allSettled([
      put('metrics.ndjson', 'application/x-ndjson', epochs.map((epoch) => `${JSON.stringify(epoch)}\n`).join('')),
      put('log.txt', 'text/plain; charset=utf-8', output),
    ]);
  }

  private write(result: TrialResult): Promise<void> {
    return this.writeAt(keys.trialResult(result.trialId, result.retry), result);
  }

  /** Of any number of attempts that end, the first one's result stands; the others clear away what they stored. */
  private async writeAt(key: string, result: TrialResult): Promise<void> {
    const { store, log } = this.tools;
    const isOurs = await patiently(this.tools, this.context, () => putJsonIfAbsent(store, key, result));
    if (isOurs) return;
    const standing = await findJson<TrialResult>(store, key);
    // A write that went through although its answer was lost is found here as our own.
    if (standing?.fence === this.fence) return;
    log.warn(`trial ${result.trialId}: attempt ${standing?.fence ?? '?'} was first, its result stands`);
    for (const artifact of result.artifacts) await store.delete(artifact.key);
  }
}
