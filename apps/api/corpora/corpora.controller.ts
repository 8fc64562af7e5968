// /v1/corpora: the texts that teachers and students learn from.
import { Controller, Get, HttpCode, Inject, Param, Post, Query, Req } from '@nestjs/common';
import type { Request } from 'express';
import {
  CORPUS_UPLOAD_FIELDS,
  type CorpusRecord,
  InvalidRequest,
  MAX_TOKENS_BYTES,
  MAX_VOCABULARY_BYTES,
  parseCorpusRequest,
  parseCorpusTokens,
  parseCorpusUpload,
  type StoredFile,
} from '#experiment';
import { keys, type ObjectStore } from '#storage';
import { STORE } from '../connections.js';
import { Answers, Operation, Paged, PathId, Problems, refTo } from '../openapi/decorators.js';
import { QueryFields } from '../openapi/request-schemas.js';
import type { PreparationView } from '../preparations/preparation-view.js';
import type { Page } from '../records/records.service.js';
import { readJson, requireContentType } from '../requests/json-body.js';
import { QueryReader, refuseQuery } from '../requests/query.js';
import { receiveForm, type UploadedFile } from '../requests/uploaded-files.js';
import { CorporaService, type CorpusListItem } from './corpora.service.js';
import { receiveText } from './uploaded-text.js';

@Controller({ path: 'corpora', version: '1' })
export class CorporaController {
  constructor(
    private readonly corpora: CorporaService,
    @Inject(STORE) private readonly store: ObjectStore,
  ) {}

  @Post()
  @HttpCode(202)
  @Operation({
    tag: 'corpora',
    summary: 'Make a corpus',
    description:
      'A built-in one (application/json), or an own text of up to 2 GiB (text/plain in UTF-8, one sentence or paragraph a line), whose name and limits stand in the query. Or token ids made elsewhere: train_data.pkl, test_data.pkl and vocab.json of the reference (multipart/form-data). Asked for twice it is made once; failed, it is tried again.',
    bodies: {
      'application/json': { schema: refTo('CorpusRequest'), example: { builtin: 'sotu-small' } },
      'text/plain': { schema: { type: 'string' }, example: 'We send words through noise .\nThey arrive .\n' },
      'multipart/form-data': {
        schema: refTo('CorpusTokensForm'),
        example: { name: 'europarl', train: '(train_data.pkl)', test: '(test_data.pkl)', vocabulary: '(vocab.json)' },
      },
    },
  })
  @QueryFields(CORPUS_UPLOAD_FIELDS, 'text/plain only')
  @Answers(202, 'How far it has come; completed at once when it is there already', 'Preparation')
  @Problems(400, 401, 413, 415, 503)
  async start(@Req() request: Request, @Query() query: object): Promise<PreparationView> {
    const type = requireContentType(request, ['application/json', 'text/plain', 'multipart/form-data']);
    if (type === 'text/plain') return this.upload(request, query);
    refuseQuery(query);
    if (type === 'multipart/form-data') return this.uploadTokens(request);
    return this.corpora.startBuiltin(parseCorpusRequest(await readJson(request)));
  }

  private upload(request: Request, query: object): Promise<PreparationView> {
    const { name, options } = parseCorpusUpload({ ...query });
    return receiveText(request, ({ path, size, sha256 }) => {
      const contentType = 'text/plain; charset=utf-8';
      const key = keys.upload(sha256);
      const text: StoredFile = { name: `${name}.txt`, key, size, sha256, contentType };
      return this.corpora.startUpload({ name, options, text }, async () => {
        await this.store.put(key, { path }, { size, sha256, contentType });
      });
    });
  }

  private uploadTokens(request: Request): Promise<PreparationView> {
    const limits = { train: MAX_TOKENS_BYTES, test: MAX_TOKENS_BYTES, vocabulary: MAX_VOCABULARY_BYTES };
    return receiveForm(request, limits, ({ fields, files }) => {
      const { name } = parseCorpusTokens(fields);
      const missing = Object.keys(limits).filter((part) => !files.has(part));
      if (missing.length > 0) throw new InvalidRequest(missing.map((path) => ({ path, message: 'is required' })));
      const storedAs = (part: string): StoredFile & { path: string } => {
        const { fileName, size, sha256, path } = files.get(part) as UploadedFile;
        const contentType = 'application/octet-stream';
        return { name: fileName, key: keys.upload(sha256), size, sha256, contentType, path };
      };
      const given = { train: storedAs('train'), test: storedAs('test'), vocabulary: storedAs('vocabulary') };
      const withoutPath = ({ path: _, ...file }: StoredFile & { path: string }): StoredFile => file;
      const tokens = {
        train: withoutPath(given.train),
        test: withoutPath(given.test),
        vocabulary: withoutPath(given.vocabulary),
      };
      return this.corpora.startTokens({ name, tokens }, async () => {
        for (const { key, path, size, sha256, contentType } of Object.values(given)) {
          await this.store.put(key, { path }, { size, sha256, contentType });
        }
      });
    });
  }

  @Get()
  @Operation({ tag: 'corpora', summary: 'List corpora: ready ones, those that are being made, and built-in ones' })
  @Paged()
  @Answers(200, 'A page of corpora; the first begins with those that are not ready', 'CorpusPage')
  @Problems(400, 401, 503)
  list(@Query() query: object): Promise<Page<CorpusListItem>> {
    const reader = new QueryReader(query, ['limit', 'cursor']);
    const page = reader.page();
    reader.done();
    return this.corpora.list(page);
  }

  @Get(':corpus')
  @Operation({ tag: 'corpora', summary: 'One corpus by id or name, or how far it has come' })
  @PathId('corpus', 'Id or name')
  @Answers(200, 'The corpus, or its preparation while it is being made', 'CorpusOrPreparation')
  @Problems(400, 401, 404, 503)
  get(@Param('corpus') idOrName: string, @Query() query: object): Promise<CorpusRecord | PreparationView> {
    refuseQuery(query);
    return this.corpora.get(idOrName);
  }
}
