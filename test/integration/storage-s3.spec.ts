// The S3 store against a real MinIO: the contract, signed URLs, TLS with an own authority, wrong settings, and a server
// that breaks off, refuses, cuts answers or falls silent (a proxy in between). SEMDISTILL_TEST_S3 names another server.
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'minio';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { S3Settings } from '#config';
import { ObjectCorrupt, type ObjectStore, openStore, StoreUnavailable } from '#storage';
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
        await refused({}, /has another time than this machine/);
      } finally {
        vi.useRealTimers();
      }
    });
  });

  it('does not trust an object that something else put there', async () => {
    const settings = minio.settings('foreign');
    const store = await openStore(settings);
    const { hostname, port } = settings.endpoint;
    const client = new Client({
      endPoint: hostname,
      port: Number(port),
      useSSL: false,
      accessKey: settings.accessKey,
      secretKey: settings.secretKey,
    });
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
      proxy = await startFaultProxy(minio.endpoint);
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

    it('a cut stream fails and is not taken for whole', async () => {
      await store.put('to-stream', body);
      proxy.fail('cut');
      await expect(store.stream('to-stream').then(collect)).rejects.toThrow(/aborted|ECONNRESET|Premature/);
      proxy.fail('cut');
      await expect(store.stream('to-stream', { start: 5 }).then(collect)).rejects.toThrow(/aborted|ECONNRESET/);
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
      expect(await unfinishedUploads(minio.settings('faults'), 'never')).toBe(0);
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
      expect(await unfinishedUploads(minio.settings('faults'), 'cancelled')).toBe(0);
      expect(await store.head('cancelled')).toBeUndefined();
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

    it('a server that does not know If-None-Match: a warning and the weaker way', async () => {
      proxy.refuseConditions(true);
      const settings = { ...minio.settings('weak'), endpoint: proxy.endpoint };
      const weak = await openStore(settings, { retries: QUICK });
      expect(weak.warnings.join()).toMatch(/does not keep If-None-Match/);
      expect(await weak.putIfAbsent('a/x', Buffer.from('first'))).toBe(true);
      expect(await weak.putIfAbsent('a/x', Buffer.from('second'))).toBe(false);
      expect((await weak.get('a/x')).toString()).toBe('first');
      await weak.close();
      proxy.refuseConditions(false);
      expect(store.warnings).toEqual([]);
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

type Fault = 'denied' | 'reset' | 'slowDown' | 'silence' | 'cut' | 'lostAnswer';

interface FaultProxy {
  endpoint: URL;
  /** What to do to the next requests, in order; afterwards all is well. */
  fail(...faults: (Fault | undefined)[]): void;
  /** How many requests have been failed since the last `fail`. */
  failed(): number;
  /** What to do to every part of an upload, until the next `fail`. */
  failParts(fault: Fault): void;
  refuseConditions(isRefused: boolean): void;
  close(): Promise<void>;
}

/** Passes requests on to a server, with faults. The signature covers the host header, which is passed on as it came. */
async function startFaultProxy(target: URL): Promise<FaultProxy> {
  let faults: (Fault | undefined)[] = [];
  let partFault: Fault | undefined;
  let failed = 0;
  let isRefused = false;
  const refuse = (answer: http.ServerResponse, status: number, code: string) => {
    answer.writeHead(status, { connection: 'close' }).end(`<Error><Code>${code}</Code><Message>No</Message></Error>`);
  };
  const proxy = http.createServer((request, answer) => {
    const fault = request.url?.includes('partNumber=') && partFault ? partFault : faults.shift();
    if (fault) failed += 1;
    if (fault === 'silence') return;
    if (fault === 'reset') return void request.socket.resetAndDestroy();
    if (fault === 'slowDown') return refuse(answer, 503, 'SlowDown');
    if (fault === 'denied') return refuse(answer, 403, 'AccessDenied');
    if (isRefused && request.headers['if-none-match']) return refuse(answer, 501, 'NotImplemented');
    const { hostname, port } = target;
    const options = { hostname, port, method: request.method, path: request.url ?? '/', headers: request.headers };
    const passed = http.request({ ...options, agent: false }, (response) => {
      if (fault === 'lostAnswer') {
        response.resume().on('end', () => request.socket.resetAndDestroy());
        return;
      }
      answer.writeHead(response.statusCode ?? 500, response.headers);
      if (fault === 'cut') {
        response.once('data', (chunk: Buffer) => {
          answer.write(chunk, () => request.socket.resetAndDestroy());
          response.destroy();
        });
        return;
      }
      response.on('error', () => answer.destroy()).pipe(answer);
    });
    passed.on('error', () => request.socket.destroy());
    request.on('error', () => passed.destroy());
    request.pipe(passed);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: new URL(`http://127.0.0.1:${(proxy.address() as AddressInfo).port}`),
    fail: (...next) => {
      faults = next;
      partFault = undefined;
      failed = 0;
    },
    failParts: (fault) => {
      partFault = fault;
      failed = 0;
    },
    failed: () => failed,
    refuseConditions: (value) => {
      isRefused = value;
    },
    close: async () => {
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}

/** MinIO lists unfinished uploads only by the whole key. */
async function unfinishedUploads(settings: S3Settings, key: string): Promise<number> {
  const client = new Client({
    endPoint: settings.endpoint.hostname,
    port: Number(settings.endpoint.port),
    useSSL: false,
    accessKey: settings.accessKey,
    secretKey: settings.secretKey,
  });
  let count = 0;
  for await (const _upload of client.listIncompleteUploads(settings.bucket, key, true)) count += 1;
  return count;
}

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
