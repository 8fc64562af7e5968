// The S3 store against a real MinIO: the contract, signed URLs, TLS with an own authority, wrong settings, and a server
// that breaks off, refuses, cuts answers or falls silent (a proxy in between). SEMDISTILL_TEST_S3 names another server.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { S3Settings } from '#config';
import { ObjectCorrupt, type ObjectStore, openStore, StoreUnavailable } from '#storage';
import { countUnfinishedUploads, type FaultProxy, minioClient, startFaultProxy } from '../support/fault-proxy.js';
import { MINIO_MISSING, type MinioServer, minioBinary, startMinio } from '../support/minio.js';
import { collect, describeStoreContract } from '../support/store-contract.js';

const MIB = 1024 ** 2;
const QUICK = { attempts: 5, firstDelayMs: 20, idleTimeoutMs: 2000 };
/** Any other S3 server to hold to the contract: http://<access key>:<secret>@<host>:<port>. */
const OTHER = process.env.SEMDISTILL_TEST_S3;
let minio: MinioServer;

if (!minioBinary) console.warn(MINIO_MISSING);

describe.skipIf(!minioBinary)('MinIO', () => {
  beforeAll(async () => {
    minio = await startMinio();
  });
  afterAll(async () => {
    await minio?.close();
  });

  describeStoreContract('the S3 store on MinIO', async () => minio.settings('contract'));

  describe('signed URLs', () => {
    let store: ObjectStore;
    const body = Buffer.from('signed content');

    beforeAll(async () => {
      store = await openStore(minio.settings('signed'));
      await store.put('a/x.bin', body, { contentType: 'application/x-thing' });
    });
    afterAll(() => store.close());

    it('fetch without credentials, under the given name, also in part', async () => {
      const url = (await store.presign('a/x.bin', { expirySeconds: 60, fileName: 'Schüler "1".bin' })) ?? '';
      const answer = await fetch(url);
      expect(answer.status).toBe(200);
      expect(Buffer.from(await answer.arrayBuffer())).toEqual(body);
      expect(answer.headers.get('content-disposition')).toBe(
        `attachment; filename="Sch_ler _1_.bin"; filename*=UTF-8''Sch%C3%BCler%20%221%22.bin`,
      );
      const part = await fetch(url, { headers: { range: 'bytes=0-5' } });
      expect([part.status, await part.text()]).toEqual([206, 'signed']);
    });

    it('hold for one object and one method', async () => {
      const url = (await store.presign('a/x.bin', { expirySeconds: 60 })) ?? '';
      expect((await fetch(url, { method: 'PUT', body: 'evil' })).status).toBe(403);
      expect((await fetch(url.replace('a/x.bin', 'a/y.bin'))).status).toBe(403);
      expect((await fetch(url.replace('Expires=60', 'Expires=6000'))).status).toBe(403);
      expect(await store.get('a/x.bin')).toEqual(body);
    });

    it('expire', async () => {
      const url = (await store.presign('a/x.bin', { expirySeconds: 1 })) ?? '';
      expect((await fetch(url)).status).toBe(200);
      await vi.waitUntil(async () => (await fetch(url)).status === 403, { timeout: 20_000, interval: 200 });
      await expect(store.presign('a/x.bin', { expirySeconds: 8 * 24 * 3600 })).rejects.toThrow(RangeError);
    });

    it('let a client that was cut off go on, with curl -C -', async () => {
      const large = randomBytes(5 * MIB);
      await store.put('a/large.bin', large);
      const url = (await store.presign('a/large.bin', { expirySeconds: 60, fileName: 'mine.bin' })) ?? '';
      const folder = await mkdtemp(join(tmpdir(), 'semdistill-curl-'));
      await writeFile(join(folder, 'part'), large.subarray(0, 2 * MIB));
      execFileSync('curl', ['-sSf', '-C', '-', '-o', join(folder, 'part'), url]);
      expect((await readFile(join(folder, 'part'))).equals(large)).toBe(true);
      execFileSync('curl', ['-sSfOJ', url], { cwd: folder });
      expect((await readFile(join(folder, 'mine.bin'))).equals(large)).toBe(true);
      await rm(folder, { recursive: true });
    });

    it('carry the address that clients use', async () => {
      const publicEndpoint = new URL('https://objects.example.org');
      const outside = await openStore({ ...minio.settings('signed'), publicEndpoint });
      expect(await outside.presign('a/x.bin', { expirySeconds: 60 })).toMatch(
        /^https:\/\/objects\.example\.org\/signed\/a\/x\.bin\?/,
      );
      await outside.close();
    });
  });

  describe('wrong settings end in one sentence', () => {
    const refused = async (change: Partial<S3Settings>, sentence: RegExp) => {
      const opened = openStore({ ...minio.settings('settings'), ...change }, { retries: QUICK });
      await expect(opened).rejects.toThrow(StoreUnavailable);
      await expect(opened).rejects.toThrow(sentence);
      await expect(opened).rejects.not.toThrow(/\n/);
    };

    it('wrong secret or key', async () => {
      await refused({ secretKey: 'wrong-secret' }, /refused the credentials \(SignatureDoesNotMatch\)/);
      await refused({ accessKey: 'nobody' }, /refused the credentials \(InvalidAccessKeyId\)/);
    });
    it('no server', () => refused({ endpoint: new URL('http://127.0.0.1:1') }, /does not answer .*S3_ENDPOINT/));
    it('no such host', () => refused({ endpoint: new URL('http://no-such-host.invalid') }, /found by name/));
    it('https to a server without TLS', () =>
      refused({ endpoint: new URL(minio.endpoint.href.replace('http:', 'https:')) }, /does not speak TLS/));
    it('an address with a path', () =>
      refused({ endpoint: new URL('/s3', minio.endpoint) }, /S3_ENDPOINT must be scheme, host and port only/));
    it('no authority file', () =>
      refused({ endpoint: new URL('https://127.0.0.1'), caFile: '/no/such.pem' }, /S3_CA_FILE \/no\/such.pem/));
    it('an impossible bucket name', () => refused({ bucket: 'No_Such/Bucket' }, /bucket/i));
    it('a temporary token that is none', () => refused({ sessionToken: 'x' }, /temporary credentials|Token/));
    it('another time than the server', async () => {
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3600_000 });
      try {
        await refused({}, /has another time than this machine \(this machine's clock is 60 minutes ahead\)/);
      } finally {
        vi.useRealTimers();
      }
    });
  });

  it('does not trust an object that something else put there', async () => {
    const settings = minio.settings('foreign');
    const store = await openStore(settings);
    const client = minioClient(settings);
    await client.putObject('foreign', 'a/x', Buffer.from('mine'));
    await client.putObject('foreign', 'b/y', Buffer.from('mine'), 4, { 'x-amz-meta-sha256': '0'.repeat(64) });
    await client.putObject('foreign', 'odd name+%2F&<>', Buffer.from('mine'));
    await expect(store.get('a/x')).rejects.toThrow(/something else put it there/);
    await expect(store.get('b/y')).rejects.toThrow(ObjectCorrupt);
    await expect(store.stream('b/y').then(collect)).rejects.toThrow(ObjectCorrupt);
    expect((await store.list('')).objects.map(({ key }) => key)).toEqual(['a/x', 'b/y']);
    await store.close();
  });

  describe('a server that fails on the way', () => {
    let proxy: FaultProxy;
    let store: ObjectStore;
    let folder: string;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'semdistill-faults-'));
      proxy = await startFaultProxy(minio.settings('faults'));
      store = await openStore({ ...minio.settings('faults'), endpoint: proxy.endpoint }, { retries: QUICK });
      await store.put('old', Buffer.from('old'));
    });
    afterEach(() => proxy.fail());
    afterAll(async () => {
      await store?.close();
      await proxy?.close();
      await rm(folder, { recursive: true, force: true });
    });

    const body = Buffer.alloc(20 * MIB, 'content ');

    it.each(['reset', 'slowDown', 'silence', 'lostAnswer'] as const)('%s: writes come through', async (fault) => {
      proxy.fail(fault, fault);
      await store.put(`${fault}/small`, Buffer.from('small'));
      proxy.fail(undefined, fault, undefined, fault, undefined, undefined, fault);
      await store.put(`${fault}/large`, body);
      proxy.fail();
      expect((await store.get(`${fault}/small`)).toString()).toBe('small');
      expect((await store.get(`${fault}/large`)).equals(body)).toBe(true);
    });

    it('a created object whose answer was lost is still ours', async () => {
      proxy.fail('lostAnswer');
      expect(await store.putIfAbsent('claimed', Buffer.from('mine'))).toBe(true);
      proxy.fail('lostAnswer');
      expect(await store.putIfAbsent('claimed', Buffer.from('mine'))).toBe(false);
      // Initiate, two parts, then Complete and the look at what is there.
      for (const position of [4, 5]) {
        proxy.fail(...Array.from({ length: position - 1 }, () => undefined), 'lostAnswer');
        await store.put(`lost/${position}`, body);
        expect((await store.get(`lost/${position}`)).equals(body)).toBe(true);
      }
    });

    it.each(['reset', 'slowDown', 'silence', 'cut'] as const)('%s: reads come through', async (fault) => {
      await store.put('to-read', body);
      proxy.fail(fault, fault);
      expect((await store.get('to-read')).equals(body)).toBe(true);
      proxy.fail(fault, fault);
      await store.getToFile('to-read', join(folder, 'read'));
      expect((await readFile(join(folder, 'read'))).equals(body)).toBe(true);
    });

    it.each(['cut', 'truncated'] as const)('%s: a stream goes on from where it broke', async (fault) => {
      await store.put('to-stream', body);
      proxy.fail(fault, undefined, fault);
      expect((await collect(await store.stream('to-stream'))).equals(body)).toBe(true);
      proxy.fail(fault);
      expect(
        (await collect(await store.stream('to-stream', { start: 5, end: 9 * MIB }))).equals(
          body.subarray(5, 9 * MIB + 1),
        ),
      ).toBe(true);
      expect(proxy.seen().map(({ method }) => method)).toEqual(['GET', 'GET']);
    });

    it('a stream that breaks for good fails and is not taken for whole', async () => {
      await store.put('to-stream', body);
      let gets = 0;
      proxy.decide(() => (++gets === 1 ? 'cut' : 'slowDown'));
      await expect(store.stream('to-stream').then(collect)).rejects.toThrow(/503 SlowDown/);
      gets = 0;
      await expect(store.stream('to-stream', { start: 5 }).then(collect)).rejects.toThrow(/503 SlowDown/);
    });

    it('an object that is overwritten while it is read is read anew, and never mixed', async () => {
      const next = Buffer.alloc(20 * MIB, 'the next ');
      const direct = await openStore(minio.settings('faults'));
      const path = join(folder, 'replaced');
      for (const read of [
        () => store.get('replaced'),
        async () => {
          await store.getToFile('replaced', path);
          return await readFile(path);
        },
      ]) {
        await store.put('replaced', body);
        // Cut; and before the reader goes on, the object is another.
        let gets = 0;
        proxy.decide(({ method }) => (method === 'GET' ? ([undefined, 'cut', 'silence'] as const)[++gets] : undefined));
        const reading = read();
        await vi.waitUntil(() => gets === 2, { timeout: 10_000, interval: 5 });
        await direct.put('replaced', next);
        const bytes = await reading;
        expect(bytes.equals(next)).toBe(true);
        expect(gets).toBe(4);
      }
      await direct.close();
    });

    it('a byte that is damaged on its way is found, and read again', async () => {
      await store.put('damaged', body);
      proxy.fail('damaged');
      expect((await store.get('damaged')).equals(body)).toBe(true);
      proxy.fail('damaged', 'damaged');
      await expect(store.getToFile('damaged', join(folder, 'damaged'))).rejects.toThrow(ObjectCorrupt);
      await expect(readFile(join(folder, 'damaged'))).rejects.toThrow(/ENOENT/);
      proxy.fail('damaged');
      await expect(store.stream('damaged').then(collect)).rejects.toThrow(ObjectCorrupt);
    });

    it('an old answer to the look after writing is looked at again', async () => {
      await store.put('stale', Buffer.from('one'));
      // Later than the second in which the clock of HTTP cannot tell old from new.
      await new Promise((resolve) => setTimeout(resolve, 2100));
      proxy.fail(undefined, 'stale', 'stale');
      await store.put('stale', Buffer.from('two'));
      expect(proxy.seen().map(({ method }) => method)).toEqual(['PUT', 'HEAD', 'HEAD', 'HEAD']);
      proxy.decide(({ method }) => (method === 'HEAD' ? 'stale' : undefined));
      await new Promise((resolve) => setTimeout(resolve, 2100));
      await expect(store.put('stale', Buffer.from('three'))).rejects.toThrow(/took stale and then had an older object/);
    });

    it.each([
      ['reset', /broke the connection off/],
      ['slowDown', /answered 503 SlowDown/],
      ['silence', /went silent/],
    ] as const)('%s for good: one sentence, nothing visible, no parts left', async (fault, sentence) => {
      // The creation of the upload succeeds, its parts do not; the abort does again.
      proxy.failParts(fault);
      const put = store.put('never', body);
      await expect(put).rejects.toThrow(StoreUnavailable);
      await expect(put).rejects.toThrow(sentence);
      proxy.fail();
      expect(await store.head('never')).toBeUndefined();
      expect(await countUnfinishedUploads(minio.settings('faults'), 'never')).toBe(0);
      expect((await store.get('old')).toString()).toBe('old');
    });

    it('stops at the signal while the server is silent, and leaves no parts', async () => {
      const cancel = new AbortController();
      proxy.failParts('silence');
      const put = store.put('cancelled', body, { signal: cancel.signal });
      await vi.waitUntil(() => proxy.failed() === 2, { timeout: 10_000 });
      cancel.abort(new Error('enough'));
      await expect(put).rejects.toThrow('enough');
      proxy.fail();
      expect(await countUnfinishedUploads(minio.settings('faults'), 'cancelled')).toBe(0);
      expect(await store.head('cancelled')).toBeUndefined();
    });

    it('stops at the signal although the server has fallen silent for good', async () => {
      const cancel = new AbortController();
      const patient = await openStore({ ...minio.settings('faults'), endpoint: proxy.endpoint });
      proxy.decide(({ part, method }) => (part !== undefined || method === 'DELETE' ? 'silence' : undefined));
      const put = patient.put('silent', body, { signal: cancel.signal });
      await vi.waitUntil(() => proxy.seen().some(({ part }) => part !== undefined), { timeout: 10_000 });
      const cancelledAt = performance.now();
      cancel.abort(new Error('enough'));
      await expect(put).rejects.toThrow('enough');
      expect(performance.now() - cancelledAt).toBeLessThan(5000);
      proxy.fail();
      await patient.close();
    });

    it('a slow reader is not taken for a silent server', async () => {
      await store.put('slow', body);
      const stream = await store.stream('slow');
      // Longer than the idle time-out; that time has to pass is the point here.
      await new Promise((resolve) => setTimeout(resolve, 2 * QUICK.idleTimeoutMs + 500));
      expect((await collect(stream)).equals(body)).toBe(true);
    });

    it('a bucket that is missing and may not be created: one sentence', async () => {
      proxy.fail(undefined, 'denied');
      const opened = openStore({ ...minio.settings('missing'), endpoint: proxy.endpoint }, { retries: QUICK });
      await expect(opened).rejects.toThrow(/has no bucket missing and the access key may not create it/);
    });

    it('lacks nothing as it is, but the listing of uploads by prefix', () => {
      expect(store.warnings.map((warning) => warning.replace(/:.*/, ''))).toEqual([
        'This S3 server does not list unfinished uploads by prefix',
      ]);
    });

    it.each([
      ['conditions', /does not keep If-None-Match/],
      ['conditionsSilently', /does not keep If-None-Match/],
      ['conditionalComplete', /ignores If-None-Match when an upload in parts is completed/],
      ['multipart', /takes no uploads in parts/],
      ['ranges', /ignores ranges/],
      ['startAfter', /ignores start-after/],
    ] as const)('without %s: the probe says so, and the store finds another way', async (lack, warning) => {
      proxy.lack(lack);
      const settings = { ...minio.settings(`without-${lack.toLowerCase()}`), endpoint: proxy.endpoint };
      const weak = await openStore(settings, { retries: QUICK });
      expect(weak.warnings.join('\n')).toMatch(warning);
      expect(await weak.putIfAbsent('a/x', Buffer.from('first'))).toBe(true);
      expect(await weak.putIfAbsent('a/x', Buffer.from('second'))).toBe(false);
      expect((await weak.get('a/x')).toString()).toBe('first');
      expect(await weak.putIfAbsent('a/y', body)).toBe(true);
      expect(await weak.putIfAbsent('a/y', Buffer.alloc(20 * MIB))).toBe(false);
      await weak.put('a/z', body);
      expect((await collect(await weak.stream('a/z', { start: 3, end: 11 }))).equals(body.subarray(3, 12))).toBe(true);
      if (lack !== 'ranges') proxy.fail('cut');
      expect((await weak.get('a/z')).equals(body)).toBe(true);
      proxy.fail('cut');
      await weak.getToFile('a/y', join(folder, 'weak'));
      expect((await readFile(join(folder, 'weak'))).equals(body)).toBe(true);
      const pages: string[] = [];
      for (let cursor: string | undefined = ''; cursor !== undefined; ) {
        const page: Awaited<ReturnType<ObjectStore['list']>> = await weak.list('', {
          limit: 2,
          ...(cursor ? { cursor } : {}),
        });
        pages.push(...page.objects.map(({ key }) => key));
        cursor = page.cursor;
      }
      expect(pages).toEqual(['a/x', 'a/y', 'a/z']);
      await weak.close();
      proxy.lack();
    });

    it('of 16 racing writers one creates a large object, also where only a single PUT keeps the condition', async () => {
      for (const lacks of [[], ['conditionalComplete']] as const) {
        proxy.lack(...lacks);
        const settings = { ...minio.settings(`race-${lacks.length}`), endpoint: proxy.endpoint };
        const racing = await openStore(settings, { retries: QUICK });
        const won = await Promise.all(
          Array.from({ length: 16 }, (_, writer) => racing.putIfAbsent('race', Buffer.alloc(17 * MIB, `${writer} `))),
        );
        expect(won.filter(Boolean)).toHaveLength(1);
        expect((await racing.get('race')).equals(Buffer.alloc(17 * MIB, `${won.indexOf(true)} `))).toBe(true);
        await racing.close();
      }
      proxy.lack();
    });

    it('a server that keeps no metadata is refused in one sentence', async () => {
      proxy.lack('metadata');
      const opened = openStore({ ...minio.settings('faults'), endpoint: proxy.endpoint }, { retries: QUICK });
      await expect(opened).rejects.toThrow(/does not keep the metadata of objects/);
      proxy.lack();
    });
  });

  it('goes on when the server is killed and comes back', async () => {
    const store = await openStore(minio.settings('restart'));
    const body = Buffer.alloc(40 * MIB, 'z');
    await store.put('a/x', Buffer.from('before'));
    const put = store.put('a/y', body);
    await minio.stop('SIGKILL');
    await minio.start();
    await put;
    expect((await store.get('a/y')).equals(body)).toBe(true);
    expect((await store.get('a/x')).toString()).toBe('before');
    await store.close();
  });

  it('speaks TLS with an authority of its own', async ({ skip }) => {
    const certificates = await mkdtemp(join(tmpdir(), 'semdistill-certificates-'));
    try {
      makeCertificate(certificates);
    } catch {
      skip('there is no openssl to make a certificate with');
    }
    const secure = await startMinio({ certificates });
    try {
      const { caFile, ...unknown } = secure.settings('secure');
      await expect(openStore(unknown, { retries: QUICK })).rejects.toThrow(/not trusted here .*S3_CA_FILE/);
      await writeFile(join(certificates, 'no.pem'), 'nothing');
      await expect(openStore({ ...unknown, caFile: join(certificates, 'no.pem') })).rejects.toThrow(
        /no PEM certificate/,
      );
      const store = await openStore({ ...unknown, ...(caFile ? { caFile } : {}) });
      await store.put('a/x', Buffer.alloc(20 * MIB, 's'));
      expect((await store.get('a/x')).equals(Buffer.alloc(20 * MIB, 's'))).toBe(true);
      await store.close();
    } finally {
      await secure.close();
      await rm(certificates, { recursive: true, force: true });
    }
  });
});

describe.skipIf(!OTHER)('another S3 server', () => {
  describeStoreContract(`the S3 store on ${OTHER?.replace(/.*@/, '')}`, async () => {
    const address = new URL(OTHER ?? '');
    const endpoint = new URL(address.origin);
    const { username: accessKey, password: secretKey } = address;
    const bucket = `contract-${Date.now()}`;
    const region = 'us-east-1';
    return { kind: 's3', endpoint, publicEndpoint: endpoint, bucket, region, accessKey, secretKey, pathStyle: true };
  });
});

function makeCertificate(folder: string): void {
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-subj', '/CN=semdistill test', '-addext', 'subjectAltName=IP:127.0.0.1'],
      ...['-keyout', join(folder, 'private.key'), '-out', join(folder, 'public.crt')],
    ],
    { stdio: 'ignore' },
  );
}
