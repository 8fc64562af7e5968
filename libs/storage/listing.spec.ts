// Reading the record's listing id by id.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { listFolders } from './listing.js';
import { openStore } from './open-store.js';

test('ids are listed with the names of their objects, over any number of pages', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'semdistill-listing-'));
  const store = await openStore({ kind: 'directory', folder });
  for (const key of ['a/sweep.json', 'a/settled.json', 'a/report/report.md', 'b/sweep.json']) {
    await store.put(`sweeps/${key}`, Buffer.from('{}'));
  }
  await store.put('trials/c/trial.json', Buffer.from('{}'));
  const smallPages = { ...store, list: (prefix: string, options = {}) => store.list(prefix, { ...options, limit: 2 }) };
  const found: [string, string[]][] = [];
  for await (const { id, sizes } of listFolders(smallPages, 'sweeps/')) found.push([id, [...sizes.keys()].sort()]);
  expect(found).toEqual([
    ['a', ['report/report.md', 'settled.json', 'sweep.json']],
    ['b', ['sweep.json']],
  ]);
  await store.close();
  await rm(folder, { recursive: true, force: true });
});
