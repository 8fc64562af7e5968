// Bringing in a teacher that was trained elsewhere: the file is inspected and its vocabulary held against the corpus before
// anything is kept; then a worker measures it like any other teacher.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Inject, Injectable } from '@nestjs/common';
import {
  type Architecture,
  type CorpusRecord,
  type Fault,
  type ImportNote,
  InvalidRequest,
  type ModelInspection,
  type PreparationRequest,
  parseTeacherImport,
  type StoredFile,
} from '#experiment';
import type { Vocabulary } from '#semcom';
import { keys, type ObjectStore } from '#storage';
import { STORE } from '../connections.js';
import { CorporaService } from '../corpora/corpora.service.js';
import type { PreparationView } from '../preparations/preparation-view.js';
import { PreparationsService } from '../preparations/preparations.service.js';
import { RecordsService } from '../records/records.service.js';
import type { UploadedFile, UploadedForm } from '../requests/uploaded-files.js';
import { inspectModel } from './inspect-model.js';

export interface TeacherImport {
  name: string;
  /** Absent when no stored corpus has the vocabulary, or none could be looked for. */
  corpusId?: string;
  inspection: ModelInspection;
  /** Absent after a dry run. */
  preparation?: PreparationView;
}

type Semcom = typeof import('#semcom');

const MAX_FAULTS = 100;

/** Files are looked at one after the other: each is held in memory whole. */
let looking: Promise<unknown> = Promise.resolve();

@Injectable()
export class TeacherImportService {
  constructor(
    @Inject(STORE) private readonly store: ObjectStore,
    private readonly preparations: PreparationsService,
    private readonly corpora: CorporaService,
    private readonly records: RecordsService,
  ) {}

  /** Throws InvalidRequest with everything that does not fit; a dry run tells it in the inspection instead. */
  async import(form: UploadedForm): Promise<TeacherImport> {
    const request = parseTeacherImport(form.fields);
    const model = form.files.get('model');
    const vocabularyFile = form.files.get('vocabulary');
    requireFiles(model, vocabularyFile, request.corpus);
    const name = request.name ?? nameFrom(model.fileName);
    // The words and shapes of a DeepSC bring tfjs-core along, half a second and 35 MB that only imports need.
    const semcom = await import('#semcom');
    const vocabulary = vocabularyFile && (await readVocabulary(vocabularyFile, semcom));
    const named = request.corpus === undefined ? undefined : await this.corpora.resolve(request.corpus);
    const inspection = await oneAtATime(async () => {
      const asked = request.heads === undefined ? {} : { heads: request.heads };
      return inspectModel(await readFile(model.path), model, asked, semcom);
    });
    const corpus = named ?? (vocabulary && (await this.corpusOf(vocabulary, semcom)));
    const faults = await this.vocabularyFaults({ inspection, corpus, vocabulary, semcom });
    inspection.faults.unshift(...faults);
    if (corpus && inspection.architecture) inspection.notes.push(...lengthNotes(inspection, corpus));
    const facts = { name, ...(corpus ? { corpusId: corpus.corpusId } : {}), inspection };
    if (request.dryRun) return facts;
    if (inspection.faults.length > 0 || !corpus) throw new InvalidRequest(firstOf(inspection.faults));
    const preparation = await this.start({ name, corpus, model, inspection });
    return { ...facts, preparation };
  }

  private async start(accepted: {
    name: string;
    corpus: CorpusRecord;
    model: UploadedFile;
    inspection: ModelInspection;
  }): Promise<PreparationView> {
    const { name, corpus, model, inspection } = accepted;
    const { path, size, sha256, fileName } = model;
    const contentType = 'application/octet-stream';
    const stored: StoredFile = { name: fileName, key: keys.upload(sha256), size, sha256, contentType };
    const architecture = inspection.architecture as Architecture;
    const { corpusId } = corpus;
    const request: PreparationRequest = { kind: 'teacher', name, corpusId, model: stored, architecture };
    return this.preparations.ask(request, () => this.store.put(stored.key, { path }, { size, sha256, contentType }));
  }

  /** The stored corpus with this very vocabulary; of several the one made last. */
  private async corpusOf(vocabulary: Vocabulary, semcom: Semcom): Promise<CorpusRecord | undefined> {
    const sha256 = createHash('sha256').update(semcom.formatVocabulary(vocabulary)).digest('hex');
    let latest: CorpusRecord | undefined;
    for await (const id of this.records.ids(keys.corpora(), 'corpus.json')) {
      const corpus = await this.records.corpus(id);
      const isIts = corpus?.files.some((file) => file.name === 'vocab.json' && file.sha256 === sha256);
      if (corpus && isIts && (latest === undefined || corpus.createdAt > latest.createdAt)) latest = corpus;
    }
    return latest;
  }

  private async vocabularyFaults(found: {
    inspection: ModelInspection;
    corpus: CorpusRecord | undefined;
    vocabulary: Vocabulary | undefined;
    semcom: Semcom;
  }): Promise<Fault[]> {
    const { inspection, corpus, vocabulary, semcom } = found;
    const words = inspection.architecture?.vocabularySize;
    const faults: Fault[] = [];
    const path = vocabulary ? 'vocabulary' : 'corpus';
    const size = vocabulary?.size ?? corpus?.vocabularySize;
    if (words !== undefined && size !== undefined && words !== size) {
      faults.push({ path, message: `has ${size} words, the model has ${words}: they do not belong together` });
    }
    if (!corpus) {
      const message = `no stored corpus has this vocabulary of ${vocabulary?.size} words; add the corpus first (semdistill corpus add, POST /v1/corpora), or name one to see how they differ`;
      faults.push({ path, message });
    } else if (vocabulary) {
      const names = { file: 'the file', corpus: `corpus ${JSON.stringify(corpus.name)}` };
      const own = await this.vocabularyOf(corpus, semcom);
      const differences = semcom.vocabularyDifferences(vocabulary, own, names);
      if (differences.length > 0) faults.push({ path, message: `is not the corpus's: ${differences.join('; ')}` });
    }
    return faults;
  }

  private async vocabularyOf(corpus: CorpusRecord, semcom: Semcom): Promise<Vocabulary> {
    const file = corpus.files.find(({ name }) => name === 'vocab.json');
    if (!file) throw new Error(`corpus ${corpus.corpusId} has no vocab.json`);
    return semcom.parseVocabulary((await this.store.get(file.key)).toString('utf8'));
  }
}

function firstOf(faults: Fault[]): Fault[] {
  if (faults.length <= MAX_FAULTS) return faults;
  return [...faults.slice(0, MAX_FAULTS), { path: '', message: `and ${faults.length - MAX_FAULTS} more faults` }];
}

function requireFiles(
  model: UploadedFile | undefined,
  vocabulary: UploadedFile | undefined,
  corpus: string | undefined,
): asserts model is UploadedFile {
  const faults: Fault[] = [];
  if (!model) {
    faults.push({ path: 'model', message: 'is required: the file with the tensors (.pth, .pt, .ckpt, .safetensors)' });
  }
  if (!vocabulary && corpus === undefined) {
    faults.push({
      path: 'vocabulary',
      message: "is required: the vocab.json the model was trained with (or name its 'corpus')",
    });
  }
  if (faults.length > 0) throw new InvalidRequest(faults);
}

async function readVocabulary(file: UploadedFile, semcom: Semcom): Promise<Vocabulary> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file.path));
    return semcom.parseVocabulary(text);
  } catch (error) {
    if (error instanceof semcom.VocabularyError) {
      throw new InvalidRequest([{ path: 'vocabulary', message: error.message }]);
    }
    if (error instanceof TypeError) throw new InvalidRequest([{ path: 'vocabulary', message: 'is not UTF-8 text' }]);
    throw error;
  }
}

/** A file's name without its ending, in the letters a name may have. */
function nameFrom(fileName: string): string {
  const plain = fileName
    .replace(/\.[A-Za-z0-9]+$/, '')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/\.{2,}/g, '.')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 100);
  return plain || 'imported';
}

function lengthNotes({ positions }: ModelInspection, { maxTokens }: CorpusRecord): ImportNote[] {
  const rows = Math.min(positions.transmitter ?? maxTokens, positions.receiver ?? maxTokens);
  if (rows >= maxTokens) return [];
  const message = `The model was made for sentences of up to ${rows} tokens, the corpus has up to ${maxTokens}; the position table is made longer.`;
  return [{ code: 'sentences-longer', message, values: { rows, maxTokens } }];
}

function oneAtATime<T>(look: () => Promise<T>): Promise<T> {
  const result = looking.then(look);
  looking = result.catch(() => undefined);
  return result;
}
