// Analyses of two stored models: held against each other and the corpus before anything is started, made by a worker, shown from the record.
import { Inject, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import type { Config } from '#config';
import {
  type AnalysisConditions,
  type AnalysisPreparation,
  type AnalysisReport,
  type AnalysisRequest,
  analysisFaults,
  analysisSizeFaults,
  analysisWarnings,
  type CorpusRecord,
  type HybridSide,
  InvalidRequest,
  NotFound,
  NotReady,
  NUMERICS_VERSION,
  type PreparationRecord,
  Removed,
  type StoredFile,
  type Warning,
  withoutSentences,
} from '#experiment';
import { getJson, keys, type ObjectStore } from '#storage';
import { CONFIG, STORE } from '../connections.js';
import { CorporaService } from '../corpora/corpora.service.js';
import { ModelsService, type StoredModel } from '../models/models.service.js';
import type { PreparationView } from '../preparations/preparation-view.js';
import { PreparationsService } from '../preparations/preparations.service.js';
import { mapLimited } from '../records/map-limited.js';
import { type Page, RecordsService } from '../records/records.service.js';
import type { PageRequest } from '../requests/query.js';
import { acceptedSuffix } from '../requests/report-files.js';

export const ANALYSIS_SUFFIXES = ['json', 'html', 'md', 'csv'] as const;

export interface AnalysisView {
  analysisId: string;
  state: PreparationView['status'];
  reference: { label: string; sha256: string };
  other: { label: string; sha256: string };
  corpusId: string;
  conditions: AnalysisConditions;
  warnings: Warning[];
  progress?: { fraction: number; message: string };
  failure?: { reason: string };
  createdAt: string;
  finishedAt?: string;
  /** of all of the report that the same request gives again */
  contentSha256?: string;
  files: Omit<StoredFile, 'key'>[];
  /** Where one analysis is asked for. */
  result?: AnalysisReport;
  links: { self: string; report: string };
}

@Injectable()
export class AnalysesService {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @Inject(STORE) private readonly store: ObjectStore,
    private readonly models: ModelsService,
    private readonly corpora: CorporaService,
    private readonly records: RecordsService,
    private readonly preparations: PreparationsService,
  ) {}

  /** Throws InvalidRequest with everything that keeps the two from being compared. */
  async start({ reference, other, corpus: wanted, conditions }: AnalysisRequest): Promise<AnalysisView> {
    const [a, b] = [await this.models.resolve(reference), await this.models.resolve(other)];
    const corpus = wanted === undefined ? await this.corpusOf(a) : await this.corpora.resolve(wanted);
    const models = { reference: await this.comparable(a), other: await this.comparable(b) };
    const { name, vocabularySize } = corpus;
    const own = wanted === undefined ? undefined : { name, vocabularySize, vocabularySha256: vocabularyOf(corpus) };
    const faults = [...analysisFaults(models, own), ...analysisSizeFaults(conditions, corpus)];
    if (faults.length > 0) throw new InvalidRequest(faults);
    await this.requireStored([a, b]);
    const side = ({ label, file, architecture }: StoredModel): HybridSide => ({ label, file, architecture });
    const request: AnalysisPreparation = {
      kind: 'analysis',
      name: `${a.label}, ${b.label}`,
      corpusId: corpus.corpusId,
      reference: side(a),
      other: side(b),
      conditions,
      warnings: analysisWarnings({ reference: a, other: b }, corpus),
      numericsVersion: NUMERICS_VERSION,
    };
    const { preparationId } = await this.preparations.ask(request);
    return (await this.find(preparationId)).view;
  }

  /** In the order of their ids, whatever their state. */
  list(page: PageRequest): Promise<Page<AnalysisView>> {
    return this.records.page(keys.preparations(), 'preparation.json', page, (ids) =>
      mapLimited(ids, async (id) => {
        const record = await this.records.preparation(id);
        return record && isAnalysis(record) ? this.viewOf(record) : undefined;
      }),
    );
  }

  /** With the result where there is one. */
  async get(analysisId: string): Promise<AnalysisView> {
    const { view, files } = await this.find(analysisId);
    const file = files.find(({ name }) => name === 'report.json');
    if (!file) return view;
    return { ...view, result: withoutSentences(await getJson<AnalysisReport>(this.store, file.key)) };
  }

  async cancel(analysisId: string): Promise<AnalysisView> {
    const { record } = await this.find(analysisId);
    await this.preparations.cancel(record);
    return (await this.find(analysisId)).view;
  }

  /** The report in the best format that the client accepts. */
  accepted(analysisId: string, request: Request): Promise<{ file: StoredFile; bytes: Buffer }> {
    return this.file(analysisId, `report.${acceptedSuffix(request, ANALYSIS_SUFFIXES)}`);
  }

  /** A file of the report by name. */
  async file(analysisId: string, name: string): Promise<{ file: StoredFile; bytes: Buffer }> {
    const { view, files } = await this.find(analysisId);
    if (view.state !== 'completed') {
      const why = view.failure ? `: ${view.failure.reason}` : '';
      throw new NotReady(`Analysis ${analysisId} is ${view.state}, so it has no report${why}`);
    }
    const file = files.find((one) => one.name === name);
    if (!file) {
      const names = files.map((one) => one.name).join(', ');
      throw new NotFound(`Analysis ${analysisId} has no file ${JSON.stringify(name)}; it has: ${names}.`);
    }
    return { file, bytes: await this.store.get(file.key) };
  }

  private async find(analysisId: string) {
    const record = await this.records.preparation(analysisId);
    if (!record || !isAnalysis(record))
      throw new NotFound(`There is no analysis ${JSON.stringify(analysisId)}; POST /v1/analyses makes one.`);
    const preparation = await this.preparations.view(record);
    const files = preparation.analysis?.files ?? [];
    return { record, files, view: this.shown(record, preparation) };
  }

  private async viewOf(record: AnalysisRecord): Promise<AnalysisView> {
    return this.shown(record, await this.preparations.view(record));
  }

  private shown({ preparationId, request, createdAt }: AnalysisRecord, view: PreparationView): AnalysisView {
    const { corpusId, conditions, warnings } = request;
    const model = ({ label, file }: HybridSide) => ({ label, sha256: file.sha256 });
    const { progress, failure, finishedAt, analysis } = view;
    const self = `${this.config.publicUrl}/v1/analyses/${preparationId}`;
    return {
      analysisId: preparationId,
      state: view.status,
      reference: model(request.reference),
      other: model(request.other),
      corpusId,
      conditions,
      warnings,
      ...(progress ? { progress } : {}),
      ...(failure ? { failure } : {}),
      createdAt,
      ...(finishedAt ? { finishedAt } : {}),
      ...(analysis ? { contentSha256: analysis.contentSha256 } : {}),
      files: (analysis?.files ?? []).map(({ key: _key, ...file }) => file),
      links: { self, report: `${self}/report` },
    };
  }

  private async corpusOf({ label, corpusId }: StoredModel): Promise<CorpusRecord> {
    const corpus = await this.records.corpus(corpusId);
    if (!corpus) throw new NotFound(`The corpus ${corpusId} of ${label} is not stored; name another with corpus.`);
    return corpus;
  }

  private async comparable({ label, architecture, corpusId }: StoredModel) {
    const corpus = await this.records.corpus(corpusId);
    return { label, architecture, vocabularySha256: corpus ? vocabularyOf(corpus) : corpusId };
  }

  /** Files that the retention policy has removed are told here and not by a worker later. */
  private async requireStored(models: StoredModel[]): Promise<void> {
    const gone: string[] = [];
    for (const { label, file } of models) if (!(await this.store.head(file.key))) gone.push(label);
    if (gone.length > 0)
      throw new Removed(`No longer stored: ${[...new Set(gone)].join(', ')}; choose models whose files are there.`);
  }
}

type AnalysisRecord = PreparationRecord & { request: AnalysisPreparation };

function isAnalysis(record: PreparationRecord): record is AnalysisRecord {
  return record.request.kind === 'analysis';
}

function vocabularyOf({ corpusId, files }: CorpusRecord): string {
  return files.find((file) => file.name === 'vocab.json')?.sha256 ?? corpusId;
}
