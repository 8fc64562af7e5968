// A large text on its way out of the command: streamed, so its size does not matter; what is too large is refused at once.
import { spawn } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MAX_TEXT_BYTES } from '#experiment';
import { processFile } from '../support/processes.js';

const MAIN = resolve(import.meta.dirname, '../../dist/apps/cli/main.js');
const TEXT_BYTES = 300 * 2 ** 20;
const hasProc = process.platform === 'linux';

let folder: string;
let received = 0;
const server = createServer(async (request, response) => {
  for await (const piece of request) received += (piece as Buffer).length;
  const problem = { title: 'Insufficient storage', status: 507, detail: 'No room for it.' };
  response.writeHead(507, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
});

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'semdistill-upload-test-'));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
});

afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function run(...command: string[]): Promise<{ code: number | null; err: string; peakBytes: number }> {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const env = {
    ...process.env,
    LC_ALL: 'C',
    NO_COLOR: '1',
    SEMDISTILL_URL: url,
    SEMDISTILL_API_KEY: 'key-for-tests-0123456789',
  };
  const child = spawn(process.execPath, [MAIN, ...command], { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] });
  const result = { code: null as number | null, err: '', peakBytes: 0 };
  child.stderr.on('data', (chunk) => {
    result.err += chunk;
  });
  const watch = setInterval(() => {
    if (hasProc && child.exitCode === null) result.peakBytes = Math.max(result.peakBytes, peakOf(child.pid ?? 0));
  }, 20);
  result.code = await new Promise((done) => child.once('close', (code) => done(code)));
  clearInterval(watch);
  return result;
}

/** The most memory the process has held so far, as Linux counts it; 0 when it is gone. */
function peakOf(pid: number): number {
  return 1024 * Number(/VmHWM:\s+(\d+)/.exec(processFile(pid, 'status'))?.[1] ?? 0);
}

test.skipIf(!hasProc)(
  `300 MB of text take no more memory than a little${hasProc ? '' : ' (skipped: no /proc here)'}`,
  async () => {
    const line = Buffer.from('we send words through noise and they arrive .\n'.repeat(25_000));
    const file = openSync(join(folder, 'large.txt'), 'w');
    for (let written = 0; written < TEXT_BYTES; written += line.length) writeSync(file, line);
    closeSync(file);
    const { code, err, peakBytes } = await run('corpus', 'add', 'large.txt', '--name', 'large');
    expect(err).toContain('No room for it.');
    expect(code).toBe(1);
    expect(received).toBeGreaterThanOrEqual(TEXT_BYTES);
    expect(peakBytes).toBeGreaterThan(30 * 2 ** 20);
    expect(peakBytes).toBeLessThan(TEXT_BYTES * 0.75);
  },
);

test('a text above the limit is refused before a byte of it is read or sent', async () => {
  const file = openSync(join(folder, 'vast.txt'), 'w');
  ftruncateSync(file, MAX_TEXT_BYTES + 1);
  closeSync(file);
  const before = received;
  const startedAt = performance.now();
  const { code, err } = await run('corpus', 'add', 'vast.txt', '--name', 'vast');
  expect(code).toBe(2);
  expect(err).toContain('vast.txt: it has 2147483649 bytes; a text may have 2147483648 (2 GiB): send a part of it');
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  expect(received).toBe(before);
});
