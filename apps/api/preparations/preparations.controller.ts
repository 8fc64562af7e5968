// GET /v1/preparations/{id}: how far a corpus or teacher being made has come.
import { Controller, Get, Param, Query } from '@nestjs/common';
import { Answers, Operation, PathId, Problems } from '../openapi/decorators.js';
import { refuseQuery } from '../requests/query.js';
import type { PreparationView } from './preparation-view.js';
import { PreparationsService } from './preparations.service.js';

@Controller({ path: 'preparations', version: '1' })
export class PreparationsController {
  constructor(private readonly preparations: PreparationsService) {}

  @Get(':preparationId')
  @Operation({ tag: 'preparations', summary: 'How far a corpus or teacher being made has come' })
  @PathId('preparationId', 'From the answer to POST /v1/corpora or /v1/teachers')
  @Answers(200, 'The preparation', 'Preparation')
  @Problems(400, 401, 404, 503)
  get(@Param('preparationId') preparationId: string, @Query() query: object): Promise<PreparationView> {
    refuseQuery(query);
    return this.preparations.get(preparationId);
  }
}
