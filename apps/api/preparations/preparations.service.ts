// Corpora and teachers being made: started once for equal requests, shown from the record with Redis' progress beside it.
import { isDeepStrictEqual } from 'node:util';
import { Inject, Injectable } from '@nestjs/common';
import {
  Conflict,
  NotFound,
  type PreparationPlacement,
  type PreparationRecord,
  type PreparationRequest,
  type PreparationResult,
  preparationIdOf,
} from '#experiment';
import { preparationJob, type RedisFleet } from '#queue';
import { getJson, keys, type ObjectStore, putJson, putJsonIfAbsent } from '#storage';
import { currentOwner } from '../authentication/owner.js';
import { FLEET, STORE } from '../connections.js';
import { ControlsService } from '../controls/controls.service.js';
import { LiveService } from '../records/live.service.js';
import { mapLimited } from '../records/map-limited.js';
import { RecordsService } from '../records/records.service.js';
import { lackOf } from '../sweeps/placement.js';
import type { PreparationView, UnreadyItem } from './preparation-view.js';

@Injectable()
export class PreparationsService {
  constructor(
    @Inject(STORE) private readonly store: ObjectStore,
    @Inject(FLEET) private readonly fleet: RedisFleet,
    private readonly records: RecordsService,
    private readonly live: LiveService,
    private readonly controls: ControlsService,
  ) {}

  async get(preparationId: string): Promise<PreparationView> {
    const record = await this.records.preparation(preparationId);
    if (record === undefined) throw new NotFound(`There is no preparation ${JSON.stringify(preparationId)}.`);
    return this.view(record);
  }

  /** What has been made already is given back at once; else `prepare` (an upload, say) is done and the preparation started. */
  async ask(
    request: PreparationRequest,
    prepare?: () => Promise<unknown>,
    placement: PreparationPlacement = {},
  ): Promise<PreparationView> {
    const made = await this.completed(request);
    if (made !== undefined) return made;
    await this.live.requireFleet();
    await prepare?.();
    return this.start(request, placement);
  }

  private async completed(request: PreparationRequest): Promise<PreparationView | undefined> {
    const record = await this.records.preparation(preparationIdOf(request));
    if (record === undefined) return undefined;
    const view = await this.view(record);
    return view.status === 'completed' ? view : undefined;
  }

  /** Writes the preparation, then tells the workers. One that failed or was cancelled is tried afresh. */
  private async start(request: PreparationRequest, placement: PreparationPlacement): Promise<PreparationView> {
    const preparationId = preparationIdOf(request);
    const record: PreparationRecord = {
      preparationId,
      request,
      owner: currentOwner(),
      ...(Object.keys(placement).length > 0 ? { placement } : {}),
      createdAt: new Date().toISOString(),
    };
    if (!(await putJsonIfAbsent(this.store, keys.preparation(preparationId), record))) await this.move(record);
    const result = await this.records.preparationResult(preparationId);
    // What failed may have failed for a reason that is gone (a download, a full disk). Should someone else have made it
    // between the reading and the deleting, it is made once more: the same bytes under the same id.
    if (result && result.status !== 'completed') await this.store.delete(keys.preparationResult(preparationId));
    if (result?.status !== 'completed') {
      await this.live.bestEffort(() => this.fleet.enqueue([preparationJob(record)]));
    }
    return this.get(preparationId);
  }

  /** Ends it without a result of its own; where it runs it stops within seconds. Asked for again it is made after all. */
  async cancel(record: PreparationRecord): Promise<void> {
    const { preparationId, request } = record;
    const standing = await this.records.preparationResult(preparationId);
    if (standing?.status === 'cancelled') return;
    const refuse = (status: string) => {
      throw new Conflict(`The ${request.kind} has ended already (${status}); there is nothing to cancel.`);
    };
    if (standing) refuse(standing.status);
    await this.live.requireFleet();
    const finishedAt = new Date().toISOString();
    const result: PreparationResult = { preparationId, status: 'cancelled', finishedAt };
    if (!(await putJsonIfAbsent(this.store, keys.preparationResult(preparationId), result))) {
      const ended = await this.records.preparationResult(preparationId);
      if (ended && ended.status !== 'cancelled') refuse(ended.status);
    }
    await this.live.bestEffort(() => this.fleet.withdraw([preparationJob(record)]));
    await this.controls.announce([preparationId]);
  }

  /** What was asked for before, for another pool or other labels, waits there no longer; where it runs it stays. */
  private async move(asked: PreparationRecord): Promise<void> {
    const { preparationId, placement } = asked;
    const standing = await getJson<PreparationRecord>(this.store, keys.preparation(preparationId));
    if (isDeepStrictEqual(standing.placement, placement)) return;
    const { placement: _before, ...rest } = standing;
    await putJson(this.store, keys.preparation(preparationId), { ...rest, ...(placement ? { placement } : {}) });
    await this.live.bestEffort(() => this.fleet.withdraw([preparationJob(asked)]));
  }

  /** The latest preparation of this kind and name that has not been completed. */
  async unfinished(kind: 'corpus' | 'teacher', name: string): Promise<PreparationView | undefined> {
    const views = await this.list(kind);
    return views
      .filter((view) => view.name === name && view.status !== 'completed')
      .sort((a, b) => b.createdAt.localeCompare(a.createdAt))[0];
  }

  /** What is being made or has failed, and built-ins nobody has asked for; without the names that `isReady`. */
  async unready(
    kind: 'corpus' | 'teacher',
    builtins: readonly string[],
    isReady: (name: string) => Promise<boolean>,
  ): Promise<UnreadyItem[]> {
    const unfinished: UnreadyItem[] = [];
    for (const { status, ...view } of await this.list(kind)) {
      if (status !== 'completed' && status !== 'cancelled' && !(await isReady(view.name)))
        unfinished.push({ state: status, ...view });
    }
    const available: UnreadyItem[] = [];
    for (const name of builtins) {
      if (unfinished.some((item) => item.name === name) || (await isReady(name))) continue;
      available.push({ state: 'available', name, builtin: name });
    }
    return [...available, ...unfinished];
  }

  /** All preparations of a kind that have not been completed. */
  private async list(kind: 'corpus' | 'teacher'): Promise<PreparationView[]> {
    const ids: string[] = [];
    for await (const id of this.records.ids(keys.preparations(), 'preparation.json')) ids.push(id);
    const views = await mapLimited(ids, async (id) => {
      const record = await this.records.preparation(id);
      return record?.request.kind === kind ? this.view(record) : undefined;
    });
    return views.filter((view) => view !== undefined && view.status !== 'completed') as PreparationView[];
  }

  async view(record: PreparationRecord): Promise<PreparationView> {
    const { preparationId, request, createdAt } = record;
    const facts = { preparationId, kind: request.kind, name: request.name, createdAt };
    const result = await this.records.preparationResult(preparationId);
    if (result !== undefined) {
      const { preparationId: _id, ...ending } = result;
      return { ...facts, ...ending };
    }
    const progress = (await this.live.preparations([preparationId]))?.get(preparationId);
    if (progress === undefined) {
      const waitsFor = await this.lackOf(record);
      return { ...facts, status: 'queued', ...(waitsFor.length > 0 ? { waitsFor } : {}) };
    }
    return { ...facts, status: 'running', progress: { fraction: progress.fraction, message: progress.message } };
  }

  /** What the workers of now lack for it; nothing where they are not known. */
  private async lackOf({ preparationId }: PreparationRecord): Promise<string[]> {
    const workers = await this.live.workers();
    // Not what is remembered of it: another copy of the API may have moved it.
    const { placement = {} } = await getJson<PreparationRecord>(this.store, keys.preparation(preparationId));
    const { memoryBytes = 0, ...where } = placement;
    return workers ? lackOf({ ...where, memoryBytes: [memoryBytes] }, [true], workers, 'jobs') : [];
  }
}
