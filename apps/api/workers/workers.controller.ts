// /v1/workers: who is there to work, and sending one away. Only Redis knows of them, so without it there is no answer.
import { Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { type LiveWorker, NotFound } from '#experiment';
import type { RedisFleet } from '#queue';
import { FLEET } from '../connections.js';
import { Answers, Operation, PathId, Problems } from '../openapi/decorators.js';
import { namesOrNone } from '../records/names.js';
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

  @Post(':workerId/drain')
  @HttpCode(202)
  @Operation({
    tag: 'workers',
    summary: 'Send a worker away',
    description:
      'It takes no more jobs, gives the one it has back with a checkpoint, and ends with exit code 0 within 10 s.',
  })
  @PathId('workerId', 'From the list of workers')
  @Answers(202, 'The worker as it was last heard of; it is gone from the list when it has ended', 'LiveWorker')
  @Problems(400, 401, 404, 503)
  async drain(@Param('workerId') workerId: string, @Query() query: object): Promise<LiveWorker> {
    refuseQuery(query);
    const workers = await this.fleet.liveWorkers();
    const worker = workers.find((one) => one.workerId === workerId);
    if (worker === undefined) {
      const names = namesOrNone(workers.map((one) => one.workerId));
      throw new NotFound(`There is no worker ${JSON.stringify(workerId)}; known: ${names}.`);
    }
    await this.fleet.drainWorker(workerId);
    return worker;
  }
}
