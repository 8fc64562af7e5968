// Hybrids of two stored models: held against each other before anything is started, made and scored by a worker.
import { Injectable } from '@nestjs/common';
import {
  type HybridRecord,
  type HybridRequest,
  hybridFaults,
  InvalidRequest,
  NotFound,
  type PreparationRequest,
  unfrozenPairWarning,
  type Warning,
} from '#experiment';
import { keys } from '#storage';
import { ModelsService, type StoredModel } from '../models/models.service.js';
import type { PreparationView } from '../preparations/preparation-view.js';
import { PreparationsService } from '../preparations/preparations.service.js';
import { mapLimited } from '../records/map-limited.js';
import { type Page, RecordsService } from '../records/records.service.js';
import type { PageRequest } from '../requests/query.js';

export interface HybridSubmission {
  preparation: PreparationView;
  warnings: Warning[];
}

@Injectable()
export class HybridsService {
  constructor(
    private readonly models: ModelsService,
    private readonly records: RecordsService,
    private readonly preparations: PreparationsService,
  ) {}

  /** Throws InvalidRequest with everything that keeps the two apart. */
  async start({ transmitter, receiver, name }: HybridRequest): Promise<HybridSubmission> {
    const [sender, hearer] = [await this.models.resolve(transmitter), await this.models.resolve(receiver)];
    const faults = hybridFaults(await this.withVocabulary(sender), await this.withVocabulary(hearer));
    if (faults.length > 0) throw new InvalidRequest(faults);
    const warnings = isTrainedPair(sender, hearer) ? [] : [unfrozenPairWarning(sender.label, hearer.label)];
    const side = ({ label, file, architecture }: StoredModel) => ({ label, file, architecture });
    const { corpusId } = sender;
    const request: PreparationRequest = {
      kind: 'hybrid',
      name,
      corpusId,
      transmitter: side(sender),
      receiver: side(hearer),
      warnings,
    };
    return { preparation: await this.preparations.ask(request), warnings };
  }

  /** In the order of their ids. */
  list(page: PageRequest): Promise<Page<HybridRecord>> {
    return this.records.page(keys.hybrids(), 'hybrid.json', page, (ids) =>
      mapLimited(ids, (id) => this.records.hybrid(id)),
    );
  }

  async get(hybridId: string): Promise<HybridRecord> {
    const hybrid = await this.records.hybrid(hybridId);
    if (!hybrid) throw new NotFound(`There is no hybrid ${JSON.stringify(hybridId)}; POST /v1/hybrids makes one.`);
    return hybrid;
  }

  private async withVocabulary(model: StoredModel) {
    const corpus = await this.records.corpus(model.corpusId);
    const vocabulary = corpus?.files.find((file) => file.name === 'vocab.json');
    return { ...model, vocabularySha256: vocabulary?.sha256 ?? model.corpusId };
  }
}

/** One model's own two sides, or a student's side that learned with the other's side frozen. */
function isTrainedPair(transmitter: StoredModel, receiver: StoredModel): boolean {
  if (transmitter.file.sha256 === receiver.file.sha256) return true;
  const learned = (student: StoredModel, teacher: StoredModel, part: 'encoder' | 'decoder') =>
    student.learned?.freezeKeptSide === true &&
    student.learned.distillPart === part &&
    student.learned.teacherId === teacher.teacherId;
  return learned(receiver, transmitter, 'decoder') || learned(transmitter, receiver, 'encoder');
}
