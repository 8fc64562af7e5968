// GET /v1/workers: who is there to work. Only Redis knows, so without it there is no answer.
import { Controller, Get, Inject, Query } from '@nestjs/common';
import type { LiveWorker } from '#experiment';
import type { RedisFleet } from '#queue';
import { FLEET } from '../connections.js';
import { Answers, Operation, Problems } from '../openapi/decorators.js';
import { refuseQuery } from '../requests/query.js';

@Controller({ path: 'workers', version: '1' })
export class WorkersController {
  constructor(@Inject(FLEET) private readonly fleet: RedisFleet) {}

  @Get()
  @Operation({ tag: 'workers', summary: 'Workers heard of within the last half minute' })
  @Answers(200, 'The workers in the order of their ids', 'WorkerList')
  @Problems(400, 401, 503)
  list(@Query() query: object): Promise<LiveWorker[]> {
    refuseQuery(query);
    return this.fleet.liveWorkers();
  }
}
