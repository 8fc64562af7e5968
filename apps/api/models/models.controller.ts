// /v1/models: any stored model (a teacher's, a trial's) as a file for other programs.
import { Controller, Get, Query, Res } from '@nestjs/common';
import type { Response } from 'express';
import { contentDisposition } from '#storage';
import { Answers, Operation, Problems, QueryText } from '../openapi/decorators.js';
import { QueryReader } from '../requests/query.js';
import { MODEL_FORMATS, ModelsService, type StoredModel } from './models.service.js';

const REFERENCE = "A teacher's name or id, a hybrid's id, or TRIAL/FILE, e.g. 3f2a…/best_student_model";
const MAX_POSITIONS = 1_000_000;

@Controller({ path: 'models', version: '1' })
export class ModelsController {
  constructor(private readonly models: ModelsService) {}

  @Get('description')
  @Operation({ tag: 'models', summary: 'Sizes, corpus and vocabulary of any stored model' })
  @QueryText('model', REFERENCE, { required: true })
  @Answers(200, 'The model', 'ModelDescription')
  @Problems(400, 401, 404, 409, 503)
  async describe(@Query() query: object) {
    const reader = new QueryReader(query, ['model']);
    const { label, corpusId, architecture, file } = await this.resolve(reader);
    const { token_to_idx } = JSON.parse((await this.models.vocabulary(corpusId)).toString('utf8'));
    return { label, corpusId, architecture, sha256: file.sha256, vocabulary: { token_to_idx } };
  }

  @Get('export')
  @Operation({
    tag: 'models',
    summary: 'A model as torch.load(weights_only=True) or safetensors take it',
    description:
      'The whole state_dict of the reference implementation, with its names, its order and its position tables, so that load_state_dict(strict=True) finds everything.',
  })
  @QueryText('model', REFERENCE, { required: true })
  @QueryText('format', 'Default: pytorch', { choices: MODEL_FORMATS })
  @QueryText('positions', 'Rows of the position tables; default: the vocabulary size, as in the reference')
  @Answers(200, 'The file', 'binary')
  @Problems(400, 401, 404, 409, 503)
  async export(@Query() query: object, @Res() response: Response): Promise<void> {
    const reader = new QueryReader(query, ['model', 'format', 'positions']);
    const format = reader.choice('format', MODEL_FORMATS) ?? 'pytorch';
    const positions = reader.integer('positions', { low: 1, high: MAX_POSITIONS });
    const model = await this.resolve(reader);
    const bytes = await this.models.export(model, format, positions ?? model.architecture.vocabularySize);
    const ending = format === 'pytorch' ? 'pth' : 'safetensors';
    response.set({
      'Content-Type': 'application/octet-stream',
      'Content-Disposition': contentDisposition(`${model.label.replaceAll('/', '-')}.${ending}`),
      'Content-Length': String(bytes.length),
    });
    response.end(bytes);
  }

  private async resolve(reader: QueryReader): Promise<StoredModel> {
    const reference = reader.text('model');
    if (reference === undefined) reader.fault('model', `is required: ${REFERENCE}`);
    reader.done();
    return this.models.resolve(reference ?? '');
  }
}
