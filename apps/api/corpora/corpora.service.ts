// Corpora: built-in ones and uploaded texts, found by id or name, listed, and asked for.
import { Injectable } from '@nestjs/common';
import {
  BUILTIN_CORPORA,
  type CorpusOptions,
  type CorpusRecord,
  type CorpusRequest,
  NotFound,
  NotReady,
  type StoredFile,
} from '#experiment';
import { keys } from '#storage';
import type { PreparationView, UnreadyItem } from '../preparations/preparation-view.js';
import { PreparationsService } from '../preparations/preparations.service.js';
import { mapLimited } from '../records/map-limited.js';
import { namesOrNone } from '../records/names.js';
import { type Page, RecordsService } from '../records/records.service.js';
import type { PageRequest } from '../requests/query.js';

export type CorpusListItem = ({ state: 'ready' } & CorpusRecord) | UnreadyItem;

const NAMES_SHOWN = 20;

@Injectable()
export class CorporaService {
  constructor(
    private readonly records: RecordsService,
    private readonly preparations: PreparationsService,
  ) {}

  async startBuiltin({ builtin }: CorpusRequest): Promise<PreparationView> {
    return this.preparations.ask({ kind: 'corpus', name: builtin, builtin });
  }

  /** `store` puts the text where the worker finds it; it is called only when the corpus is not there already. */
  async startUpload(
    upload: { name: string; options: CorpusOptions; text: StoredFile },
    store: () => Promise<void>,
  ): Promise<PreparationView> {
    return this.preparations.ask({ kind: 'corpus', ...upload }, store);
  }

  /** As startUpload, for token ids that were made elsewhere. */
  async startTokens(
    upload: { name: string; tokens: Record<'train' | 'test' | 'vocabulary', StoredFile> },
    store: () => Promise<void>,
  ): Promise<PreparationView> {
    return this.preparations.ask({ kind: 'corpus', ...upload }, store);
  }

  /** Stored corpora in the order of their ids; the first page begins with those that are not ready. */
  async list(page: PageRequest): Promise<Page<CorpusListItem>> {
    const isReady = async (name: string) => (await this.find(name)) !== undefined;
    const unready =
      page.cursor === undefined ? await this.preparations.unready('corpus', BUILTIN_CORPORA, isReady) : [];
    const ready = await this.records.page(keys.corpora(), 'corpus.json', page, (ids) =>
      mapLimited(ids, (id) => this.ready(id)),
    );
    return { ...ready, items: [...unready, ...ready.items] };
  }

  /** The corpus, or how far it has come. */
  async get(idOrName: string): Promise<CorpusRecord | PreparationView> {
    const corpus = await this.find(idOrName);
    if (corpus !== undefined) return corpus;
    const preparation = await this.preparations.unfinished('corpus', idOrName);
    if (preparation !== undefined) return preparation;
    throw await this.notFound(idOrName);
  }

  /** The corpus by id or name. Throws NotReady while it is being made and NotFound with what there is. */
  async resolve(idOrName: string): Promise<CorpusRecord> {
    const corpus = await this.find(idOrName);
    if (corpus !== undefined) return corpus;
    const preparation = await this.preparations.unfinished('corpus', idOrName);
    const name = JSON.stringify(idOrName);
    if (preparation?.status === 'failed') {
      throw new NotReady(
        `Corpus ${name} could not be made: ${preparation.failure?.reason ?? 'no reason is known'}. Ask for it again with POST /v1/corpora.`,
      );
    }
    if (preparation !== undefined) {
      throw new NotReady(
        `Corpus ${name} is still being made; GET /v1/preparations/${preparation.preparationId} tells when it is ready.`,
      );
    }
    throw await this.notFound(idOrName);
  }

  private async ready(corpusId: string): Promise<CorpusListItem | undefined> {
    const record = await this.records.corpus(corpusId);
    return record && { state: 'ready', ...record };
  }

  private async find(idOrName: string): Promise<CorpusRecord | undefined> {
    const named = await this.records.corpusIdNamed(idOrName);
    return (named === undefined ? undefined : await this.records.corpus(named)) ?? this.records.corpus(idOrName);
  }

  private async notFound(idOrName: string): Promise<NotFound> {
    const name = JSON.stringify(idOrName);
    if (BUILTIN_CORPORA.some((builtin) => builtin === idOrName)) {
      return new NotFound(`Corpus ${name} has not been made yet; POST /v1/corpora with {"builtin": ${name}} makes it.`);
    }
    const { items } = await this.records.page(keys.corpora(), 'corpus.json', { limit: NAMES_SHOWN }, (ids) =>
      mapLimited(ids, (id) => this.records.corpus(id)),
    );
    const names = namesOrNone(items.map((corpus) => corpus.name));
    return new NotFound(
      `There is no corpus ${name}; there are: ${names}. POST /v1/corpora makes one, built in: ${BUILTIN_CORPORA.join(', ')}.`,
    );
  }
}
