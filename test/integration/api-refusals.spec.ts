import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keys, putJson } from '#storage';
import { putTeacher } from './api-records.js';
import { type Answer, type ApiServer, type Payload, startTestApi } from './api-server.js';

let api: ApiServer;

beforeAll(async () => {
  api = await startTestApi();
  await putTeacher(api.store, 'tutor');
});
afterAll(() => api.close());

/** Runs the request and checks that it is refused in the one way errors are told, and that nothing was stored or queued. */
async function refused(status: number, run: () => Promise<Answer>): Promise<Answer['body']> {
  const [before, counts] = [await api.stored(), await api.fleet.counts()];
  const answer = await run();
  expect(answer.status, answer.text).toBe(status);
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  expect(answer.body.requestId).toBe(answer.headers.get('x-request-id'));
  expect(answer.text).not.toMatch(/\\n +at |node_modules|\.[jt]s:\d/);
  expect(await api.stored()).toEqual(before);
  expect(await api.fleet.counts()).toEqual(counts);
  return answer.body;
}

const paths = (body: Answer['body']): string[] => body.errors.map((fault: { path: string }) => fault.path);

describe('the API key', () => {
  it('is asked for everywhere but where it is not needed', async () => {
    for (const path of ['/v1/corpora', '/v1/teachers/x', '/v1/sweeps', '/v1/trials', '/v1/workers', '/v1/version']) {
      const body = await refused(401, () => api.request(path, { key: null }));
      expect(body.detail).toContain('Authorization: Bearer');
    }
  });

  it('is refused when it is another one', async () => {
    for (const key of ['wrong', 'a-key-for-tests-012345678', 'a-key-for-tests-0123456789x']) {
      await refused(401, () => api.request('/v1/version', { key }));
    }
    await refused(401, () => api.request('/v1/version', { key: null, headers: { 'x-api-key': 'wrong' } }));
    await refused(401, () => api.request('/v1/version', { key: null, headers: { authorization: 'Basic abc' } }));
  });

  it('may come as X-API-Key', async () => {
    const headers = { 'x-api-key': 'a-key-for-tests-0123456789' };
    expect((await api.request('/v1/version', { key: null, headers })).status).toBe(200);
  });

  it('is checked before the body is looked at, and never logged', async () => {
    await refused(401, () => api.request('/v1/sweeps', { method: 'POST', body: '{', key: null }));
    expect(JSON.stringify(api.log)).not.toContain('a-key-for-tests');
  });
});

describe('a wrong sweep', () => {
  it('gets all its faults named at once', async () => {
    const wrong = {
      teacher: 'tutor',
      vary: { temperature: [0, 4] },
      base: { distillWeight: 1.5, distillPart: 'middle', studentLayer: 2 },
      seeds: 0,
      colour: 'blue',
    };
    const body = await refused(400, () => api.post('/v1/sweeps', wrong));
    expect(paths(body).sort()).toEqual(
      ['base.distillPart', 'base.distillWeight', 'base.studentLayer', 'colour', 'seeds', 'vary.temperature[0]'].sort(),
    );
    expect(body.detail).toContain('full, encoder, decoder');
    expect(body.detail).toContain('studentLayers');
  });

  it.each([
    ['an unknown field', { teacher: 'tutor', temprature: 4 }, 'temprature'],
    ['T = 0', { teacher: 'tutor', temperature: 0 }, 'temperature'],
    ['a weight of 1.5', { teacher: 'tutor', distillWeight: 1.5 }, 'distillWeight'],
    ['part "middle"', { teacher: 'tutor', distillPart: 'middle' }, 'distillPart'],
    ['no teacher', {}, 'teacher'],
    ['text for a number', { teacher: 'tutor', epochs: '3' }, 'epochs'],
  ])('of one trial with %s is refused by its path', async (_, body, path) => {
    expect(paths(await refused(400, () => api.post('/v1/distillations', body)))).toEqual([path]);
  });

  it('with an unknown teacher is told which there are', async () => {
    const body = await refused(404, () => api.post('/v1/sweeps', { teacher: 'nobody' }));
    expect(body.detail).toContain('"tutor"');
    const demo = await refused(404, () => api.post('/v1/sweeps', { teacher: 'demo' }));
    expect(demo.detail).toContain('POST /v1/teachers with {"builtin": "demo"}');
  });

  it('on another corpus than the teacher learned on is refused', async () => {
    await putTeacher(api.store, 'other');
    const body = await refused(400, () => api.post('/v1/sweeps', { teacher: 'tutor', corpus: 'other-corpus' }));
    expect(paths(body)).toEqual(['corpus']);
    const unknown = await refused(404, () => api.post('/v1/sweeps', { teacher: 'tutor', corpus: 'nothing' }));
    expect(unknown.detail).toContain('"other-corpus"');
  });

  it('is refused whatever the JSON holds', async () => {
    for (const body of [null, [], 'text', 7, true]) await refused(400, () => api.post('/v1/sweeps', body));
    const text = '{"teacher": "tutor", "__proto__": {"seeds": 1}, "constructor": 1}';
    const headers = { 'content-type': 'application/json' };
    const answer = await refused(400, () => api.request('/v1/sweeps', { method: 'POST', body: text, headers }));
    expect(paths(answer).sort()).toEqual(['__proto__', 'constructor']);
  });

  it('with a bad Idempotency-Key or query is refused', async () => {
    const long = { 'Idempotency-Key': 'x'.repeat(256) };
    expect(paths(await refused(400, () => api.post('/v1/sweeps', { teacher: 'tutor' }, long)))).toEqual([
      'Idempotency-Key',
    ]);
    expect(paths(await refused(400, () => api.post('/v1/sweeps?dryrun=true', { teacher: 'tutor' })))).toEqual([
      'dryrun',
    ]);
    await refused(400, () => api.post('/v1/sweeps?dryRun=yes', { teacher: 'tutor' }));
  });
});

describe('a teacher that is being made', () => {
  it('is not ready for a sweep', async () => {
    const { body } = await api.post('/v1/teachers', { name: 'pupil', corpus: 'tutor-corpus', epochs: 1 });
    const answer = await refused(409, () => api.post('/v1/sweeps', { teacher: 'pupil' }));
    expect(answer.detail).toContain(`/v1/preparations/${body.preparationId}`);
    await putJson(api.store, keys.preparationResult(body.preparationId), {
      preparationId: body.preparationId,
      status: 'failed',
      failure: { reason: 'too few sentences' },
      finishedAt: new Date().toISOString(),
    });
    const failed = await refused(409, () => api.post('/v1/sweeps', { teacher: 'pupil' }));
    expect(failed.detail).toContain('too few sentences');
  });

  it('needs a corpus that is there', async () => {
    await refused(404, () => api.post('/v1/teachers', { name: 'p', corpus: 'nothing' }));
    const body = await refused(400, () => api.post('/v1/teachers', { builtin: 'demo', name: 'x', heads: 0 }));
    expect(body.errors.length).toBeGreaterThan(0);
  });
});

describe('a body', () => {
  const json = { 'content-type': 'application/json' };
  const post = (body: Payload, headers: Record<string, string> = json, path = '/v1/sweeps') =>
    api.request(path, { method: 'POST', body, headers });

  it('that is not JSON is refused with the position', async () => {
    const body = await refused(400, () => post('{"teacher": "tutor",\n "seeds": }'));
    expect(body.detail).toContain('position 31 (line 2, column 11)');
    await refused(400, () => post(''));
    await refused(400, () => post(`${'['.repeat(100_000)}`));
    await refused(400, () => post(Buffer.from([0x22, 0xff, 0x22])));
  });

  it('of another type or encoding is refused', async () => {
    await refused(415, () => post('{}', { 'content-type': 'text/plain' }));
    await refused(415, () => post('a=1', { 'content-type': 'application/x-www-form-urlencoded' }));
    await refused(415, () => post('{}', { ...json, 'content-encoding': 'gzip' }));
    await refused(415, () => post('{}', { 'content-type': 'application/json; charset=latin1' }));
    await refused(415, () => post('<a/>', { 'content-type': 'application/xml' }, '/v1/corpora'));
  });

  it('over a mebibyte is refused, announced or not', async () => {
    const big = `{"name": "${'x'.repeat(2 * 1024 ** 2)}"}`;
    await refused(413, () => post(big));
    const stream = new ReadableStream({
      start(controller) {
        for (let part = 0; part < 40; part++) controller.enqueue(Buffer.alloc(65_536, 0x20));
        controller.close();
      },
    });
    await refused(413, () => post(stream));
  });
});

describe('a text', () => {
  const upload = (body: Payload, query = '?name=t', headers: Record<string, string> = {}) =>
    api.request(`/v1/corpora${query}`, { method: 'POST', body, headers: { 'content-type': 'text/plain', ...headers } });

  it.each([
    ['empty', Buffer.from(''), 'empty'],
    ['binary', Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 1]), 'binary'],
    ['not UTF-8', Buffer.from([0x63, 0x61, 0x66, 0xe9, 0x20, 0x0a]), 'not UTF-8'],
    ['UTF-16', Buffer.from([0xff, 0xfe, 0x61, 0x00]), 'UTF-16'],
    ['without a word', Buffer.from('12 34\n'), 'letter'],
  ])('that is %s is refused', async (_, bytes, reason) => {
    const body = await refused(400, () => upload(bytes));
    expect(body.detail).toContain(reason);
  });

  it('without a name, or with wrong limits, is refused with all faults', async () => {
    const body = await refused(400, () => upload('some words\n', '?minWords=0&maxWords=x&colour=blue'));
    expect(paths(body).sort()).toEqual(['colour', 'maxWords', 'minWords', 'name']);
    await refused(400, () => upload('some words\n', '?name=../../x'));
    await refused(400, () => upload('some words\n', '?name=a&minWords=9&maxWords=5'));
  });

  it('larger than 2 GiB is refused before it is received', async () => {
    // fetch does not let us lie about the length, so the head is written by hand.
    const { connect } = await import('node:net');
    const reply = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(new URL(api.url).port), '127.0.0.1', () => {
        const head = [
          'POST /v1/corpora?name=t HTTP/1.1',
          'Host: x',
          'Content-Type: text/plain',
          `Content-Length: ${2049 * 1024 ** 2}`,
        ];
        socket.write(`${[...head, 'Authorization: Bearer a-key-for-tests-0123456789'].join('\r\n')}\r\n\r\nwords`);
      });
      socket.once('data', (data) => {
        resolve(data.toString());
        socket.destroy();
      });
      socket.once('error', reject);
    });
    expect(reply).toMatch(/^HTTP\/1.1 413 /);
  });

  it('needs to be sent as text or asked for by name', async () => {
    expect(paths(await refused(400, () => api.post('/v1/corpora', { builtin: 'europarl' })))).toEqual(['builtin']);
    expect(paths(await refused(400, () => api.post('/v1/corpora?name=x', { builtin: 'sotu' })))).toEqual(['name']);
  });
});

describe('what is not there', () => {
  it('is told so, with ids of every kind', async () => {
    const nothing = createHash('sha256').update('nothing').digest('hex').slice(0, 32);
    for (const id of [nothing, 'x', '..', '%2e%2e', '..%2f..%2fetc%2fpasswd', '%00', 'a%20b', '-', 'é']) {
      for (const path of ['corpora', 'teachers', 'preparations', 'sweeps', 'trials']) {
        await refused(404, () => api.get(`/v1/${path}/${id}`));
      }
    }
    for (const path of [
      `sweeps/${nothing}/report`,
      `sweeps/${nothing}/events`,
      `trials/${nothing}/metrics`,
      `trials/${nothing}/events`,
      `trials/${nothing}/artifacts`,
      `trials/${nothing}/artifacts/x`,
      `trials?sweep=${nothing}`,
    ]) {
      await refused(404, () => api.get(`/v1/${path}`));
    }
    await refused(404, () => api.request(`/v1/sweeps/${nothing}/cancel`, { method: 'POST' }));
  });

  it('includes routes and methods', async () => {
    await refused(404, () => api.get('/'));
    await refused(404, () => api.get('/v1/nothing'));
    await refused(404, () => api.get('/v2/sweeps'));
    await refused(404, () => api.request('/v1/sweeps', { method: 'DELETE' }));
    await refused(400, () => api.get('/v1/sweeps/%E0%A4%A'));
  });
});

describe('a list', () => {
  it('refuses wrong limits, cursors and parameters by name', async () => {
    const body = await refused(400, () => api.get('/v1/trials?limit=0&status=done&page=2&sort=x'));
    expect(paths(body).sort()).toEqual(['limit', 'page', 'sort', 'status']);
    await refused(400, () => api.get('/v1/sweeps?limit=501'));
    await refused(400, () => api.get('/v1/sweeps?limit=1&limit=2'));
    for (const cursor of [
      'x',
      Buffer.from('{"after":"../x"}').toString('base64url'),
      Buffer.from('null').toString('base64url'),
    ]) {
      expect(paths(await refused(400, () => api.get(`/v1/sweeps?cursor=${cursor}`)))).toEqual(['cursor']);
    }
  });
});
