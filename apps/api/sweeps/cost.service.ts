// What a planned sweep will take, from the rates in the record and the workers there are. Advice: where neither can be read, the figure
// rests on a stated rate, and says so.
import { Inject, Injectable } from '@nestjs/common';
import {
  type BundleRate,
  type CorpusRecord,
  type CostEstimate,
  DEFAULT_POOL,
  estimateCost,
  type LiveWorker,
  type Placement,
  type PlannedTrial,
  shapeIdOf,
  type TeacherRecord,
} from '#experiment';
import { findJson, keys, listPages, type ObjectStore } from '#storage';
import { STORE } from '../connections.js';
import { LiveService } from '../records/live.service.js';
import { mapLimited } from '../records/map-limited.js';

/** So many different shapes of a sweep are looked up; those beyond go by the device's rate. */
const MOST_SHAPES = 64;
const MOST_RATES = 32;

@Injectable()
export class CostService {
  constructor(
    @Inject(STORE) private readonly store: ObjectStore,
    private readonly live: LiveService,
  ) {}

  /** Of these trials of the bundles, those that are still to be trained. */
  async estimate(
    bundles: readonly string[][],
    open: ReadonlySet<string>,
    plan: { trials: readonly PlannedTrial[]; teacher: TeacherRecord; corpus: CorpusRecord; placement: Placement },
  ): Promise<CostEstimate> {
    const specs = new Map(plan.trials.map(({ trialId, spec }) => [trialId, spec]));
    const costed = bundles.flatMap((bundle) => {
      const left = bundle.filter((trialId) => open.has(trialId));
      const spec = specs.get(left[0] ?? '');
      return spec ? [{ spec, students: left.length }] : [];
    });
    const workers = ableWorkers(plan.placement, (await this.live.workers()) ?? []);
    const shapes = [...new Set(costed.map(({ spec }) => shapeIdOf(spec)))].slice(0, MOST_SHAPES);
    const found = await mapLimited(shapes, (shape) => this.rates(keys.ratesOfShape(shape)));
    const byShape = new Map(shapes.map((shape, index) => [shape, ordered(found[index] ?? [], workers)]));
    const any = ordered(await this.rates(keys.deviceRates()), workers);
    const known = { ofShape: (shape: string) => byShape.get(shape) ?? [], any };
    const threads = Math.max(1, ...workers.map((worker) => worker.numerics?.threads ?? worker.device?.cores ?? 1));
    return estimateCost(costed, plan, known, { workers: workers.length, threads });
  }

  private async rates(prefix: string): Promise<BundleRate[]> {
    const found: string[] = [];
    for await (const objects of listPages(this.store, prefix)) {
      found.push(...objects.map(({ key }) => key));
      if (found.length >= MOST_RATES) break;
    }
    const rates = await mapLimited(found.slice(0, MOST_RATES), (key) => findJson<BundleRate>(this.store, key));
    return rates.filter((rate) => rate !== undefined);
  }
}

/** Those that the sweep's bundles may go to. */
function ableWorkers({ pool = DEFAULT_POOL, requires = [] }: Placement, workers: readonly LiveWorker[]): LiveWorker[] {
  return workers.filter(
    (worker) =>
      worker.state !== 'draining' &&
      (worker.pool ?? DEFAULT_POOL) === pool &&
      requires.every((label) => worker.labels?.includes(label)),
  );
}

/** Rates of devices that are there first, then the newest. */
function ordered(rates: readonly BundleRate[], workers: readonly LiveWorker[]): BundleRate[] {
  const isThere = ({ device }: BundleRate) =>
    workers.some(
      (worker) =>
        worker.device?.cpu === device.cpu &&
        (worker.numerics === undefined || worker.numerics.threads === device.threads),
    )
      ? 1
      : 0;
  return [...rates].sort((a, b) => isThere(b) - isThere(a) || (a.measuredAt < b.measuredAt ? 1 : -1));
}
