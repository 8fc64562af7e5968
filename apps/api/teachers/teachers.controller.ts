// /v1/teachers: trained models that students learn from.
import { Controller, Get, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import {
  MAX_MODEL_BYTES,
  MAX_VOCABULARY_BYTES,
  parseTeacherRequest,
  type TeacherRecord,
  type TeacherRequest,
} from '#experiment';
import { Answers, Operation, Paged, PathId, Problems, refTo, Takes } from '../openapi/decorators.js';
import type { PreparationView } from '../preparations/preparation-view.js';
import type { Page } from '../records/records.service.js';
import { JsonBody, ParsePipe, requireContentType } from '../requests/json-body.js';
import { QueryReader, refuseQuery } from '../requests/query.js';
import { receiveForm } from '../requests/uploaded-files.js';
import { type TeacherImport, TeacherImportService } from './teacher-import.service.js';
import { type TeacherListItem, TeachersService } from './teachers.service.js';

@Controller({ path: 'teachers', version: '1' })
export class TeachersController {
  constructor(
    private readonly teachers: TeachersService,
    private readonly imports: TeacherImportService,
  ) {}

  @Post()
  @HttpCode(202)
  @Operation({
    tag: 'teachers',
    summary: 'Make a teacher',
    description:
      'A built-in one, or one trained on a corpus. Asked for twice it is made once; failed, it is tried again.',
  })
  @Takes('TeacherRequest', { builtin: 'demo' })
  @Answers(202, 'How far it has come; completed at once when it is there already', 'Preparation')
  @Problems(400, 401, 404, 409, 413, 415, 503)
  start(
    @JsonBody(new ParsePipe(parseTeacherRequest)) request: TeacherRequest,
    @Query() query: object,
  ): Promise<PreparationView> {
    refuseQuery(query);
    return this.teachers.start(request);
  }

  @Post('import')
  @HttpCode(202)
  @Operation({
    tag: 'teachers',
    summary: 'Bring in a teacher that was trained elsewhere',
    description:
      'The model file (PyTorch or safetensors, up to 512 MiB) and the vocab.json it was trained with, or the corpus it belongs to. Everything that is missing, extra or of another shape is told before anything is kept; then a worker measures its BLEU over SNR.',
    bodies: {
      'multipart/form-data': {
        schema: refTo('TeacherImportForm'),
        example: { model: '(teacher.pth)', vocabulary: '(vocab.json)', name: 'mine', heads: 8 },
      },
    },
  })
  @Answers(202, 'What the file holds and, unless it was a dry run, how far the import has come', 'TeacherImport')
  @Problems(400, 401, 404, 409, 413, 415, 503)
  import(@Req() request: Request, @Query() query: object): Promise<TeacherImport> {
    refuseQuery(query);
    requireContentType(request, ['multipart/form-data']);
    const limits = { model: MAX_MODEL_BYTES, vocabulary: MAX_VOCABULARY_BYTES };
    return receiveForm(request, limits, (form) => this.imports.import(form));
  }

  @Get()
  @Operation({ tag: 'teachers', summary: 'List teachers: ready ones, and those that are being made' })
  @Paged()
  @Answers(200, 'A page of teachers; the first begins with those that are not ready', 'TeacherPage')
  @Problems(400, 401, 503)
  list(@Query() query: object): Promise<Page<TeacherListItem>> {
    const reader = new QueryReader(query, ['limit', 'cursor']);
    const page = reader.page();
    reader.done();
    return this.teachers.list(page);
  }

  @Get(':teacher')
  @Operation({ tag: 'teachers', summary: 'One teacher by id or name, or how far it has come' })
  @PathId('teacher', 'Id or name')
  @Answers(200, 'The teacher, or its preparation while it is being made', 'TeacherOrPreparation')
  @Problems(400, 401, 404, 503)
  get(@Param('teacher') idOrName: string, @Query() query: object): Promise<TeacherRecord | PreparationView> {
    refuseQuery(query);
    return this.teachers.get(idOrName);
  }

  @Get(':teacher/artifacts/:name')
  @Operation({
    tag: 'teachers',
    summary: "Fetch a teacher's file",
    description: 'Redirects to a URL that is good for an hour and needs no API key.',
  })
  @PathId('teacher', 'Id or name')
  @PathId('name', 'As in the files of the teacher')
  @Answers(302, 'Where the file is', 'none')
  @Problems(400, 401, 404, 409, 503)
  async artifact(
    @Param('teacher') idOrName: string,
    @Param('name') name: string,
    @Query() query: object,
    @Res() response: Response,
  ): Promise<void> {
    refuseQuery(query);
    response.redirect(302, await this.teachers.artifactUrl(idOrName, name));
  }
}
