// POST /v1/distillations: one student. It is stored as a sweep of one trial, so everything that works on sweeps works on it.
import { Controller, Headers, HttpCode, Post, Query } from '@nestjs/common';
import { type DistillationRequest, parseDistillationRequest, sweepOfDistillation } from '#experiment';
import { Answers, IdempotencyKey, Operation, Problems, Takes } from '../openapi/decorators.js';
import { JsonBody, ParsePipe } from '../requests/json-body.js';
import { refuseQuery } from '../requests/query.js';
import { parseIdempotencyKey, SweepSubmissionService } from '../sweeps/sweep-submission.service.js';
import type { DistillationSubmission } from '../sweeps/sweep-view.js';
import { TrialsService } from '../trials/trials.service.js';

@Controller({ path: 'distillations', version: '1' })
export class DistillationsController {
  constructor(
    private readonly submissions: SweepSubmissionService,
    private readonly trials: TrialsService,
  ) {}

  @Post()
  @HttpCode(202)
  @Operation({
    tag: 'distillations',
    summary: 'Train one student',
    description: 'Kept as a sweep of one trial: follow it at /v1/trials/{trialId} or /v1/sweeps/{sweepId}.',
  })
  @Takes('DistillationRequest', { teacher: 'demo', temperature: 4, distillWeight: 0.7, studentLayers: 2 })
  @IdempotencyKey()
  @Answers(202, 'The distillation is stored and will be carried out', 'DistillationSubmission')
  @Problems(400, 401, 404, 409, 413, 415, 429, 503)
  async submit(
    @JsonBody(new ParsePipe(parseDistillationRequest)) request: DistillationRequest,
    @Query() query: object,
    @Headers('idempotency-key') idempotencyKey: string | undefined,
  ): Promise<DistillationSubmission> {
    refuseQuery(query);
    const { sweep } = await this.submissions.submit(sweepOfDistillation(request), {
      kind: 'distillation',
      idempotencyKey: parseIdempotencyKey(idempotencyKey),
    });
    const { sweepId, trials, warnings, placement } = sweep;
    const [trial] = await this.trials.views(trials);
    if (trial === undefined) throw new Error(`distillation ${sweepId} has no trial`);
    const isWaiting = trial.status === 'queued' && placement !== undefined;
    const waitsFor = isWaiting ? await this.submissions.lack(placement) : [];
    const { trialId, status } = trial;
    return { trialId, sweepId, status, warnings, ...(waitsFor.length > 0 ? { waitsFor } : {}) };
  }
}
