// /v1/hybrids: one stored model's transmitter with another's receiver, scored.
import { Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { type HybridRecord, type HybridRequest, parseHybridRequest } from '#experiment';
import { Answers, Operation, Paged, PathId, Problems, Takes } from '../openapi/decorators.js';
import type { Page } from '../records/records.service.js';
import { JsonBody, ParsePipe } from '../requests/json-body.js';
import { QueryReader, refuseQuery } from '../requests/query.js';
import { type HybridSubmission, HybridsService } from './hybrids.service.js';

@Controller({ path: 'hybrids', version: '1' })
export class HybridsController {
  constructor(private readonly hybrids: HybridsService) {}

  @Post()
  @HttpCode(202)
  @Operation({
    tag: 'hybrids',
    summary: 'Make a hybrid of two stored models and score it',
    description:
      "Any two models of one vocabulary and equal widths: teachers, or a trial's models. Asked for twice it is made once.",
  })
  @Takes('HybridRequest', { transmitter: 'demo', receiver: '3f2a…/best_student_model' })
  @Answers(202, 'How far it has come, and what speaks against the pair', 'HybridSubmission')
  @Problems(400, 401, 404, 409, 413, 415, 503)
  start(
    @JsonBody(new ParsePipe(parseHybridRequest)) request: HybridRequest,
    @Query() query: object,
  ): Promise<HybridSubmission> {
    refuseQuery(query);
    return this.hybrids.start(request);
  }

  @Get()
  @Operation({ tag: 'hybrids', summary: 'List hybrids' })
  @Paged()
  @Answers(200, 'A page of hybrids', 'HybridPage')
  @Problems(400, 401, 503)
  list(@Query() query: object): Promise<Page<HybridRecord>> {
    const reader = new QueryReader(query, ['limit', 'cursor']);
    const page = reader.page();
    reader.done();
    return this.hybrids.list(page);
  }

  @Get(':hybridId')
  @Operation({ tag: 'hybrids', summary: 'One hybrid with its BLEU over SNR' })
  @PathId('hybridId', 'From the finished preparation')
  @Answers(200, 'The hybrid', 'Hybrid')
  @Problems(400, 401, 404, 503)
  get(@Param('hybridId') hybridId: string, @Query() query: object): Promise<HybridRecord> {
    refuseQuery(query);
    return this.hybrids.get(hybridId);
  }
}
