// Temporary credentials with just the permissions that docs/storage.md asks for, on a real MinIO: all of the store works with
// them, and a reader's with less reads.
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AssumeRoleProvider } from 'minio/dist/esm/AssumeRoleProvider.mjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { S3Settings } from '#config';
import { openStore } from '#storage';
import { countUnfinishedUploads } from '../support/fault-proxy.js';
import { MINIO_MISSING, type MinioServer, minioBinary, startMinio } from '../support/minio.js';

const MIB = 1024 ** 2;

interface Statement {
  Action: string[];
  Resource: string;
}

if (!minioBinary) console.warn(MINIO_MISSING);

describe.skipIf(!minioBinary)('temporary credentials on MinIO', () => {
  let minio: MinioServer;
  let folder: string;
  /** The policy in the documentation. */
  let documented: { Version: string; Statement: Statement[] };

  beforeAll(async () => {
    minio = await startMinio();
    folder = await mkdtemp(join(tmpdir(), 'semdistill-access-'));
    const page = readFileSync(new URL('../../docs/storage.md', import.meta.url), 'utf8');
    documented = JSON.parse(/```json\n([\s\S]*?)```/.exec(page)?.[1] ?? '');
    await (await openStore(minio.settings('semdistill'))).close();
  });
  afterAll(async () => {
    await minio?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const assume = async (policy: unknown): Promise<S3Settings> => {
    const { accessKey, secretKey, ...settings } = minio.settings('semdistill');
    const stsEndpoint = settings.endpoint.origin;
    const role = new AssumeRoleProvider({ stsEndpoint, accessKey, secretKey, policy: JSON.stringify(policy) });
    const given = await role.getCredentials();
    return {
      ...settings,
      accessKey: given.getAccessKey(),
      secretKey: given.getSecretKey(),
      sessionToken: given.getSessionToken(),
    };
  };

  it('the documented permissions are enough for everything', async () => {
    const settings = await assume(documented);
    const store = await openStore(settings);
    expect(store.warnings.filter((warning) => !/does not list unfinished uploads/.test(warning))).toEqual([]);
    await store.check();
    const body = Buffer.alloc(40 * MIB, 'body');
    await writeFile(join(folder, 'body'), body);
    await store.put('a/large', { path: join(folder, 'body') });
    expect(await store.putIfAbsent('a/large', body)).toBe(false);
    expect(await store.putIfAbsent('a/once', body)).toBe(true);
    expect((await store.get('a/large')).equals(body)).toBe(true);
    expect((await store.list('a/')).objects).toHaveLength(2);
    const cancel = new AbortController();
    const cancelled = store.put('a/cancelled', { path: join(folder, 'body') }, { signal: cancel.signal });
    setTimeout(() => cancel.abort(new Error('enough')), 100);
    await expect(cancelled).rejects.toThrow('enough');
    expect(await countUnfinishedUploads(minio.settings('semdistill'), 'a/cancelled')).toBe(0);
    const url = await store.presign('a/once', { expirySeconds: 60 });
    expect(url).toContain('X-Amz-Security-Token=');
    expect(Buffer.from(await (await fetch(url ?? '')).arrayBuffer()).equals(body)).toBe(true);
    await store.delete('a/once');
    expect(await store.head('a/once')).toBeUndefined();
    await store.close();
  });

  it.each(['s3:ListBucket', 's3:GetObject', 's3:PutObject', 's3:DeleteObject'])(
    '%s cannot be left out',
    async (action) => {
      const statements = documented.Statement.map((one) => ({
        ...one,
        Action: one.Action.filter((it) => it !== action),
      }));
      const settings = await assume({ ...documented, Statement: statements });
      const opened = openStore(settings, { retries: { attempts: 2, firstDelayMs: 10 } }).then((store) => store.check());
      await expect(opened).rejects.toThrow(
        /does not allow this on the bucket semdistill; the access key needs to list it/,
      );
    },
  );

  it('a bucket of another name is out of reach, in one sentence', async () => {
    const settings = { ...(await assume(documented)), bucket: 'another' };
    await expect(openStore(settings)).rejects.toThrow(/^The S3 server at [^\n]+\.$/);
  });
});
