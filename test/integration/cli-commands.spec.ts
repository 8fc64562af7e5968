// The commands as a user calls them, against a real HTTP server that answers in the API's shapes and can be told to break
// off, lie and refuse: exit codes, sentences, downloads that resume.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../support/cli-process.js';

const KEY = 'test-key';

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void;

let folder: string;
let server: Server;
let url: string;
let routes: Record<string, Handler>;
let seen: { route: string; body: string; headers: IncomingMessage['headers'] }[];

const json =
  (status: number, value: unknown): Handler =>
  (_, response) => {
    response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' });
    response.end(JSON.stringify(value));
  };

const run = (command: string[], options: { env?: Record<string, string>; killWhen?: () => boolean } = {}) =>
  runCli(command, { folder, url, apiKey: KEY, ...options });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cli-commands-'));
  routes = {};
  seen = [];
  server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const route = `${request.method} ${request.url?.split('?')[0]}`;
    seen.push({ route, body, headers: request.headers });
    if (!route.includes('/files/') && request.headers.authorization !== `Bearer ${KEY}`) {
      json(401, { title: 'Unauthorized', status: 401 })(request, response, body);
      return;
    }
    const handler = routes[route] ?? json(404, { title: 'Not Found', status: 404, detail: `there is no ${route}` });
    handler(request, response, body);
  }).listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  rmSync(folder, { recursive: true });
});

const HYPERPARAMETERS = {
  temperature: 4,
  distillWeight: 0.7,
  distillPart: 'full',
  studentLayers: 2,
  epochs: 10,
  seed: 1,
};

function trialWith(artifacts: { name: string; bytes: Buffer; sha256?: string }[], changes: object = {}) {
  return {
    trialId: 'trial1',
    status: 'completed',
    hyperparameters: HYPERPARAMETERS,
    teacherId: 't',
    corpusId: 'c',
    artifacts: artifacts.map(({ name, bytes, sha256 }) => ({
      name,
      size: bytes.length,
      contentType: 'application/octet-stream',
      sha256: sha256 ?? sha256Of(bytes),
    })),
    ...changes,
  };
}

function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Serves bytes with ranges behind a redirect; `breakOff` cuts the first answer after so many bytes. */
function serve(name: string, bytes: Buffer, options: { breakOff?: number; ignoreRange?: boolean } = {}): void {
  let answers = 0;
  routes[`GET /v1/trials/trial1/artifacts/${name}`] = (_, response) => {
    response.writeHead(302, { location: `/files/${name}?signature=x` }).end();
  };
  routes[`GET /files/${name}`] = (request, response) => {
    const start = options.ignoreRange ? 0 : Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const headers: Record<string, string | number> = { 'content-length': bytes.length - start };
    if (start > 0) headers['content-range'] = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
    response.writeHead(start > 0 ? 206 : 200, headers);
    if (options.breakOff !== undefined && answers++ === 0) {
      response.write(bytes.subarray(start, start + options.breakOff), () => response.destroy());
    } else response.end(bytes.subarray(start));
  };
}

describe('pull', () => {
  const model = randomBytes(300_000);

  it('fetches all files of a trial, verified, and says where they are', async () => {
    const config = Buffer.from('{"temperature":4}');
    routes['GET /v1/trials/trial1'] = json(
      200,
      trialWith([
        { name: 'final_student_model.safetensors', bytes: model },
        { name: 'distillation_config.json', bytes: config },
        { name: 'empty.txt', bytes: Buffer.alloc(0) },
      ]),
    );
    serve('final_student_model.safetensors', model);
    serve('distillation_config.json', config);
    serve('empty.txt', Buffer.alloc(0));
    const { code, out, err } = await run(['pull', 'trial1', '--to', 'out']);
    expect(err).toContain('3 files');
    expect(code).toBe(0);
    expect(readFileSync(join(folder, 'out', 'final_student_model.safetensors')).equals(model)).toBe(true);
    expect(readFileSync(join(folder, 'out', 'distillation_config.json')).equals(config)).toBe(true);
    expect(out).toContain(sha256Of(model).slice(0, 12));
    expect(existsSync(join(folder, 'out', 'empty.txt'))).toBe(true);
    expect(
      seen.filter(({ route }) => route.includes('/files/')).every(({ headers }) => headers.authorization === undefined),
    ).toBe(true);
  });

  it('goes on with a range from where an earlier run was broken off', async () => {
    routes['GET /v1/trials/trial1'] = json(200, trialWith([{ name: 'm.bin', bytes: model }]));
    serve('m.bin', model);
    mkdirSync(join(folder, 'out'));
    writeFileSync(join(folder, 'out', 'm.bin.part'), model.subarray(0, 100_000));
    const { code, out } = await run(['pull', 'trial1', '--to', 'out', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(out).files[0].outcome).toBe('resumed');
    expect(seen.find(({ route }) => route === 'GET /files/m.bin')?.headers.range).toBe('bytes=100000-');
    expect(readFileSync(join(folder, 'out', 'm.bin')).equals(model)).toBe(true);
    expect(existsSync(join(folder, 'out', 'm.bin.part'))).toBe(false);
  });

  it('goes on by itself when the connection breaks off in the middle', async () => {
    routes['GET /v1/trials/trial1'] = json(200, trialWith([{ name: 'm.bin', bytes: model }]));
    serve('m.bin', model, { breakOff: 150_000 });
    const { code } = await run(['pull', 'trial1', '--to', 'out']);
    expect(code).toBe(0);
    expect(readFileSync(join(folder, 'out', 'm.bin')).equals(model)).toBe(true);
    expect(seen.filter(({ route }) => route === 'GET /files/m.bin').length).toBe(2);
  });

  it('begins anew when the server ignores ranges or the old part is of another file', async () => {
    for (const options of [{ ignoreRange: true }, {}]) {
      rmSync(join(folder, 'out'), { recursive: true, force: true });
      routes['GET /v1/trials/trial1'] = json(200, trialWith([{ name: 'm.bin', bytes: model }]));
      serve('m.bin', model, options);
      mkdirSync(join(folder, 'out'));
      writeFileSync(join(folder, 'out', 'm.bin.part'), randomBytes(5_000));
      const { code } = await run(['pull', 'trial1', '--to', 'out']);
      expect(code).toBe(0);
      expect(readFileSync(join(folder, 'out', 'm.bin')).equals(model)).toBe(true);
    }
  });

  it('keeps what is there and right, and replaces what is there and wrong', async () => {
    routes['GET /v1/trials/trial1'] = json(
      200,
      trialWith([
        { name: 'a.bin', bytes: model },
        { name: 'b.bin', bytes: model },
      ]),
    );
    serve('a.bin', model);
    serve('b.bin', model);
    mkdirSync(join(folder, 'out'));
    writeFileSync(join(folder, 'out', 'a.bin'), model);
    writeFileSync(join(folder, 'out', 'b.bin'), Buffer.alloc(model.length));
    const { code, out } = await run(['pull', 'trial1', '--to', 'out', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(out).files.map((file: { outcome: string }) => file.outcome)).toEqual(['present', 'fetched']);
    expect(readFileSync(join(folder, 'out', 'b.bin')).equals(model)).toBe(true);
  });

  it('keeps nothing whose SHA-256 is not the promised one', async () => {
    routes['GET /v1/trials/trial1'] = json(200, trialWith([{ name: 'm.bin', bytes: model, sha256: 'f'.repeat(64) }]));
    serve('m.bin', model);
    const { code, err } = await run(['pull', 'trial1', '--to', 'out']);
    expect(code).toBe(1);
    expect(err).toMatch(/error: .*m\.bin: the server sent other bytes than it promised .*nothing was kept/);
    expect(existsSync(join(folder, 'out', 'm.bin'))).toBe(false);
    expect(existsSync(join(folder, 'out', 'm.bin.part'))).toBe(false);
  });

  it('writes no file whose name leads out of the folder', async () => {
    routes['GET /v1/trials/trial1'] = json(200, trialWith([{ name: '../evil', bytes: model }]));
    const { code, err } = await run(['pull', 'trial1', '--to', 'out']);
    expect(code).toBe(1);
    expect(err).toContain('not safe to write');
  });

  it('takes only the named files, with or without their ending, and says when there are none', async () => {
    routes['GET /v1/trials/trial1'] = json(
      200,
      trialWith([
        { name: 'hybrid_model.safetensors', bytes: model },
        { name: 'log.txt', bytes: model },
      ]),
    );
    serve('hybrid_model.safetensors', model);
    expect((await run(['pull', 'trial1', '--to', 'out', '--only', 'hybrid_model'])).code).toBe(0);
    expect(existsSync(join(folder, 'out', 'log.txt'))).toBe(false);
    const none = await run(['pull', 'trial1', '--only', 'nothing']);
    expect([none.code, none.err]).toEqual([2, 'error: trial1 has no file named nothing\n']);
    const unknown = await run(['pull', 'other']);
    expect([unknown.code, unknown.err]).toEqual([2, 'error: there is no sweep, no trial and no teacher other\n']);
  });

  it('puts the files of a sweep into one folder a trial', async () => {
    const trials = [1, 4].map((temperature) =>
      trialWith([{ name: 'm.bin', bytes: model }], { hyperparameters: { ...HYPERPARAMETERS, temperature } }),
    );
    routes['GET /v1/sweeps/sweep1'] = json(200, { sweepId: 'sweep1', trials });
    serve('m.bin', model);
    expect((await run(['pull', 'sweep1'])).code).toBe(0);
    for (const temperature of [1, 4])
      expect(existsSync(join(folder, 'sweep-sweep1', `T${temperature}-seed1-trial1`, 'm.bin'))).toBe(true);
  });
});

describe('a sweep', () => {
  const accepted = {
    sweepId: 'sweep1',
    name: 's',
    status: 'queued',
    trials: [{ trialId: 'trial1' }],
    bundles: 1,
    reused: 0,
    warnings: [{ code: 'one-seed', message: 'one seed says nothing' }],
  };
  const live = {
    phase: 'training',
    workerId: 'w1',
    epoch: 3,
    epochs: 10,
    step: 30,
    steps: 100,
    trainLoss: 1.5,
    tokensPerSecond: 9000,
  };

  function sweepThatEnds(status: 'completed' | 'failed'): void {
    const views = [
      { status: 'queued', trials: [trialWith([], { status: 'queued' })] },
      { status: 'running', trials: [trialWith([], { status: 'running', progress: live })] },
      {
        status: status === 'failed' ? 'failed' : 'completed',
        settledAt: '2026-01-01T00:00:00Z',
        trials: [trialWith([], status === 'failed' ? { status, failure: { reason: 'loss is not a number' } } : {})],
      },
    ];
    let looks = 0;
    routes['POST /v1/sweeps'] = json(202, accepted);
    routes['GET /v1/sweeps/sweep1'] = (request, response, body) => {
      const view = views[Math.min(looks++, views.length - 1)];
      json(200, { sweepId: 'sweep1', name: 's', kind: 'sweep', warnings: [], counts: { [status]: 1 }, ...view })(
        request,
        response,
        body,
      );
    };
  }

  it('is sent as the flags say, followed line by line, and ends with exit code 0', async () => {
    sweepThatEnds('completed');
    const { code, err } = await run([
      'sweep',
      '--teacher',
      'mine',
      '--temperature',
      '1,2',
      '--seeds',
      '3',
      '--lr',
      '0.001',
    ]);
    expect(code).toBe(0);
    const sent = seen.find(({ route }) => route === 'POST /v1/sweeps');
    expect(JSON.parse(sent?.body ?? '')).toEqual({
      teacher: 'mine',
      base: { learningRate: 0.001 },
      vary: { temperature: [1, 2] },
      seeds: 3,
    });
    expect(err.split('\n').slice(0, 4)).toEqual([
      'sweep sweep1: 1 trials in 1 bundle',
      'warning: one seed says nothing',
      'seed 1: running on w1',
      'seed 1: completed',
    ]);
    expect(err).toContain('workers that took part: w1');
    expect(err).not.toContain('\u001b');
  });

  it('with a failed trial ends with exit code 1 and its reason', async () => {
    sweepThatEnds('failed');
    const { code, err } = await run(['sweep', '--teacher', 'mine', '--temperature', '1,2']);
    expect(code).toBe(1);
    expect(err).toContain('seed 1: failed: loss is not a number');
    expect(err).toContain('error: 1 of 1 trials did not complete');
  });

  it('goes on when the watcher is stopped by Ctrl-C, and says so', async () => {
    routes['POST /v1/sweeps'] = json(202, accepted);
    routes['GET /v1/sweeps/sweep1'] = json(200, {
      sweepId: 'sweep1',
      name: 's',
      status: 'running',
      warnings: [],
      counts: {},
      trials: [trialWith([], { status: 'running', progress: live })],
    });
    const isWatching = () => seen.some(({ route }) => route === 'GET /v1/sweeps/sweep1');
    const { code, err } = await run(['sweep', '--teacher', 'mine', '--temperature', '1,2'], { killWhen: isWatching });
    expect(code).toBe(130);
    expect(err).toMatch(/no longer watching; the sweep goes on \('.* watch sweep1'/);
    expect(seen.some(({ route }) => route.includes('cancel'))).toBe(false);
  });

  it('keeps being watched while the server is away for a moment', async () => {
    sweepThatEnds('completed');
    const answer = routes['GET /v1/sweeps/sweep1'];
    let looks = 0;
    routes['GET /v1/sweeps/sweep1'] = (request, response, body) => {
      if (looks++ === 1) request.socket.destroy();
      else if (looks === 3) json(503, { title: 'Service Unavailable', status: 503 })(request, response, body);
      else answer?.(request, response, body);
    };
    expect((await run(['sweep', '--teacher', 'mine', '--temperature', '1,2'])).code).toBe(0);
  });

  it('takes a file, flags over it, and returns at once with --no-wait', async () => {
    routes['POST /v1/sweeps'] = json(202, accepted);
    writeFileSync(
      join(folder, 'sweep.json'),
      JSON.stringify({ teacher: 'mine', vary: { studentLayers: [1, 2] }, seeds: 2 }),
    );
    const { code, out } = await run(['sweep', 'sweep.json', '--seeds', '5', '--no-wait', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(out).sweepId).toBe('sweep1');
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual({ teacher: 'mine', vary: { studentLayers: [1, 2] }, seeds: 5 });
  });
});

describe('what is wrong', () => {
  it('with flags is told at once and in full, with exit code 2, and nothing is sent', async () => {
    const { code, err } = await run([
      'sweep',
      '--temperature',
      '0',
      '--distill-weight',
      '1.5',
      '--distill-part',
      'middle',
      '--seeds',
      '0',
    ]);
    expect(code).toBe(2);
    const [first, ...faults] = err.trim().split('\n');
    expect(first).toBe('error: the request is not right:');
    expect(faults.map((line) => line.split(':')[0]).sort()).toEqual([
      '  - --distill-part',
      '  - --distill-weight',
      '  - --seeds',
      '  - --temperature',
    ]);
    expect(seen).toEqual([]);
  });

  it.each([
    ['an unknown flag', ['sweep', '--temprature', '4'], /unknown option '--temprature'.*--temperature/s],
    ['an unknown command', ['swep'], /unknown command 'swep'/],
    ['a file that is not there', ['sweep', 'gone.json'], /gone\.json cannot be read \(ENOENT\)/],
    ['a number of workers', ['up', '--workers', 'many'], /--workers: must be a whole number from 1 to 256, not "many"/],
    ['a port', ['up', '--port', '99999'], /--port: must be a whole number from 1 to 65535/],
    ['a format', ['report', 'x', '--format', 'pdf'], /--format: must be one of html, md, csv, json, tex/],
    ['an address', ['status', '--server', 'localhost:1'], /--server must be an http\(s\) address/],
    [
      'a teacher given as a file',
      ['distill', '--teacher-checkpoint', 'teacher.pt'],
      /teachers are named, not read from files/,
    ],
  ])('%s is refused with exit code 2 and nothing is sent', async (_, command, sentence) => {
    const { code, err, out } = await run(command);
    expect(err).toMatch(sentence);
    expect(code).toBe(2);
    expect(err).not.toMatch(/\n\s+at /);
    expect(out).toBe('');
    expect(seen).toEqual([]);
  });

  it.each([
    ['empty', Buffer.alloc(0)],
    ['binary', Buffer.from([80, 75, 3, 4, 0, 0, 0])],
    ['not UTF-8', Buffer.from([0x61, 0xff, 0xfe, 0x62])],
  ])('a text file that is %s is refused with exit code 2 and nothing is sent', async (_, bytes) => {
    writeFileSync(join(folder, 'text.txt'), bytes);
    const { code, err } = await run(['corpus', 'add', 'text.txt', '--name', 'mine']);
    expect(code).toBe(2);
    expect(err).toMatch(/ {2}- text\.txt: /);
    expect(seen).toEqual([]);
  });

  it('for the server is shown as its sentence and a list of faults', async () => {
    routes['POST /v1/sweeps'] = json(400, {
      title: 'Bad Request',
      status: 400,
      detail: 'the request has 2 faults',
      errors: [
        { path: 'base.temperature', message: 'too hot' },
        { path: 'corpus', message: 'unknown' },
      ],
    });
    const { code, err } = await run(['sweep', '--teacher', 'mine', '--temperature', '4']);
    expect([code, err]).toEqual([
      2,
      'error: the request has 2 faults\n  - --temperature: too hot\n  - corpus: unknown\n',
    ]);
    const asJson = await run(['sweep', '--teacher', 'mine', '--temperature', '4', '--json']);
    expect(JSON.parse(asJson.out).error.faults.length).toBe(2);
  });

  it('is a key that is refused: one sentence, exit code 1', async () => {
    const { code, err } = await run(['status'], { env: { SEMDISTILL_API_KEY: 'other' } });
    expect([code, err]).toEqual([1, `error: ${url} refuses this API key; check --key or SEMDISTILL_API_KEY\n`]);
  });

  it('is a server that is not there: one sentence with how to start one, exit code 1', async () => {
    const { code, err } = await run(['status'], { env: { SEMDISTILL_URL: 'http://127.0.0.1:9' } });
    expect(code).toBe(1);
    expect(err).toMatch(
      /^error: the server http:\/\/127\.0\.0\.1:9 cannot be reached \(.*\); is it running\? '.* up' starts one on this machine\n$/,
    );
  });

  it('is no server known at all: one sentence, exit code 1', async () => {
    const { code, err } = await run(['status'], { env: { SEMDISTILL_URL: '' } });
    expect(code).toBe(1);
    expect(err).toMatch(/^error: no server is known here; start one with '.* up'/);
  });

  it('is told in Chinese where the locale is Chinese', async () => {
    const { code, err } = await run(['status'], { env: { SEMDISTILL_URL: '', LC_ALL: 'zh_CN.UTF-8' } });
    expect(code).toBe(1);
    expect(err).toMatch(/^错误： 这里不知道任何服务器/);
  });
});

describe('the connection', () => {
  it('is found in the nearest state folder, from a folder below it too', async () => {
    mkdirSync(join(folder, '.semdistill'));
    writeFileSync(join(folder, '.semdistill', 'connection.json'), JSON.stringify({ url, apiKey: KEY }));
    routes['GET /v1/corpora'] = json(200, { items: [{ name: 'sotu', state: 'available' }] });
    const { code, out } = await run(['corpus', 'list', '--json'], {
      env: { SEMDISTILL_URL: '', SEMDISTILL_API_KEY: '' },
    });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual([{ name: 'sotu', state: 'available' }]);
  });

  it('may be given by flags, which go before all else', async () => {
    routes['GET /v1/corpora'] = json(200, { items: [], nextCursor: undefined });
    const { code } = await run(['corpus', 'list', '--server', url, '--key', KEY], {
      env: { SEMDISTILL_URL: 'http://127.0.0.1:9', SEMDISTILL_API_KEY: 'x' },
    });
    expect(code).toBe(0);
  });

  it('reads lists to their last page', async () => {
    routes['GET /v1/teachers'] = (request, response, body) => {
      const isFirst = !request.url?.includes('cursor=');
      json(200, isFirst ? { items: [{ name: 'a' }], nextCursor: 'next' } : { items: [{ name: 'b' }] })(
        request,
        response,
        body,
      );
    };
    expect(JSON.parse((await run(['teacher', 'list', '--json'])).out)).toEqual([{ name: 'a' }, { name: 'b' }]);
  });
});

describe('steering', () => {
  it('acts on the sweep of that id, or else on the trial, and says so', async () => {
    routes['POST /v1/sweeps/sweep1/pause'] = json(202, { sweepId: 'sweep1', status: 'paused' });
    const sweep = await run(['pause', 'sweep1']);
    expect(sweep).toMatchObject({ code: 0, err: expect.stringContaining('sweep sweep1 is paused (now: paused)') });
    routes['POST /v1/trials/trial1/retry'] = json(202, { trialId: 'trial1', status: 'queued' });
    const trial = await run(['retry', 'trial1', '--language', 'zh']);
    expect(trial).toMatchObject({ code: 0, err: expect.stringContaining('试验 trial1 将重新训练（当前：排队）') });
    expect(JSON.parse((await run(['retry', 'trial1', '--json'])).out)).toMatchObject({ trialId: 'trial1' });
    const neither = await run(['resume', 'nowhere']);
    expect(neither).toMatchObject({ code: 2, err: expect.stringContaining('no sweep, trial or analysis nowhere') });
    routes['POST /v1/sweeps/sweep1/cancel'] = json(409, { status: 409, detail: 'Sweep sweep1 has ended already.' });
    expect(await run(['cancel', 'sweep1'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('has ended already'),
    });
  });

  it('extends a sweep by seeds and values, after a look at the plan', async () => {
    const trials = [{ trialId: 'trial1', role: 'requested', hyperparameters: HYPERPARAMETERS }];
    routes['GET /v1/sweeps/sweep1'] = json(200, { sweepId: 'sweep1', trials: [] });
    const answer = {
      sweepId: 'sweep1',
      version: 2,
      name: 's',
      status: 'running',
      trials,
      bundles: 1,
      reused: 0,
      warnings: [],
    };
    routes['POST /v1/sweeps/sweep1/extend'] = json(202, answer);
    const extended = await run(['extend', 'sweep1', '--seeds', '2', '--temperature', '12']);
    expect(extended).toMatchObject({
      code: 0,
      err: expect.stringContaining('sweep sweep1 is now version 2: 1 trials'),
    });
    expect(JSON.parse(seen.at(-1)?.body ?? '')).toEqual({ seeds: 2, vary: { temperature: [12] } });
    const plan = await run(['extend', 'sweep1', '--seeds', '7,8', '--dry-run']);
    expect(plan.out).toContain('requested');
    const wrong = await run(['extend', 'sweep1', '--temperature', '-1']);
    expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('--temperature') });
    expect((await run(['extend', 'sweep1'])).code).toBe(2);
  });

  it('lists and drains workers, and shows what a repair would do', async () => {
    const worker = {
      workerId: 'w1',
      host: 'h',
      processId: 1,
      state: 'idle',
      trialIds: [],
      startedAt: '',
      updatedAt: '',
    };
    routes['GET /v1/workers'] = json(200, [worker]);
    expect((await run(['workers', 'list'])).out).toMatch(/w1\s+idle\s+h\s/);
    routes['POST /v1/workers/w1/drain'] = json(202, worker);
    expect((await run(['workers', 'drain', 'w1'])).err).toContain('worker w1 gives its job back and ends');
    const fault = {
      kind: 'missing-job',
      subject: 'b',
      message: 'Bundle b has 2 open trials and no job.',
      mended: false,
    };
    routes['POST /v1/repairs'] = json(200, { dryRun: true, found: 1, faults: [fault] });
    const repair = await run(['repair', '--dry-run']);
    expect(repair.out).toContain('found: Bundle b has 2 open trials and no job.');
    expect(repair.err).toContain('1 found; nothing was changed');
  });
});
