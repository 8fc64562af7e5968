// /v1/trials: one student trained once; its state, curve and files.
import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import { type FleetEvent, TRIAL_STATUSES } from '#experiment';
import { TrialControlsService } from '../controls/trial-controls.service.js';
import { EventStreamsService } from '../events/event-streams.service.js';
import {
  Answers,
  AnswersEvents,
  Operation,
  Paged,
  PathId,
  Problems,
  QueryText,
  Steers,
} from '../openapi/decorators.js';
import type { Page } from '../records/records.service.js';
import { QueryReader, refuseQuery } from '../requests/query.js';
import type { ArtifactView, TrialMetricsView, TrialView } from './trial-view.js';
import { TrialsService } from './trials.service.js';

const OVER: readonly string[] = ['completed', 'failed', 'cancelled', 'pruned'];

const TRIAL_ID = { name: 'trialId', description: 'From a sweep or distillation' };

@Controller({ path: 'trials', version: '1' })
export class TrialsController {
  constructor(
    private readonly trials: TrialsService,
    private readonly controls: TrialControlsService,
    private readonly streams: EventStreamsService,
  ) {}

  @Get()
  @Operation({ tag: 'trials', summary: 'List trials' })
  @QueryText('status', 'Only trials in this state', { choices: TRIAL_STATUSES })
  @QueryText('sweep', 'Only trials of this sweep, in its order')
  @Paged()
  @Answers(200, 'A page of trials', 'TrialPage')
  @Problems(400, 401, 404, 503)
  list(@Query() query: object): Promise<Page<TrialView>> {
    const reader = new QueryReader(query, ['status', 'sweep', 'limit', 'cursor']);
    const status = reader.choice('status', TRIAL_STATUSES);
    const sweep = reader.text('sweep');
    const page = reader.page();
    reader.done();
    return this.trials.list({ ...(status ? { status } : {}), ...(sweep === undefined ? {} : { sweep }) }, page);
  }

  @Get(':trialId')
  @Operation({ tag: 'trials', summary: 'One trial' })
  @PathId('trialId', 'From a sweep or distillation')
  @Answers(200, 'The trial', 'Trial')
  @Problems(400, 401, 404, 503)
  get(@Param('trialId') trialId: string, @Query() query: object): Promise<TrialView> {
    refuseQuery(query);
    return this.trials.get(trialId);
  }

  @Steers(TRIAL_ID, {
    path: 'cancel',
    tag: 'trials',
    summary: 'Cancel a trial',
    description: 'Ends it without a result, for every sweep that asks for it; where it runs it stops within seconds.',
    answer: 'The trial, cancelled',
    schema: 'Trial',
  })
  cancel(@Param('trialId') trialId: string, @Query() query: object): Promise<TrialView> {
    refuseQuery(query);
    return this.controls.cancel(trialId);
  }

  @Steers(TRIAL_ID, {
    path: 'pause',
    tag: 'trials',
    summary: 'Pause a trial',
    description: 'Where it runs it stops with a checkpoint within seconds; the others of its bundle go on.',
    answer: 'The trial, paused',
    schema: 'Trial',
  })
  pause(@Param('trialId') trialId: string, @Query() query: object): Promise<TrialView> {
    refuseQuery(query);
    return this.controls.pause(trialId);
  }

  @Steers(TRIAL_ID, {
    path: 'resume',
    tag: 'trials',
    summary: 'Resume a paused trial',
    description: 'It goes on from its checkpoint, to the same numbers as without the pause.',
    answer: 'The trial',
    schema: 'Trial',
  })
  resume(@Param('trialId') trialId: string, @Query() query: object): Promise<TrialView> {
    refuseQuery(query);
    return this.controls.resume(trialId);
  }

  @Steers(TRIAL_ID, {
    path: 'retry',
    tag: 'trials',
    summary: 'Try a failed or cancelled trial again',
    description: 'Where all sweeps that ask for it are settled, the newest of them is opened again.',
    answer: 'The trial',
    schema: 'Trial',
  })
  retry(@Param('trialId') trialId: string, @Query() query: object): Promise<TrialView> {
    refuseQuery(query);
    return this.controls.retry(trialId);
  }

  @Get(':trialId/metrics')
  @Operation({ tag: 'trials', summary: 'Losses and speed, epoch by epoch' })
  @PathId('trialId', 'From a sweep or distillation')
  @Answers(200, 'The epochs so far', 'TrialMetrics')
  @Problems(400, 401, 404, 503)
  metrics(@Param('trialId') trialId: string, @Query() query: object): Promise<TrialMetricsView> {
    refuseQuery(query);
    return this.trials.metrics(trialId);
  }

  @Get(':trialId/events')
  @Operation({
    tag: 'trials',
    summary: 'Follow a trial',
    description:
      'Server-sent events: `trial` with the state first and last, between them `trial-progress`, `trial-epoch` and `trial-ended`. The stream ends with the trial.',
  })
  @PathId('trialId', 'From a sweep or distillation')
  @AnswersEvents('The stream')
  @Problems(400, 401, 404, 503)
  async events(
    @Param('trialId') trialId: string,
    @Query() query: object,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    refuseQuery(query);
    await this.streams.send(request, response, {
      name: 'trial',
      state: () => this.trials.get(trialId),
      isOver: ({ status }) => OVER.includes(status),
      concerns: (event) => trialIdIn(event) === trialId,
      ends: (event) => event.type === 'trial-ended',
    });
  }

  @Get(':trialId/artifacts')
  @Operation({ tag: 'trials', summary: "List a trial's files" })
  @PathId('trialId', 'From a sweep or distillation')
  @Answers(200, 'Its files; none before it has ended', 'ArtifactList')
  @Problems(400, 401, 404, 503)
  artifacts(@Param('trialId') trialId: string, @Query() query: object): Promise<{ items: ArtifactView[] }> {
    refuseQuery(query);
    return this.trials.artifacts(trialId);
  }

  @Get(':trialId/artifacts/:name')
  @Operation({
    tag: 'trials',
    summary: 'Fetch a file',
    description: 'Redirects to a URL that is good for an hour and needs no API key.',
  })
  @PathId('trialId', 'From a sweep or distillation')
  @PathId('name', 'As listed; the extension may be left out')
  @Answers(302, 'Where the file is', 'none')
  @Problems(400, 401, 404, 409, 410, 503)
  async artifact(
    @Param('trialId') trialId: string,
    @Param('name') name: string,
    @Query() query: object,
    @Res() response: Response,
  ): Promise<void> {
    refuseQuery(query);
    response.redirect(302, await this.trials.artifactUrl(trialId, name));
  }
}

/** The trial an event is about. */
export function trialIdIn(event: FleetEvent): string | undefined {
  if (event.type === 'trial-progress') return event.trial.trialId;
  return event.type === 'trial-epoch' || event.type === 'trial-ended' || event.type === 'trial-paused'
    ? event.trialId
    : undefined;
}
