// POST /v1/repairs: what record and fleet disagree about, mended, or with dryRun=true only shown. The aggregator does the same by
// itself; this is for whoever wants to see it, or cannot wait.
import { Controller, HttpCode, Inject, Post, Query } from '@nestjs/common';
import type { RedisFleet } from '#queue';
import { type FleetFault, findFaults } from '#reconciliation';
import type { ObjectStore } from '#storage';
import { FLEET, STORE } from '../connections.js';
import { Answers, Operation, Problems, QueryText } from '../openapi/decorators.js';
import { LiveService } from '../records/live.service.js';
import { QueryReader } from '../requests/query.js';

const MOST_SHOWN = 1_000;

export interface RepairsView {
  dryRun: boolean;
  /** All that were found, also those beyond the ones shown. */
  found: number;
  faults: { kind: FleetFault['kind']; subject: string; message: string; mended: boolean }[];
}

@Controller({ path: 'repairs', version: '1' })
export class RepairsController {
  constructor(
    @Inject(STORE) private readonly store: ObjectStore,
    @Inject(FLEET) private readonly fleet: RedisFleet,
    private readonly live: LiveService,
  ) {}

  @Post()
  @HttpCode(200)
  @Operation({
    tag: 'repairs',
    summary: 'Mend what record and queue disagree about',
    description:
      'Sweeps not settled, bundles without a job, jobs of what is over, jobs nobody holds, leftover checkpoints, stuck leases. With dryRun=true they are only shown.',
  })
  @QueryText('dryRun', 'Only show', { choices: ['true', 'false'] })
  @Answers(200, 'What was found, and whether it was mended', 'Repairs')
  @Problems(400, 401, 503)
  async repair(@Query() query: object): Promise<RepairsView> {
    const reader = new QueryReader(query, ['dryRun']);
    const dryRun = reader.choice('dryRun', ['true', 'false']) === 'true';
    reader.done();
    await this.live.requireFleet();
    const faults: RepairsView['faults'] = [];
    let found = 0;
    for await (const { kind, subject, message, mend } of findFaults({ store: this.store, fleet: this.fleet })) {
      found++;
      if (mend && !dryRun) await mend();
      if (faults.length < MOST_SHOWN) faults.push({ kind, subject, message, mended: mend !== undefined && !dryRun });
    }
    return { dryRun, found, faults };
  }
}
