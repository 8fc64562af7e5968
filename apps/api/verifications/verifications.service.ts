// What is recorded of a stored model's scores, and a worker asked to measure it once more.
import { Injectable } from '@nestjs/common';
import {
  Conflict,
  NUMERICS_VERSION,
  type RecordedScores,
  type TeacherRecord,
  type TrialResult,
  type VerificationRequest,
} from '#experiment';
import { ModelsService, type StoredModel } from '../models/models.service.js';
import type { PreparationView } from '../preparations/preparation-view.js';
import { PreparationsService } from '../preparations/preparations.service.js';
import { mapLimited } from '../records/map-limited.js';
import { RecordsService } from '../records/records.service.js';

@Injectable()
export class VerificationsService {
  constructor(
    private readonly models: ModelsService,
    private readonly records: RecordsService,
    private readonly preparations: PreparationsService,
  ) {}

  /** Throws NotFound without such a model, Conflict where its record holds no scores of it. */
  async start({ model: reference }: VerificationRequest): Promise<PreparationView> {
    const model = await this.models.resolve(reference);
    const recorded = await this.recordedScores(reference, model);
    const { label, corpusId, file, architecture } = model;
    return this.preparations.ask({
      kind: 'verification',
      name: label,
      corpusId,
      model: file,
      architecture,
      recorded,
      askedAt: new Date().toISOString(),
    });
  }

  private async recordedScores(reference: string, model: StoredModel): Promise<RecordedScores> {
    if (model.learned) return this.scoresOfTrial(reference.split('/')[0] ?? '', model, model.learned);
    const record =
      model.teacherId === undefined
        ? await this.records.hybrid(reference)
        : await this.records.teacher(model.teacherId);
    if (!record) throw new Conflict(`There are no recorded scores of ${model.label}.`);
    return plainScores(record);
  }

  /** Of a trial the final student and its hybrid are measured, side by side with those of its bundle. */
  private async scoresOfTrial(
    trialId: string,
    { label, file }: StoredModel,
    { distillPart, freezeKeptSide }: NonNullable<StoredModel['learned']>,
  ): Promise<RecordedScores> {
    const [trial, result] = [await this.records.trial(trialId), await this.records.trialResult(trialId)];
    const evaluation = result?.summary?.evaluation;
    const isHybrid = file.name === 'hybrid_model.safetensors';
    const scores = isHybrid
      ? evaluation?.hybrid
      : file.name === 'final_student_model.safetensors' && evaluation?.student;
    if (!trial || !result?.summary || !evaluation || !scores) {
      throw new Conflict(
        `There are no recorded scores of ${label}: of a trial's models final_student_model and hybrid_model have them.`,
      );
    }
    const { channel, channelProfile } = trial.spec.hyperparameters;
    const isOurs = trial.spec.numericsVersion === NUMERICS_VERSION;
    // A hybrid of a whole student has the teacher's transmitter.
    const isShared = isHybrid || (distillPart !== 'full' && freezeKeptSide);
    return {
      scores,
      sentences: evaluation.sentences,
      channel,
      channelProfile,
      ...(isOurs ? { numerics: result.summary.numerics } : {}),
      together: await this.measuredTogether(result),
      kept: !isShared ? null : distillPart === 'encoder' ? 'receiver' : 'transmitter',
    };
  }

  private async measuredTogether({ fence, bundleTrialIds }: TrialResult): Promise<number> {
    const results = await mapLimited(bundleTrialIds, (trialId) => this.records.trialResult(trialId));
    return Math.max(1, results.filter((one) => one?.status === 'completed' && one.fence === fence).length);
  }
}

function plainScores({ scores, numerics }: Pick<TeacherRecord, 'scores' | 'numerics'>): RecordedScores {
  const { channel, channelProfile, sentences, ...curve } = scores;
  return { scores: curve, sentences, channel, channelProfile, numerics, together: 1, kept: null };
}
