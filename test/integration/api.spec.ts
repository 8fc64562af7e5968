import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CorpusRecord, preparationIdOf, type SweepRecord, type TeacherRecord } from '#experiment';
import { keys, putJson } from '#storage';
import { EPOCH, putResult, putTeacher, settle } from './api-records.js';
import { type ApiServer, startTestApi } from './api-server.js';

let api: ApiServer;
let teacher: TeacherRecord;
let corpus: CorpusRecord;

beforeAll(async () => {
  api = await startTestApi();
  ({ teacher, corpus } = await putTeacher(api.store, 'tutor'));
});
afterAll(() => api.close());

const SWEEP = { teacher: 'tutor', vary: { temperature: [2, 4] }, seeds: 2, base: { epochs: 2 } };

async function waitingJobs(): Promise<number> {
  const { waiting, active } = await api.fleet.counts();
  return waiting + active;
}

describe('what needs no key', () => {
  it('tells that it lives and is ready', async () => {
    for (const path of ['/v1/health/live', '/v1/health/ready', '/health/live', '/health/ready']) {
      const answer = await api.request(path, { key: null });
      expect(answer.status, path).toBe(200);
      expect(answer.body).toEqual({ status: 'ok' });
    }
  });

  it('serves the document and a page that loads nothing from elsewhere', async () => {
    const document = await api.request('/openapi.json', { key: null });
    expect(document.body.openapi).toBe('3.1.0');
    const page = await api.request('/docs', { key: null });
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
    const loaded = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => url ?? '');
    expect(loaded.length).toBeGreaterThan(3);
    for (const url of loaded) {
      const asset = await api.request(new URL(url, `${api.url}/docs`).pathname, { key: null });
      expect(asset.status, url).toBe(200);
    }
  });
});

describe('headers', () => {
  it('say nothing of the machinery, forbid sniffing and framing, and carry the request id', async () => {
    const { headers } = await api.request('/v1/version', { headers: { 'x-request-id': 'mine-1' } });
    expect(headers.get('x-powered-by')).toBeNull();
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(headers.get('x-request-id')).toBe('mine-1');
    expect(api.log.find((line) => line.requestId === 'mine-1')).toMatchObject({
      method: 'GET',
      path: '/v1/version',
      status: 200,
    });
  });
});

describe('version and workers', () => {
  it('tells the version', async () => {
    expect((await api.get('/v1/version')).body).toMatchObject({ version: '0.1.0', numericsVersion: 1 });
  });

  it('lists no worker when there is none', async () => {
    expect((await api.get('/v1/workers')).body).toEqual([]);
  });
});

describe('corpora', () => {
  it('lists built-in ones as available and stored ones as ready', async () => {
    const { body } = await api.get('/v1/corpora');
    const states = Object.fromEntries(
      body.items.map((item: { name: string; state: string }) => [item.name, item.state]),
    );
    expect(states).toMatchObject({ sotu: 'available', 'sotu-small': 'available', 'tutor-corpus': 'ready' });
  });

  it('are found by id and by name', async () => {
    expect((await api.get(`/v1/corpora/${corpus.corpusId}`)).body).toEqual(corpus);
    expect((await api.get('/v1/corpora/tutor-corpus')).body).toEqual(corpus);
  });

  it('start a built-in one once, however often it is asked for', async () => {
    const before = await waitingJobs();
    const first = await api.post('/v1/corpora', { builtin: 'sotu-small' });
    const second = await api.post('/v1/corpora', { builtin: 'sotu-small' });
    expect(first.status).toBe(202);
    expect(first.body).toMatchObject({ kind: 'corpus', name: 'sotu-small', status: 'queued' });
    expect(second.body).toEqual(first.body);
    expect(await waitingJobs()).toBe(before + 1);
    expect((await api.get('/v1/corpora/sotu-small')).body).toEqual(first.body);
    const listed = (await api.get('/v1/corpora')).body.items.filter(
      (item: { name: string }) => item.name === 'sotu-small',
    );
    expect(listed).toMatchObject([{ state: 'queued', preparationId: first.body.preparationId }]);
  });

  it('take an own text, keep it by its hash, and find it completed when a worker has made it', async () => {
    const upload = (text: string) =>
      api.request('/v1/corpora?name=mine&minWords=3', {
        method: 'POST',
        body: text,
        headers: { 'content-type': 'text/plain' },
      });
    const text = 'One sentence of some words .\nAnother sentence of more words .\n';
    const first = await upload(text);
    expect(first.status).toBe(202);
    expect(first.body).toMatchObject({ kind: 'corpus', name: 'mine', status: 'queued' });
    const uploads = (await api.stored()).filter((key) => key.startsWith('uploads/'));
    expect(uploads).toHaveLength(1);
    expect((await api.store.get(uploads[0] ?? '')).toString()).toBe(text);
    const { preparationId } = first.body;
    await putJson(api.store, keys.preparationResult(preparationId), {
      preparationId,
      status: 'completed',
      corpusId: corpus.corpusId,
      finishedAt: new Date().toISOString(),
    });
    expect((await upload(text)).body).toMatchObject({ preparationId, status: 'completed', corpusId: corpus.corpusId });
  });

  it('take a text of several megabytes in chunks', async () => {
    const line = 'A long text of the same words again and again .\n';
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let part = 0; part < 40; part++) controller.enqueue(Buffer.from(line.repeat(4000)));
        controller.close();
      },
    });
    const headers = { 'content-type': 'text/plain; charset=utf-8' };
    const answer = await api.request('/v1/corpora?name=long', { method: 'POST', body: stream, headers });
    expect(answer.status).toBe(202);
    const sizes = (await api.store.list('uploads/')).objects.map(({ size }) => size);
    expect(sizes).toContain(line.length * 160_000);
  });
});

describe('teachers', () => {
  it('are listed and found by id and by name', async () => {
    const { body } = await api.get('/v1/teachers');
    expect(body.items).toContainEqual({ state: 'ready', ...teacher });
    expect(body.items).toContainEqual({ state: 'available', name: 'demo', builtin: 'demo' });
    expect((await api.get(`/v1/teachers/${teacher.teacherId}`)).body).toEqual(teacher);
    expect((await api.get('/v1/teachers/tutor')).body).toEqual(teacher);
  });

  it('are trained on a corpus that is ready', async () => {
    const answer = await api.post('/v1/teachers', { name: 'fresh', corpus: 'tutor-corpus', layers: 2, epochs: 1 });
    expect(answer.status).toBe(202);
    expect(answer.body).toMatchObject({ kind: 'teacher', name: 'fresh', status: 'queued' });
    expect((await api.get('/v1/teachers/fresh')).body).toEqual(answer.body);
    const record = JSON.parse((await api.store.get(keys.preparation(answer.body.preparationId))).toString());
    expect(record.request).toMatchObject({ corpusId: corpus.corpusId, training: { layers: 2, epochs: 1, heads: 8 } });
  });

  it('that failed are tried afresh when asked for again', async () => {
    const preparationId = preparationIdOf({ kind: 'teacher', name: 'demo', builtin: 'demo' });
    await api.post('/v1/teachers', { builtin: 'demo' });
    await putJson(api.store, keys.preparationResult(preparationId), {
      preparationId,
      status: 'failed',
      failure: { reason: 'the download broke off' },
      finishedAt: new Date().toISOString(),
    });
    const failed = await api.get('/v1/teachers/demo');
    expect(failed.body).toMatchObject({ status: 'failed', failure: { reason: 'the download broke off' } });
    expect((await api.post('/v1/teachers', { builtin: 'demo' })).body).toMatchObject({ status: 'queued' });
  });
});

describe('a sweep', () => {
  let sweepId: string;
  let trialIds: string[];

  it('is planned without anything stored when dryRun is set', async () => {
    const before = await api.stored();
    const answer = await api.post('/v1/sweeps?dryRun=true', SWEEP);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ status: 'planned', reused: 0 });
    // 2 temperatures, T = 1 and the baseline, each with 2 seeds
    expect(answer.body.trials).toHaveLength(8);
    expect(await api.stored()).toEqual(before);
  });

  it('is stored and queued', async () => {
    const before = await waitingJobs();
    const answer = await api.post('/v1/sweeps', SWEEP);
    expect(answer.status).toBe(202);
    expect(answer.headers.get('location')).toBe(answer.body.links.self);
    expect(answer.body).toMatchObject({ status: 'queued', bundles: 2, reused: 0 });
    ({ sweepId } = answer.body);
    trialIds = answer.body.trials.map((trial: { trialId: string }) => trial.trialId);
    expect(await waitingJobs()).toBe(before + answer.body.bundles);
    const record: SweepRecord = JSON.parse((await api.store.get(keys.sweep(sweepId))).toString());
    expect(record.bundles.flat().sort()).toEqual([...trialIds].sort());
    for (const trialId of trialIds) expect(await api.store.head(keys.trial(trialId)), trialId).toBeDefined();
  });

  it('shows its trials queued, then as results come in', async () => {
    const queued = (await api.get(`/v1/sweeps/${sweepId}`)).body;
    expect(queued).toMatchObject({ status: 'queued', live: true, counts: { queued: 8, completed: 0 } });
    await putResult(api.store, trialIds[0] ?? '');
    await putResult(api.store, trialIds[1] ?? '', 'failed');
    const running = (await api.get(`/v1/sweeps/${sweepId}`)).body;
    expect(running).toMatchObject({ status: 'running', counts: { queued: 6, completed: 1, failed: 1 } });
    expect(running.trials[0]).toMatchObject({
      role: 'requested',
      status: 'completed',
      attempts: 2,
      worker: 'worker-1',
    });
    expect(running.trials[0].summary.bestLoss).toBe(3.2);
    expect(running.trials[1].failure).toEqual({ reason: 'the loss is not a number', step: 3 });
  });

  it('has no report before it is settled, and then one in each format', async () => {
    const early = await api.get(`/v1/sweeps/${sweepId}/report`);
    expect(early.status).toBe(409);
    expect(early.body.detail).toContain('has no report yet');
    await settle(api.store, sweepId);
    const types = {
      json: 'application/json',
      csv: 'text/csv',
      md: 'text/markdown',
      html: 'text/html',
      tex: 'application/x-tex',
    };
    for (const [suffix, type] of Object.entries(types)) {
      const bySuffix = await api.get(`/v1/sweeps/${sweepId}/report.${suffix}`);
      const byAccept = await api.request(`/v1/sweeps/${sweepId}/report`, { headers: { accept: type } });
      for (const answer of [bySuffix, byAccept]) {
        expect(answer.status, suffix).toBe(200);
        expect(answer.headers.get('content-type'), suffix).toContain(type);
        expect(answer.headers.get('content-security-policy')).toContain('sandbox');
      }
      expect(byAccept.text).toBe(bySuffix.text);
    }
    expect((await api.get(`/v1/sweeps/${sweepId}/report/bleu.svg`)).text).toContain('<svg');
    expect((await api.get(`/v1/sweeps/${sweepId}/report/nothing.svg`)).body.detail).toContain('bleu.svg');
    const strange = await api.request(`/v1/sweeps/${sweepId}/report`, { headers: { accept: 'image/png' } });
    expect(strange.status).toBe(406);
    expect((await api.get(`/v1/sweeps/${sweepId}`)).body).toMatchObject({
      status: 'completed',
      counts: { completed: 1 },
    });
  });

  it('lists failed trials', async () => {
    const failed = (await api.get('/v1/trials?status=failed')).body.items;
    expect(failed.map((trial: { trialId: string }) => trial.trialId)).toEqual([trialIds[1]]);
  });

  it('reuses what has been trained, and trains what failed once more', async () => {
    const again = await api.post('/v1/sweeps', { ...SWEEP, name: 'again' });
    expect(again.body.reused).toBe(1);
    expect((await api.get(`/v1/trials/${trialIds[1]}`)).body.status).toBe('queued');
    expect(again.body.trials.map((trial: { trialId: string }) => trial.trialId)).toEqual(trialIds);
  });

  it('shows a trial with its metrics and files', async () => {
    const trialId = trialIds[0] ?? '';
    expect((await api.get(`/v1/trials/${trialId}`)).body).toMatchObject({ trialId, status: 'completed' });
    expect((await api.get(`/v1/trials/${trialId}/metrics`)).body).toEqual({ trialId, live: true, epochs: [EPOCH] });
    const { items } = (await api.get(`/v1/trials/${trialId}/artifacts`)).body;
    expect(items.map((item: { name: string }) => item.name)).toEqual([
      'final_student_model.safetensors',
      'distillation_config.json',
    ]);
    expect(items[0]).not.toHaveProperty('key');
    const open = await api.get(`/v1/trials/${trialIds[2]}/artifacts/final_student_model`);
    expect(open.status).toBe(409);
  });

  it('lists trials by state and by sweep', async () => {
    const completed = (await api.get('/v1/trials?status=completed')).body.items;
    expect(completed.map((trial: { trialId: string }) => trial.trialId)).toEqual([trialIds[0]]);
    const ofSweep = (await api.get(`/v1/trials?sweep=${sweepId}`)).body.items;
    expect(ofSweep.map((trial: { trialId: string }) => trial.trialId)).toEqual(trialIds);
  });

  it('gives every trial exactly once over pages of any size', async () => {
    for (const filter of ['', `sweep=${sweepId}&`, 'status=queued&']) {
      const whole = (await api.get(`/v1/trials?${filter}limit=500`)).body.items.map(
        (t: { trialId: string }) => t.trialId,
      );
      expect(whole.length).toBeGreaterThan(5);
      for (const limit of [1, 3, whole.length]) {
        const seen: string[] = [];
        let cursor = '';
        do {
          const { body } = await api.get(`/v1/trials?${filter}limit=${limit}${cursor && `&cursor=${cursor}`}`);
          expect(body.items.length).toBeLessThanOrEqual(limit);
          seen.push(...body.items.map((trial: { trialId: string }) => trial.trialId));
          cursor = body.nextCursor ?? '';
        } while (cursor !== '');
        expect(seen, `${filter} ${limit}`).toEqual(whole);
      }
    }
  });
});

describe('one distillation', () => {
  it('is a sweep of one trial', async () => {
    const answer = await api.post('/v1/distillations', { teacher: 'tutor', temperature: 3, seed: 7, epochs: 1 });
    expect(answer.status).toBe(202);
    const { trialId, sweepId } = answer.body;
    expect((await api.get(`/v1/trials/${trialId}`)).body.hyperparameters).toMatchObject({ temperature: 3, seed: 7 });
    expect((await api.get(`/v1/sweeps/${sweepId}`)).body).toMatchObject({
      kind: 'distillation',
      counts: { queued: 1 },
    });
    const listed = (await api.get('/v1/sweeps')).body.items;
    expect(listed.map((sweep: { sweepId: string }) => sweep.sweepId)).toContain(sweepId);
  });
});
