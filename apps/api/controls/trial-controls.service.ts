// One trial cancelled, paused, resumed or tried again, whatever sweeps ask for it.
import { Inject, Injectable } from '@nestjs/common';
import { Conflict, NotFound } from '#experiment';
import { keys, type ObjectStore, putJsonIfAbsent } from '#storage';
import { STORE } from '../connections.js';
import { LiveService } from '../records/live.service.js';
import { RecordsService } from '../records/records.service.js';
import type { TrialView } from '../trials/trial-view.js';
import { TrialsService } from '../trials/trials.service.js';
import { ControlsService, type SweepStanding } from './controls.service.js';
import { SweepControlsService } from './sweep-controls.service.js';

@Injectable()
export class TrialControlsService {
  constructor(
    @Inject(STORE) private readonly store: ObjectStore,
    private readonly controls: ControlsService,
    private readonly sweeps: SweepControlsService,
    private readonly records: RecordsService,
    private readonly trials: TrialsService,
    private readonly live: LiveService,
  ) {}

  /** Ends it without a result; where it runs it stops within seconds. */
  async cancel(trialId: string): Promise<TrialView> {
    const { state, result } = await this.standing(trialId);
    if (result)
      throw new Conflict(`Trial ${trialId} has ended already (${result.status}); there is nothing to cancel.`);
    await this.live.requireFleet();
    if (!state.isCancelled) await this.stop(trialId, keys.trialCancelled(trialId), 'cancelledAt');
    return this.trials.get(trialId);
  }

  /** Stops it where it is, with a checkpoint. */
  async pause(trialId: string): Promise<TrialView> {
    const { state, result } = await this.standing(trialId);
    if (result) throw new Conflict(`Trial ${trialId} has ended already (${result.status}); there is nothing to pause.`);
    if (state.isCancelled) throw new Conflict(`Trial ${trialId} is cancelled; retry starts it again.`);
    await this.live.requireFleet();
    if (!state.isPaused) await this.stop(trialId, keys.trialPaused(trialId), 'pausedAt');
    return this.trials.get(trialId);
  }

  /** Lets a paused trial go on from its checkpoint; one that is not paused stays as it is. */
  async resume(trialId: string): Promise<TrialView> {
    const { state } = await this.standing(trialId);
    if (state.isCancelled) throw new Conflict(`Trial ${trialId} is cancelled; retry starts it again.`);
    await this.live.requireFleet();
    if (state.isPaused) {
      await this.store.delete(keys.trialPaused(trialId));
      await this.controls.enqueue([trialId]);
      await this.controls.announce([trialId]);
    }
    return this.trials.get(trialId);
  }

  /** Trains a failed or cancelled trial once more. Where all its sweeps are settled, the newest of them opens again for it. */
  async retry(trialId: string): Promise<TrialView> {
    const { state, result } = await this.standing(trialId);
    if (result?.status !== 'failed' && !state.isCancelled) {
      const is = result?.status ?? (state.isPaused ? 'paused' : 'not over yet');
      throw new Conflict(`Trial ${trialId} is ${is}; only a failed or cancelled trial can be tried again.`);
    }
    await this.live.requireFleet();
    const asksFor = ({ sweep }: SweepStanding) => sweep.trials.some((trial) => trial.trialId === trialId);
    const isWaitedFor = (await this.controls.openSweeps()).some(asksFor);
    await this.controls.open([trialId], { andRetry: true });
    if (!isWaitedFor) {
      const asking = (await this.controls.sweeps()).filter(asksFor);
      const [newest] = asking.sort((a, b) => (a.sweep.createdAt < b.sweep.createdAt ? 1 : -1));
      if (newest) await this.sweeps.reopen(newest);
    }
    await this.controls.enqueue([trialId]);
    return this.trials.get(trialId);
  }

  private async stop(trialId: string, key: string, at: string): Promise<void> {
    await putJsonIfAbsent(this.store, key, { [at]: new Date().toISOString() });
    for (const { sweep } of await this.controls.openSweeps())
      if (sweep.trials.some((trial) => trial.trialId === trialId))
        await this.controls.withdraw(sweep, new Set([trialId]));
    await this.controls.announce([trialId]);
  }

  private async standing(trialId: string) {
    const standing = await this.records.trialStanding(trialId);
    if (standing === undefined) throw new NotFound(`There is no trial ${JSON.stringify(trialId)}.`);
    return standing;
  }
}
