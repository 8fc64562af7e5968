// /v1/analyses: two stored models measured on the same sentences and noise, and what each makes of every sentence.
import { Controller, Get, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import { type AnalysisRequest, parseAnalysisRequest } from '#experiment';
import { Answers, Operation, Paged, PathId, Problems, Steers, Takes } from '../openapi/decorators.js';
import type { Page } from '../records/records.service.js';
import { JsonBody, ParsePipe } from '../requests/json-body.js';
import { QueryReader, refuseQuery } from '../requests/query.js';
import { sendReportFile } from '../requests/report-files.js';
import { ANALYSIS_SUFFIXES, AnalysesService, type AnalysisView } from './analyses.service.js';

const ANALYSIS_ID = { name: 'analysisId', description: 'From the answer to POST /v1/analyses' };

@Controller({ path: 'analyses', version: '1' })
export class AnalysesController {
  constructor(private readonly analyses: AnalysesService) {}

  @Post()
  @HttpCode(202)
  @Operation({
    tag: 'analyses',
    summary: 'Compare any two stored models',
    description:
      'Both meet the same test sentences, noise and fading. All measures of a trial, both crossed pairs, the difference ' +
      'with a bootstrap over sentences, and every sentence as both receive it. The same request is answered from the record.',
  })
  @Takes('AnalysisRequest', { reference: 'demo', other: '3f2a…/final_student_model' })
  @Answers(202, 'How far it has come', 'AnalysisListItem')
  @Problems(400, 401, 404, 409, 410, 413, 415, 503)
  async start(
    @JsonBody(new ParsePipe(parseAnalysisRequest)) request: AnalysisRequest,
    @Query() query: object,
    @Res({ passthrough: true }) response: Response,
  ): Promise<AnalysisView> {
    refuseQuery(query);
    const analysis = await this.analyses.start(request);
    response.setHeader('Location', analysis.links.self);
    return analysis;
  }

  @Get()
  @Operation({ tag: 'analyses', summary: 'List analyses' })
  @Paged()
  @Answers(200, 'A page of analyses in the order of their ids', 'AnalysisPage')
  @Problems(400, 401, 503)
  list(@Query() query: object): Promise<Page<AnalysisView>> {
    const reader = new QueryReader(query, ['limit', 'cursor']);
    const page = reader.page();
    reader.done();
    return this.analyses.list(page);
  }

  @Get(':analysisId')
  @Operation({
    tag: 'analyses',
    summary: 'One analysis, with its result when it is completed',
    description:
      'Of the sentences the result holds the worst and the most improved; report.json and report.csv hold all.',
  })
  @PathId('analysisId', ANALYSIS_ID.description)
  @Answers(200, 'The analysis', 'Analysis')
  @Problems(400, 401, 404, 503)
  get(@Param('analysisId') analysisId: string, @Query() query: object): Promise<AnalysisView> {
    refuseQuery(query);
    return this.analyses.get(analysisId);
  }

  @Steers(ANALYSIS_ID, {
    path: 'cancel',
    tag: 'analyses',
    summary: 'Cancel an analysis',
    description: 'A worker that is at it stops within seconds. Asked for again it starts afresh.',
    answer: 'The analysis, cancelled',
    schema: 'AnalysisListItem',
  })
  cancel(@Param('analysisId') analysisId: string, @Query() query: object): Promise<AnalysisView> {
    refuseQuery(query);
    return this.analyses.cancel(analysisId);
  }

  @Get(':analysisId/report')
  @Operation({ tag: 'analyses', summary: 'The report, in the format of the Accept header' })
  @PathId('analysisId', ANALYSIS_ID.description)
  @Answers(200, 'The report as JSON, HTML, Markdown, or CSV (a row a sentence)', 'AnalysisReport')
  @Problems(400, 401, 404, 406, 409, 503)
  async report(
    @Param('analysisId') analysisId: string,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    refuseQuery(request.query);
    response.vary('Accept');
    sendReportFile(response, await this.analyses.accepted(analysisId, request));
  }

  @Get(':analysisId/report.:format')
  @Operation({ tag: 'analyses', summary: 'The report in a named format' })
  @PathId('analysisId', ANALYSIS_ID.description)
  @PathId('format', ANALYSIS_SUFFIXES.join(', '))
  @Answers(200, 'The report', 'AnalysisReport')
  @Problems(400, 401, 404, 409, 503)
  async reportAs(
    @Param('analysisId') analysisId: string,
    @Param('format') format: string,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    refuseQuery(request.query);
    sendReportFile(response, await this.analyses.file(analysisId, `report.${format}`));
  }

  @Get(':analysisId/report/:name')
  @Operation({ tag: 'analyses', summary: 'A file of the report by name, such as measures.csv or a chart' })
  @PathId('analysisId', ANALYSIS_ID.description)
  @PathId('name', 'As listed in files of the analysis')
  @Answers(200, 'The file', 'binary')
  @Problems(400, 401, 404, 409, 503)
  async reportFile(
    @Param('analysisId') analysisId: string,
    @Param('name') name: string,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    refuseQuery(request.query);
    sendReportFile(response, await this.analyses.file(analysisId, name));
  }
}
