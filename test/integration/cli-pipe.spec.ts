// What the command prints reaches a reader that takes its time, to the last byte.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';

const MAIN = resolve(import.meta.dirname, '../../dist/apps/cli/main.js');
const REPORT = JSON.stringify({ rows: Array.from({ length: 200_000 }, (_, i) => `row ${i}`) });

const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' }).end(REPORT);
});

beforeAll(() => new Promise<void>((done) => server.listen(0, '127.0.0.1', done)));
afterAll(() => server.close());

test('a report of megabytes comes whole out of a pipe whose reader starts late', async () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const env = { ...process.env, SEMDISTILL_URL: url, SEMDISTILL_API_KEY: 'key-for-tests-0123456789' };
  const child = spawn(process.execPath, [MAIN, 'report', 'a-sweep', '--format', 'json'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  await delay(1_500);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const [code] = await closed;
  expect(code).toBe(0);
  expect(text.length).toBe(REPORT.length + 1);
  expect(text.trimEnd()).toBe(REPORT);
});
