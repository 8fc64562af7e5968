// Serves one stored object to whoever holds a signed URL, with ranges, so that downloads can be resumed.
import { pipeline } from 'node:stream/promises';
import { Controller, Get, Inject, Query, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { Config } from '#config';
import { NotFound } from '#experiment';
import { contentDisposition, type ObjectHead, type ObjectStore } from '#storage';
import { Open } from '../authentication/api-key.guard.js';
import { CONFIG, STORE } from '../connections.js';
import { Answers, Operation, Problems, QueryText } from '../openapi/decorators.js';
import { HttpProblem } from '../problems/problem.js';
import { QueryReader } from '../requests/query.js';
import { parseRange } from './byte-range.js';
import { type SignedObject, UrlSigner } from './signed-url.js';

@Controller({ path: 'artifacts', version: '1' })
@Open()
export class ArtifactsController {
  private readonly signer: UrlSigner;

  constructor(
    @Inject(CONFIG) config: Config,
    @Inject(STORE) private readonly store: ObjectStore,
  ) {
    this.signer = new UrlSigner(config.apiKey);
  }

  @Get()
  @Operation({
    tag: 'artifacts',
    summary: 'Fetch a file by a signed URL',
    description:
      'Such URLs come from /v1/trials/{trialId}/artifacts/{name}; they need no API key and expire. Range, If-Range and If-None-Match are honoured.',
    isOpen: true,
  })
  @QueryText('key', 'Where the file lies in the store', { required: true })
  @QueryText('name', 'What it is saved as', { required: true })
  @QueryText('expires', 'Unix time in seconds until which the URL is good', { required: true })
  @QueryText('signature', 'What proves that the API made this URL', { required: true })
  @Answers(200, 'The file', 'binary')
  @Answers(206, 'The part asked for', 'binary')
  @Problems(400, 403, 404, 416, 503)
  async fetch(@Query() query: object, @Req() request: Request, @Res() response: Response): Promise<void> {
    const object = this.signedObject(query);
    const head = await this.store.head(object.key);
    if (head === undefined) throw new NotFound('The file this URL was made for is no longer in the object store.');
    await send(this.store, { request, response, head, fileName: object.fileName });
  }

  private signedObject(query: object): SignedObject {
    const reader = new QueryReader(query, ['key', 'name', 'expires', 'signature']);
    const parts = ['key', 'name', 'expires', 'signature'].map((name) => {
      const value = reader.text(name);
      if (value === undefined) reader.fault(name, 'is missing from the signed URL');
      return value ?? '';
    });
    reader.done();
    const [key = '', fileName = '', expires = '', signature = ''] = parts;
    const object = { key, fileName, expires: /^\d{1,12}$/.test(expires) ? Number(expires) : 0 };
    if (!this.signer.isSignatureOf(object, signature)) {
      throw new HttpProblem(
        403,
        'The signature of this URL is not right: it was changed, or made with another API key.',
      );
    }
    if (object.expires * 1000 < Date.now()) {
      throw new HttpProblem(403, 'This URL has expired; ask for the artifact again to get a fresh one.');
    }
    return object;
  }
}

interface Delivery {
  request: Request;
  response: Response;
  head: ObjectHead;
  fileName: string;
}

async function send(store: ObjectStore, { request, response, head, fileName }: Delivery): Promise<void> {
  const etag = `"${head.sha256}"`;
  response.set({
    'Content-Type': head.contentType,
    'Content-Disposition': contentDisposition(fileName),
    ETag: etag,
    'Accept-Ranges': 'bytes',
    'Cache-Control': 'private, max-age=3600',
    'Last-Modified': head.modifiedAt.toUTCString(),
  });
  if (request.get('if-none-match') === etag) {
    response.status(304).end();
    return;
  }
  const condition = request.get('if-range');
  const asked = condition === undefined || condition === etag ? request.get('range') : undefined;
  const range = parseRange(asked, head.size);
  if (range === 'outside') {
    throw new HttpProblem(416, `The file has ${head.size} bytes; the range lies outside.`, {
      'Content-Range': `bytes */${head.size}`,
    });
  }
  const { start, end } = range === 'whole' ? { start: 0, end: head.size - 1 } : range;
  if (range !== 'whole') response.status(206).set('Content-Range', `bytes ${start}-${end}/${head.size}`);
  response.set('Content-Length', String(end - start + 1));
  if (request.method === 'HEAD' || head.size === 0) {
    response.end();
    return;
  }
  const source = await store.stream(head.key, range === 'whole' ? undefined : { start, end });
  try {
    await pipeline(source, response);
  } catch (error) {
    // A client that stops reading is no fault of ours.
    if (error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE') return;
    throw error;
  }
}
