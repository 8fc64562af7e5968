// /v1/teachers: trained models that students learn from.
import { Controller, Get, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import type { Response } from 'express';
import { parseTeacherRequest, type TeacherRecord, type TeacherRequest } from '#experiment';
import { Answers, Operation, Paged, PathId, Problems, Takes } from '../openapi/decorators.js';
import type { PreparationView } from '../preparations/preparation-view.js';
import type { Page } from '../records/records.service.js';
import { JsonBody, ParsePipe } from '../requests/json-body.js';
import { QueryReader, refuseQuery } from '../requests/query.js';
import { type TeacherListItem, TeachersService } from './teachers.service.js';

@Controller({ path: 'teachers', version: '1' })
export class TeachersController {
  constructor(private readonly teachers: TeachersService) {}

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
