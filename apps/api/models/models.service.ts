// Any stored model by one reference: a teacher's name or id, a hybrid's id, or TRIAL/FILE of a trial's models; and such a model as a file
// that other programs load.
import { Inject, Injectable } from '@nestjs/common';
import { fromFloat32, type NamedTensor, readSafetensors, writePyTorch, writeSafetensors } from '#checkpoint';
import { type Architecture, Conflict, NotFound, type StoredFile } from '#experiment';
import { keys, type ObjectStore } from '#storage';
import { STORE } from '../connections.js';
import { RecordsService } from '../records/records.service.js';
import { TeachersService } from '../teachers/teachers.service.js';

export const MODEL_FORMATS = ['pytorch', 'safetensors'] as const;
export type ModelFormat = (typeof MODEL_FORMATS)[number];

export interface StoredModel {
  /** As a user would call it. */
  label: string;
  corpusId: string;
  architecture: Architecture;
  file: StoredFile;
  /** Of a teacher. */
  teacherId?: string;
  /** Of a trial's student: from whom it learned, and how. */
  learned?: { teacherId: string; distillPart: string; freezeKeptSide: boolean };
}

/** Metadata of a model file of ours; only the front of the file is read. */
const HEAD_BYTES = 1024 * 1024;
const MAX_EXPORT_BYTES = 1024 * 1024 * 1024;

@Injectable()
export class ModelsService {
  constructor(
    @Inject(STORE) private readonly store: ObjectStore,
    private readonly records: RecordsService,
    private readonly teachers: TeachersService,
  ) {}

  /** Throws NotFound with what there is. */
  async resolve(reference: string): Promise<StoredModel> {
    const [trialId = '', name, ...rest] = reference.split('/');
    if (name !== undefined && rest.length === 0) return this.modelOfTrial(trialId, name);
    if (await this.records.trial(reference)) return this.modelOfTrial(reference, 'final_student_model');
    const hybrid = await this.records.hybrid(reference);
    const [hybridFile] = hybrid?.files ?? [];
    if (hybrid && hybridFile) {
      const { corpusId, architecture } = hybrid;
      return { label: `hybrid-${reference.slice(0, 12)}`, corpusId, architecture, file: hybridFile };
    }
    const teacher = await this.teachers.resolve(reference);
    const { architecture, corpusId } = teacher;
    const file = teacher.files.find((one) => one.name === 'model.safetensors');
    if (!file) throw new NotFound(`Teacher ${JSON.stringify(teacher.name)} has no model.safetensors.`);
    return { label: teacher.name, corpusId, architecture, file, teacherId: teacher.teacherId };
  }

  private async modelOfTrial(trialId: string, name: string): Promise<StoredModel> {
    const [trial, result] = [await this.records.trial(trialId), await this.records.trialResult(trialId)];
    if (!trial) throw new NotFound(`There is no trial ${JSON.stringify(trialId)}.`);
    const models = (result?.artifacts ?? []).filter((one) => one.name.endsWith('.safetensors'));
    const file = models.find((one) => one.name === name || one.name === `${name}.safetensors`);
    if (!file) {
      const names = models.map((one) => one.name.replace(/\.safetensors$/, '')).join(', ') || 'none yet';
      throw new NotFound(`Trial ${trialId} has no model ${JSON.stringify(name)}; it has: ${names}.`);
    }
    const label = `${trialId.slice(0, 12)}/${file.name.replace(/\.safetensors$/, '')}`;
    const { teacherId, corpusId, hyperparameters } = trial.spec;
    const { distillPart, freezeKeptSide } = hyperparameters;
    const learned = { teacherId, distillPart, freezeKeptSide };
    return { label, corpusId, architecture: await this.architectureOf(file), file, learned };
  }

  /** As the file's own header says. */
  private async architectureOf(file: StoredFile): Promise<Architecture> {
    const chunks: Buffer[] = [];
    const end = Math.min(HEAD_BYTES, file.size) - 1;
    for await (const chunk of await this.store.stream(file.key, { start: 0, end })) chunks.push(Buffer.from(chunk));
    const front = Buffer.concat(chunks);
    const length = front.length >= 8 ? Number(front.readBigUInt64LE(0)) : 0;
    const header = JSON.parse(front.subarray(8, 8 + length).toString('utf8')) as {
      __metadata__?: { architecture?: string };
    };
    const architecture = header.__metadata__?.architecture;
    if (architecture === undefined) throw new Conflict(`The file ${file.name} does not say its architecture.`);
    return JSON.parse(architecture) as Architecture;
  }

  /** The whole state_dict of the reference, position tables of `positions` rows included, in its order. */
  async export(model: StoredModel, format: ModelFormat, positions: number): Promise<Uint8Array> {
    const bytes = await this.store.get(model.file.key, { maxBytes: MAX_EXPORT_BYTES });
    const { tensors, metadata } = readSafetensors(bytes);
    const { dModel } = model.architecture;
    // Brings tfjs-core along, which only exports and imports need.
    const { positionTable } = await import('#semcom');
    const table = positionTable(positions, dModel);
    const all: NamedTensor[] = [];
    for (const tensor of tensors.values()) {
      all.push(tensor);
      const side = /^(encoder|decoder)\.embedding\.weight$/.exec(tensor.name)?.[1];
      if (side) all.push(fromFloat32(`${side}.pos_encoding.pe`, [1, positions, dModel], table));
    }
    if (format === 'pytorch') return writePyTorch(all);
    return writeSafetensors(all, { ...Object.fromEntries(metadata), format: 'pt' });
  }

  /** vocab.json of a corpus, in the reference's layout. */
  async vocabulary(corpusId: string): Promise<Buffer> {
    return this.store.get(keys.corpusFile(corpusId, 'vocab.json'));
  }
}
