// A whole sweep cancelled, paused, resumed or tried again. Trials that another sweep waits for are left alone.
import { Inject, Injectable } from '@nestjs/common';
import { Conflict, NotFound, type SweepRecord } from '#experiment';
import { hasTrialEnded, keys, type ObjectStore, putJsonIfAbsent } from '#storage';
import { STORE } from '../connections.js';
import { LiveService } from '../records/live.service.js';
import { mapLimited } from '../records/map-limited.js';
import { RecordsService } from '../records/records.service.js';
import type { SweepView } from '../sweeps/sweep-view.js';
import { SweepsService } from '../sweeps/sweeps.service.js';
import { ControlsService, type SweepStanding } from './controls.service.js';

@Injectable()
export class SweepControlsService {
  constructor(
    @Inject(STORE) private readonly store: ObjectStore,
    private readonly controls: ControlsService,
    private readonly records: RecordsService,
    private readonly sweeps: SweepsService,
    private readonly live: LiveService,
  ) {}

  /** Marks the sweep cancelled and stops those of its trials that no other open sweep asks for. */
  async cancel(sweepId: string): Promise<SweepView> {
    const { sweep, state } = await this.standing(sweepId);
    const settled = state.isSettled ? await this.records.settled(sweepId, state.version) : undefined;
    if (settled !== undefined) {
      if (settled.status === 'cancelled') return this.sweeps.get(sweepId);
      throw new Conflict(`Sweep ${sweepId} has ended already (${settled.status}); there is nothing to cancel.`);
    }
    await this.live.requireFleet();
    const note = { cancelledAt: new Date().toISOString() };
    await putJsonIfAbsent(this.store, keys.sweepCancelled(sweepId, state.version), note);
    await this.stopTrials(sweep, keys.trialCancelled, note);
    return this.sweeps.get(sweepId);
  }

  /** Marks the sweep paused and stops those of its trials that no other open sweep asks for, each with a checkpoint. */
  async pause(sweepId: string): Promise<SweepView> {
    const { sweep, state } = await this.standing(sweepId);
    if (state.isSettled || state.isCancelled)
      throw new Conflict(`Sweep ${sweepId} has ended already; there is nothing to pause.`);
    await this.live.requireFleet();
    const note = { pausedAt: new Date().toISOString() };
    await putJsonIfAbsent(this.store, keys.sweepPaused(sweepId), note);
    await this.stopTrials(sweep, keys.trialPaused, note);
    return this.sweeps.get(sweepId);
  }

  /** Lets all paused trials of the sweep go on, each from its checkpoint. */
  async resume(sweepId: string): Promise<SweepView> {
    const { sweep, state } = await this.standing(sweepId);
    if (state.isSettled || state.isCancelled)
      throw new Conflict(`Sweep ${sweepId} has ended already; there is nothing to resume.`);
    await this.live.requireFleet();
    await this.store.delete(keys.sweepPaused(sweepId));
    const states = await this.controls.states(trialIdsOf(sweep));
    const paused = states.filter((one) => one.state.isPaused).map(({ trialId }) => trialId);
    await mapLimited(paused, (trialId) => this.store.delete(keys.trialPaused(trialId)));
    await this.controls.enqueue(paused, [sweep]);
    await this.controls.announce(paused);
    return this.sweeps.get(sweepId);
  }

  /** Trains what failed or was cancelled once more; a sweep that was settled is then settled anew, with a new report. */
  async retry(sweepId: string): Promise<SweepView> {
    const standing = await this.standing(sweepId);
    const { sweep, state } = standing;
    if (state.isCancelled && !state.isSettled)
      throw new Conflict(`Sweep ${sweepId} is being cancelled; try again when it has ended.`);
    const states = await this.controls.states(trialIdsOf(sweep), sweep);
    // What the sweep has pruned stays so.
    const over = states.filter(
      (one) => !one.pruned && (one.hasFailed || one.state.isCancelled || (state.isSettled && !one.state.hasResult)),
    );
    if (over.length === 0) throw new Conflict(`Sweep ${sweepId} has no failed or cancelled trial to try again.`);
    await this.live.requireFleet();
    const opened = await this.controls.open(
      over.map(({ trialId }) => trialId),
      { andRetry: true },
    );
    const current = state.isSettled ? await this.reopen(standing) : sweep;
    await this.controls.enqueue(opened, [current]);
    return this.sweeps.get(sweepId);
  }

  /** The next version of a settled sweep, with the same trials; when somebody was quicker, his. */
  async reopen({ sweep, state }: SweepStanding): Promise<SweepRecord> {
    const version = state.version + 1;
    const next: SweepRecord = { ...sweep, version, versionedAt: new Date().toISOString() };
    await putJsonIfAbsent(this.store, keys.sweep(sweep.sweepId, version), next);
    return next;
  }

  private async standing(sweepId: string): Promise<SweepStanding> {
    const standing = await this.records.sweepStanding(sweepId);
    if (standing === undefined) throw new NotFound(`There is no sweep ${JSON.stringify(sweepId)}.`);
    return standing;
  }

  private async stopTrials(sweep: SweepRecord, keyOf: (trialId: string) => string, note: object): Promise<void> {
    const mine = await this.ownOpenTrials(sweep);
    await mapLimited(mine, (trialId) => putJsonIfAbsent(this.store, keyOf(trialId), note));
    // A sweep accepted meanwhile may want one of them: it is looked for again, now that the mark can be seen by it.
    const wanted = await this.controls.wantedByOthers(sweep.sweepId);
    await mapLimited(
      mine.filter((trialId) => wanted.has(trialId)),
      (trialId) => this.store.delete(keyOf(trialId)),
    );
    const stopped = mine.filter((trialId) => !wanted.has(trialId));
    await this.controls.withdraw(sweep, new Set(stopped));
    await this.controls.announce(stopped);
  }

  /** The sweep's trials that have not ended and that no other open sweep asks for. */
  private async ownOpenTrials(sweep: SweepRecord): Promise<string[]> {
    const wanted = await this.controls.wantedByOthers(sweep.sweepId);
    const own = trialIdsOf(sweep).filter((trialId) => !wanted.has(trialId));
    const states = await this.controls.states(own, sweep);
    return states.filter(({ state }) => !hasTrialEnded(state, sweep)).map(({ trialId }) => trialId);
  }
}

function trialIdsOf(sweep: SweepRecord): string[] {
  return sweep.trials.map(({ trialId }) => trialId);
}
