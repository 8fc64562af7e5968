// What we store can be read with tools that are not ours: `aws s3` and `rclone` list and fetch every object of a real MinIO,
// and what they fetch has the recorded SHA-256. docs/storage.md names these commands.
import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { S3Settings } from '#config';
import { keys, type ObjectStore, openStore } from '#storage';
import { putResult, putSweep, putTeacherAndCorpus } from '../support/fleet-records.js';
import { MINIO_MISSING, type MinioServer, minioBinary, startMinio } from '../support/minio.js';

const MIB = 1024 ** 2;
const call = promisify(execFile);
/** Where they are not on the PATH: SEMDISTILL_TEST_AWS and SEMDISTILL_TEST_RCLONE name them. */
const aws = findTool(process.env.SEMDISTILL_TEST_AWS || 'aws', '--version');
const rclone = findTool(process.env.SEMDISTILL_TEST_RCLONE || 'rclone', 'version');

function findTool(name: string, version: string): string | undefined {
  try {
    execFileSync(name, [version], { stdio: 'ignore' });
    return name;
  } catch {
    return undefined;
  }
}

if (!minioBinary) console.warn(MINIO_MISSING);
if (!aws) console.warn('There is no aws (pip install awscli), so reading the store with it is not tested.');
if (!rclone) console.warn('There is no rclone (apt-get install rclone), so reading the store with it is not tested.');

describe.skipIf(!minioBinary)("other people's tools on MinIO", () => {
  let minio: MinioServer;
  let settings: S3Settings;
  let store: ObjectStore;
  let folder: string;
  /** SHA-256 of every object, by key. */
  const stored = new Map<string, string>();

  beforeAll(async () => {
    minio = await startMinio();
    settings = minio.settings('semdistill');
    store = await openStore(settings);
    folder = await mkdtemp(join(tmpdir(), 'semdistill-tools-'));
    await putTeacherAndCorpus(store);
    const { specs } = await putSweep(store, 'a-sweep', { temperatures: [1, 2], seeds: [1] });
    for (const [trialId, spec] of specs) {
      await putResult(store, trialId, spec);
      // In one piece, and in parts; and nothing at all.
      await store.put(
        keys.trialArtifact(trialId, '1-0a1b2c3d', 'final_student_model.safetensors'),
        randomBytes(3 * MIB),
      );
      await store.put(keys.trialArtifact(trialId, '1-0a1b2c3d', 'hybrid_model.safetensors'), randomBytes(20 * MIB));
      await store.put(keys.trialArtifact(trialId, '1-0a1b2c3d', 'log.txt'), Buffer.alloc(0));
    }
    for (const { key } of (await store.list('')).objects) stored.set(key, (await store.head(key))?.sha256 ?? '');
    expect(stored.size).toBeGreaterThan(12);
  });
  afterAll(async () => {
    await store?.close();
    await minio?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const hashesIn = async (place: string) => {
    const found = new Map<string, string>();
    for (const entry of await readdir(place, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      found.set(
        relative(place, path),
        createHash('sha256')
          .update(await readFile(path))
          .digest('hex'),
      );
    }
    return found;
  };

  it.skipIf(!aws)('aws s3 lists and fetches every object, and tells its SHA-256', async () => {
    const env = {
      PATH: process.env.PATH,
      AWS_ACCESS_KEY_ID: settings.accessKey,
      AWS_SECRET_ACCESS_KEY: settings.secretKey,
      AWS_DEFAULT_REGION: settings.region,
      AWS_CONFIG_FILE: join(folder, 'no-config'),
      AWS_ENDPOINT_URL: settings.endpoint.origin,
    };
    const run = async (...command: string[]) => (await call(aws ?? '', command, { env })).stdout;
    const listing = await run('s3', 'ls', '--recursive', 's3://semdistill/');
    const listed = listing
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/)[3]);
    expect(listed.sort()).toEqual([...stored.keys()].sort());
    const place = join(folder, 'aws');
    await run('s3', 'sync', '--quiet', 's3://semdistill/', place);
    expect(await hashesIn(place)).toEqual(stored);
    const [key = ''] = [...stored.keys()].filter((name) => name.endsWith('hybrid_model.safetensors'));
    const told = await run(
      's3api',
      'head-object',
      '--bucket',
      'semdistill',
      '--key',
      key,
      '--query',
      'Metadata.sha256',
    );
    expect(JSON.parse(told)).toBe(stored.get(key));
  });

  it.skipIf(!rclone)('rclone lists and fetches every object', async () => {
    const env = {
      PATH: process.env.PATH,
      RCLONE_CONFIG: join(folder, 'no-config'),
      RCLONE_CONFIG_STORE_TYPE: 's3',
      RCLONE_CONFIG_STORE_PROVIDER: 'Minio',
      RCLONE_CONFIG_STORE_ENDPOINT: settings.endpoint.origin,
      RCLONE_CONFIG_STORE_ACCESS_KEY_ID: settings.accessKey,
      RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY: settings.secretKey,
    };
    const run = async (...command: string[]) => (await call(rclone ?? '', command, { env })).stdout;
    const listed = (await run('lsf', '--files-only', '-R', 'store:semdistill')).trim().split('\n');
    expect(listed.sort()).toEqual([...stored.keys()].sort());
    const place = join(folder, 'rclone');
    await run('copy', 'store:semdistill', place);
    expect(await hashesIn(place)).toEqual(stored);
    // Fails where it finds one missing or of another size.
    await run('check', '--size-only', 'store:semdistill', place);
  });
});
