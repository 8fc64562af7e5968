// Everything the API consists of, over connections that are handed in (real ones, or none to describe the API only).
import { type DynamicModule, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AnalysesController } from './analyses/analyses.controller.js';
import { AnalysesService } from './analyses/analyses.service.js';
import { ArtifactsController } from './artifacts/artifacts.controller.js';
import { ApiKeyGuard } from './authentication/api-key.guard.js';
import { CONFIG, type Connections, FLEET, STORE } from './connections.js';
import { ControlsService } from './controls/controls.service.js';
import { SweepControlsService } from './controls/sweep-controls.service.js';
import { TrialControlsService } from './controls/trial-controls.service.js';
import { CorporaController } from './corpora/corpora.controller.js';
import { CorporaService } from './corpora/corpora.service.js';
import { DistillationsController } from './distillations/distillations.controller.js';
import { EventStreamsService } from './events/event-streams.service.js';
import { EventsService } from './events/events.service.js';
import { HealthController } from './health/health.controller.js';
import { HybridsController } from './hybrids/hybrids.controller.js';
import { HybridsService } from './hybrids/hybrids.service.js';
import { ModelsController } from './models/models.controller.js';
import { ModelsService } from './models/models.service.js';
import { PreparationsController } from './preparations/preparations.controller.js';
import { PreparationsService } from './preparations/preparations.service.js';
import { LiveService } from './records/live.service.js';
import { RecordsService } from './records/records.service.js';
import { RepairsController } from './repairs/repairs.controller.js';
import { CostService } from './sweeps/cost.service.js';
import { SweepReportsService } from './sweeps/sweep-reports.service.js';
import { SweepSubmissionService } from './sweeps/sweep-submission.service.js';
import { SweepsController } from './sweeps/sweeps.controller.js';
import { SweepsService } from './sweeps/sweeps.service.js';
import { TeacherImportService } from './teachers/teacher-import.service.js';
import { TeachersController } from './teachers/teachers.controller.js';
import { TeachersService } from './teachers/teachers.service.js';
import { TrialsController } from './trials/trials.controller.js';
import { TrialsService } from './trials/trials.service.js';
import { VerificationsController } from './verifications/verifications.controller.js';
import { VerificationsService } from './verifications/verifications.service.js';
import { VersionController } from './version/version.controller.js';
import { WorkersController } from './workers/workers.controller.js';

@Module({
  controllers: [
    CorporaController,
    TeachersController,
    ModelsController,
    HybridsController,
    VerificationsController,
    AnalysesController,
    PreparationsController,
    SweepsController,
    DistillationsController,
    TrialsController,
    ArtifactsController,
    WorkersController,
    RepairsController,
    HealthController,
    VersionController,
  ],
  providers: [
    CorporaService,
    TeachersService,
    TeacherImportService,
    ModelsService,
    HybridsService,
    VerificationsService,
    AnalysesService,
    PreparationsService,
    SweepsService,
    CostService,
    SweepSubmissionService,
    SweepReportsService,
    ControlsService,
    SweepControlsService,
    TrialControlsService,
    TrialsService,
    RecordsService,
    LiveService,
    EventsService,
    EventStreamsService,
    { provide: APP_GUARD, useClass: ApiKeyGuard },
  ],
})
class ApiModule {}

export function apiModule({ config, store, fleet }: Connections): DynamicModule {
  return {
    module: ApiModule,
    providers: [
      { provide: CONFIG, useValue: config },
      // By factory, so that Nest never looks for its own life-cycle methods on them: they are opened and closed outside.
      { provide: STORE, useFactory: () => store },
      { provide: FLEET, useFactory: () => fleet },
    ],
  };
}
