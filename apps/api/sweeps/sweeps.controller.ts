// /v1/sweeps: sets of trials, their progress and their report.
import { Controller, Get, Headers, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import { type Extension, parseExtension, parseSweepRequest, type SweepRequest, unfoldTrial } from '#experiment';
import { SweepControlsService } from '../controls/sweep-controls.service.js';
import { EventStreamsService } from '../events/event-streams.service.js';
import {
  Answers,
  AnswersEvents,
  IdempotencyKey,
  Operation,
  Paged,
  PathId,
  Problems,
  QueryText,
  Steers,
  Takes,
} from '../openapi/decorators.js';
import { mapLimited } from '../records/map-limited.js';
import { type Page, RecordsService } from '../records/records.service.js';
import { JsonBody, ParsePipe } from '../requests/json-body.js';
import { QueryReader, refuseQuery } from '../requests/query.js';
import { sendReportFile } from '../requests/report-files.js';
import { trialIdIn } from '../trials/trials.controller.js';
import { REPORT_SUFFIXES, SweepReportsService } from './sweep-reports.service.js';
import {
  parseIdempotencyKey,
  type Submitted,
  type SweepPlan,
  SweepSubmissionService,
} from './sweep-submission.service.js';
import type { SweepListItem, SweepSubmission, SweepView } from './sweep-view.js';
import { SweepsService } from './sweeps.service.js';

const OVER: readonly string[] = ['completed', 'completed_with_failures', 'failed', 'cancelled'];

const SWEEP_ID = { name: 'sweepId', description: 'From the answer to POST /v1/sweeps' };

@Controller({ path: 'sweeps', version: '1' })
export class SweepsController {
  constructor(
    private readonly sweeps: SweepsService,
    private readonly submissions: SweepSubmissionService,
    private readonly controls: SweepControlsService,
    private readonly reports: SweepReportsService,
    private readonly records: RecordsService,
    private readonly streams: EventStreamsService,
  ) {}

  @Post()
  @HttpCode(202)
  @Operation({
    tag: 'sweeps',
    summary: 'Start a sweep',
    description:
      'Trains a student per setting and seed. Trials that have been trained before are reused. With dryRun=true the plan and its warnings are given and nothing is stored.',
  })
  @Takes('SweepRequest', {
    teacher: 'demo',
    vary: { temperature: [1, 2, 4, 8] },
    base: { distillWeight: 0.7 },
    seeds: 3,
  })
  @QueryText('dryRun', 'Only plan', { choices: ['true', 'false'] })
  @IdempotencyKey()
  @Answers(202, 'The sweep is stored and will be carried out', 'SweepSubmission')
  @Answers(200, 'The plan (dryRun)', 'SweepSubmission')
  @Problems(400, 401, 404, 409, 413, 415, 429, 503)
  async submit(
    @JsonBody(new ParsePipe(parseSweepRequest)) request: SweepRequest,
    @Query() query: object,
    @Headers('idempotency-key') idempotencyKey: string | undefined,
    @Res({ passthrough: true }) response: Response,
  ): Promise<SweepSubmission> {
    const reader = new QueryReader(query, ['dryRun']);
    const isDryRun = reader.choice('dryRun', ['true', 'false']) === 'true';
    reader.done();
    const key = parseIdempotencyKey(idempotencyKey);
    if (isDryRun) {
      response.status(200);
      return this.planned(await this.submissions.plan(request));
    }
    return this.accepted(await this.submissions.submit(request, { kind: 'sweep', idempotencyKey: key }), response);
  }

  private async accepted({ sweep, isNew }: Submitted, response: Response): Promise<SweepSubmission> {
    const { sweepId, version, name, warnings, bundles, placement, estimate } = sweep;
    const { status, waitsFor = [] } =
      isNew && placement
        ? { status: 'queued' as const, waitsFor: await this.submissions.lack(placement) }
        : await this.sweeps.get(sweepId);
    const reused = isNew ? 0 : await this.submissions.countReused(sweep);
    const trials = await mapLimited(sweep.trials, async (trial) => {
      const { trialId, role } = trial;
      const record = unfoldTrial(sweep, trial) ?? (await this.records.trial(trialId));
      if (record === undefined) throw new Error(`the record of trial ${trialId} is missing`);
      return { trialId, role, hyperparameters: record.spec.hyperparameters };
    });
    const links = this.sweeps.linksTo(sweepId);
    response.setHeader('Location', links.self);
    const more = { ...(version === undefined ? {} : { version }), ...(waitsFor.length > 0 ? { waitsFor } : {}) };
    const cost = estimate ? { estimate } : {};
    return { sweepId, ...more, name, status, trials, bundles: bundles.length, reused, ...cost, warnings, links };
  }

  private async planned(plan: SweepPlan): Promise<SweepSubmission> {
    const { request, trials, bundles, placement, warnings } = plan;
    const waitsFor = await this.submissions.lack(placement);
    return {
      name: request.name,
      status: 'planned',
      trials: trials.map(({ trialId, role, spec }) => ({ trialId, role, hyperparameters: spec.hyperparameters })),
      bundles: bundles.length,
      ...(await this.submissions.outlook(plan)),
      warnings,
      ...(waitsFor.length > 0 ? { waitsFor } : {}),
    };
  }

  @Get()
  @Operation({ tag: 'sweeps', summary: 'List sweeps' })
  @Paged()
  @Answers(200, 'A page of sweeps in the order of their ids', 'SweepPage')
  @Problems(400, 401, 503)
  list(@Query() query: object): Promise<Page<SweepListItem>> {
    const reader = new QueryReader(query, ['limit', 'cursor']);
    const page = reader.page();
    reader.done();
    return this.sweeps.list(page);
  }

  @Get(':sweepId')
  @Operation({ tag: 'sweeps', summary: 'One sweep with its trials' })
  @PathId('sweepId', 'From the answer to POST /v1/sweeps')
  @Answers(200, 'The sweep', 'Sweep')
  @Problems(400, 401, 404, 503)
  get(@Param('sweepId') sweepId: string, @Query() query: object): Promise<SweepView> {
    refuseQuery(query);
    return this.sweeps.get(sweepId);
  }

  @Steers(SWEEP_ID, {
    path: 'cancel',
    tag: 'sweeps',
    summary: 'Cancel a sweep',
    description: 'Stops its trials, except those that another open sweep asks for too. What is finished stays.',
    answer: 'The sweep, cancelled',
    schema: 'Sweep',
  })
  cancel(@Param('sweepId') sweepId: string, @Query() query: object): Promise<SweepView> {
    refuseQuery(query);
    return this.controls.cancel(sweepId);
  }

  @Steers(SWEEP_ID, {
    path: 'pause',
    tag: 'sweeps',
    summary: 'Pause a sweep',
    description:
      'Waiting trials wait on, running ones stop with a checkpoint within seconds, except those that another open sweep asks for too.',
    answer: 'The sweep, paused',
    schema: 'Sweep',
  })
  pause(@Param('sweepId') sweepId: string, @Query() query: object): Promise<SweepView> {
    refuseQuery(query);
    return this.controls.pause(sweepId);
  }

  @Steers(SWEEP_ID, {
    path: 'resume',
    tag: 'sweeps',
    summary: 'Resume a paused sweep',
    description: 'Every paused trial of it goes on from its checkpoint, to the same numbers as without the pause.',
    answer: 'The sweep',
    schema: 'Sweep',
  })
  resume(@Param('sweepId') sweepId: string, @Query() query: object): Promise<SweepView> {
    refuseQuery(query);
    return this.controls.resume(sweepId);
  }

  @Steers(SWEEP_ID, {
    path: 'retry',
    tag: 'sweeps',
    summary: 'Try failed and cancelled trials again',
    description: 'A sweep that was settled becomes its next version: it is settled anew, with a new report.',
    answer: 'The sweep',
    schema: 'Sweep',
  })
  retry(@Param('sweepId') sweepId: string, @Query() query: object): Promise<SweepView> {
    refuseQuery(query);
    return this.controls.retry(sweepId);
  }

  @Post(':sweepId/extend')
  @HttpCode(202)
  @Operation({
    tag: 'sweeps',
    summary: 'Add seeds or values to a sweep',
    description:
      'The sweep keeps its id and becomes its next version; what it has trained is reused. With dryRun=true the plan is given and nothing is stored.',
  })
  @Takes('SweepExtension', { seeds: 2, vary: { temperature: [12] } })
  @QueryText('dryRun', 'Only plan', { choices: ['true', 'false'] })
  @PathId('sweepId', 'From the answer to POST /v1/sweeps')
  @Answers(202, 'The sweep in its new version', 'SweepSubmission')
  @Answers(200, 'The plan (dryRun)', 'SweepSubmission')
  @Problems(400, 401, 404, 409, 413, 415, 429, 503)
  async extend(
    @Param('sweepId') sweepId: string,
    @JsonBody(new ParsePipe(parseExtension)) extension: Extension,
    @Query() query: object,
    @Res({ passthrough: true }) response: Response,
  ): Promise<SweepSubmission> {
    const reader = new QueryReader(query, ['dryRun']);
    const isDryRun = reader.choice('dryRun', ['true', 'false']) === 'true';
    reader.done();
    if (isDryRun) {
      response.status(200);
      return this.planned((await this.submissions.planExtension(sweepId, extension)).plan);
    }
    return this.accepted({ sweep: await this.submissions.extend(sweepId, extension), isNew: false }, response);
  }

  @Get(':sweepId/events')
  @Operation({
    tag: 'sweeps',
    summary: 'Follow a sweep',
    description:
      'Server-sent events: `sweep` with the state first and last, between them `trial-progress`, `trial-epoch`, `trial-ended` and `sweep-settled`. The stream ends when the sweep is settled.',
  })
  @PathId('sweepId', 'From the answer to POST /v1/sweeps')
  @AnswersEvents('The stream')
  @Problems(400, 401, 404, 503)
  async events(
    @Param('sweepId') sweepId: string,
    @Query() query: object,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    refuseQuery(query);
    const trialIds = new Set((await this.records.sweep(sweepId))?.trials.map(({ trialId }) => trialId));
    await this.streams.send(request, response, {
      name: 'sweep',
      state: () => this.sweeps.get(sweepId),
      // A cancelled sweep is over when it is settled, too: its running trials take a moment to stop.
      isOver: ({ status, settledAt }) => OVER.includes(status) && settledAt !== undefined,
      concerns: (event) =>
        event.type === 'sweep-settled' ? event.sweepId === sweepId : trialIds.has(trialIdIn(event) ?? ''),
      ends: (event) => event.type === 'sweep-settled',
    });
  }

  @Get(':sweepId/report')
  @Operation({ tag: 'sweeps', summary: 'The comparison report, in the format of the Accept header' })
  @PathId('sweepId', 'From the answer to POST /v1/sweeps')
  @Answers(200, 'The report as JSON, HTML, Markdown, CSV or LaTeX', 'Report')
  @Problems(400, 401, 404, 406, 409, 503)
  async report(@Param('sweepId') sweepId: string, @Req() request: Request, @Res() response: Response): Promise<void> {
    refuseQuery(request.query);
    response.vary('Accept');
    sendReportFile(response, await this.reports.report(sweepId, request));
  }

  @Get(':sweepId/report.:format')
  @Operation({ tag: 'sweeps', summary: 'The comparison report in a named format' })
  @PathId('sweepId', 'From the answer to POST /v1/sweeps')
  @PathId('format', REPORT_SUFFIXES.join(', '))
  @Answers(200, 'The report', 'Report')
  @Problems(400, 401, 404, 409, 503)
  async reportAs(
    @Param('sweepId') sweepId: string,
    @Param('format') format: string,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    refuseQuery(request.query);
    sendReportFile(response, await this.reports.report(sweepId, request, format));
  }

  @Get(':sweepId/report/:name')
  @Operation({ tag: 'sweeps', summary: 'A file of the report by name, such as a chart' })
  @PathId('sweepId', 'From the answer to POST /v1/sweeps')
  @PathId('name', 'As listed in reportFiles of the sweep')
  @Answers(200, 'The file', 'binary')
  @Problems(400, 401, 404, 409, 503)
  async reportFile(
    @Param('sweepId') sweepId: string,
    @Param('name') name: string,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    refuseQuery(request.query);
    sendReportFile(response, await this.reports.file(sweepId, name));
  }
}
