import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StoredFile } from '#experiment';
import { UrlSigner } from '../../apps/api/artifacts/signed-url.js';
import { putResult, putTeacher } from './api-records.js';
import { type Answer, API_KEY, type ApiServer, startTestApi } from './api-server.js';

let api: ApiServer;
let trialId: string;
let model: StoredFile;
/** Path and query of a signed URL of the model. */
let signed: string;
let whole: Buffer;

beforeAll(async () => {
  api = await startTestApi();
  await putTeacher(api.store, 'tutor');
  trialId = (await api.post('/v1/distillations', { teacher: 'tutor' })).body.trialId;
  const result = await putResult(api.store, trialId);
  model = result.artifacts[0] as StoredFile;
  whole = await api.store.get(model.key);
  const redirect = await api.get(`/v1/trials/${trialId}/artifacts/${model.name}`);
  expect(redirect.status).toBe(302);
  const location = redirect.headers.get('location') ?? '';
  expect(location.startsWith(`${api.url}/v1/artifacts?`)).toBe(true);
  signed = location.slice(api.url.length);
});
afterAll(() => api.close());

const fetchPart = (headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> =>
  api.request(signed, { key: null, headers, method });

describe('a signed URL', () => {
  it('gives the whole file without the API key, with its length, name and hash', async () => {
    const response = await fetch(api.url + signed);
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(response.status).toBe(200);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(model.sha256);
    expect(response.headers.get('content-length')).toBe(String(model.size));
    expect(response.headers.get('etag')).toBe(`"${model.sha256}"`);
    expect(response.headers.get('accept-ranges')).toBe('bytes');
    expect(response.headers.get('content-type')).toBe(model.contentType);
    expect(response.headers.get('content-disposition')).toBe(`attachment; filename="${model.name}"`);
  });

  it('tells all that to HEAD and sends no body', async () => {
    const answer = await fetchPart({}, 'HEAD');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-length')).toBe(String(model.size));
    expect(answer.text).toBe('');
  });

  it.each([
    ['bytes=0-9', 0, 9],
    ['bytes=100-', 100, undefined],
    ['bytes=-7', -7, undefined],
    ['bytes=10-99999999', 10, undefined],
  ])('gives the part %s', async (range, from, to) => {
    const answer = await fetchPart({ range });
    const expected = whole.subarray(from, to === undefined ? undefined : to + 1);
    expect(answer.status).toBe(206);
    expect(answer.text).toBe(expected.toString());
    expect(answer.headers.get('content-length')).toBe(String(expected.length));
    const start = from < 0 ? whole.length + from : from;
    expect(answer.headers.get('content-range')).toBe(`bytes ${start}-${start + expected.length - 1}/${whole.length}`);
  });

  it('refuses a range outside the file with its size', async () => {
    const answer = await fetchPart({ range: `bytes=${model.size}-` });
    expect(answer.status).toBe(416);
    expect(answer.headers.get('content-range')).toBe(`bytes */${model.size}`);
    expect(answer.headers.get('etag')).toBeNull();
  });

  it('honours If-None-Match and If-Range', async () => {
    expect((await fetchPart({ 'if-none-match': `"${model.sha256}"` })).status).toBe(304);
    expect((await fetchPart({ range: 'bytes=0-1', 'if-range': `"${model.sha256}"` })).status).toBe(206);
    expect((await fetchPart({ range: 'bytes=0-1', 'if-range': '"another"' })).status).toBe(200);
  });

  it('is refused when anything in it was changed', async () => {
    const changed = (change: (query: URLSearchParams) => void): string => {
      const url = new URL(signed, api.url);
      change(url.searchParams);
      return url.pathname + url.search;
    };
    const tampered = [
      changed((query) => query.set('key', 'uploads/other')),
      changed((query) => query.set('key', '../../etc/passwd')),
      changed((query) => query.set('expires', String(Number(query.get('expires')) + 1))),
      changed((query) => query.set('expires', 'never')),
      changed((query) => query.set('name', 'evil.exe')),
      changed((query) => query.set('signature', '')),
      changed((query) => query.set('signature', `${query.get('signature')?.slice(0, -3)}AAA`)),
    ];
    for (const path of tampered) {
      const answer = await api.request(path, { key: null });
      expect(answer.status, path).toBe(403);
      expect(answer.headers.get('content-type')).toContain('application/problem+json');
    }
    for (const name of ['key', 'expires', 'signature', 'name']) {
      const answer = await api.request(
        changed((query) => query.delete(name)),
        { key: null },
      );
      expect(answer.status, name).toBe(400);
    }
    expect(
      (
        await api.request(
          changed((query) => query.append('key', 'twice')),
          { key: null },
        )
      ).status,
    ).toBe(400);
  });

  it('is refused when it has expired, and not found when the file is gone', async () => {
    const signer = new UrlSigner(API_KEY);
    const now = Math.floor(Date.now() / 1000);
    const expired = signer.sign({ key: model.key, fileName: 'x', expires: now - 1 });
    const answer = await api.request(expired, { key: null });
    expect(answer.status).toBe(403);
    expect(answer.body.detail).toContain('expired');
    const gone = signer.sign({ key: 'trials/none/attempts/1-a/x', fileName: 'x', expires: now + 60 });
    expect((await api.request(gone, { key: null })).status).toBe(404);
  });

  it('never appears in the log', () => {
    const text = JSON.stringify(api.log);
    expect(text).toContain('/v1/artifacts');
    expect(text).not.toContain('signature');
    expect(text).not.toContain(new URL(signed, api.url).searchParams.get('signature') ?? '?');
  });
});

describe('an artifact', () => {
  it('may be asked for without its extension', async () => {
    const answer = await api.get(`/v1/trials/${trialId}/artifacts/final_student_model`);
    expect(answer.status).toBe(302);
    expect(answer.headers.get('location')).toContain('final_student_model.safetensors');
  });

  it('that is not there is answered with those that are', async () => {
    const answer = await api.get(`/v1/trials/${trialId}/artifacts/hybrid_model`);
    expect(answer.status).toBe(404);
    expect(answer.body.detail).toContain('final_student_model.safetensors, distillation_config.json');
  });
});
