// /v1/verifications: a stored model measured once more by a worker, against the scores in its record.
import { Controller, HttpCode, Post, Query } from '@nestjs/common';
import { parseVerificationRequest, type VerificationRequest } from '#experiment';
import { Answers, Operation, Problems, Takes } from '../openapi/decorators.js';
import type { PreparationView } from '../preparations/preparation-view.js';
import { JsonBody, ParsePipe } from '../requests/json-body.js';
import { refuseQuery } from '../requests/query.js';
import { VerificationsService } from './verifications.service.js';

@Controller({ path: 'verifications', version: '1' })
export class VerificationsController {
  constructor(private readonly verifications: VerificationsService) {}

  @Post()
  @HttpCode(202)
  @Operation({
    tag: 'verifications',
    summary: 'Measure a stored model again and compare with its recorded scores',
    description:
      'On the same sentences, SNRs and draws: the same numerics give the recorded numbers exactly, others within a ' +
      'tolerance that the answer states. The preparation carries the verification when it is completed. Each request measures anew.',
  })
  @Takes('VerificationRequest', { model: '3f2a…/final_student_model' })
  @Answers(202, 'How far it has come', 'Preparation')
  @Problems(400, 401, 404, 409, 413, 415, 503)
  start(
    @JsonBody(new ParsePipe(parseVerificationRequest)) request: VerificationRequest,
    @Query() query: object,
  ): Promise<PreparationView> {
    refuseQuery(query);
    return this.verifications.start(request);
  }
}
