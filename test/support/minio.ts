// A real MinIO for tests, on a free loopback port with its data in a temporary folder. The binary is $MINIO_BIN or
// <cache>/bin/minio; without it, `minioBinary` is undefined and the specs that need it are skipped with `MINIO_MISSING`.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder, type S3Settings } from '#config';

const BINARY = process.env.MINIO_BIN || join(cacheFolder(), 'bin', 'minio');

export const minioBinary: string | undefined = existsSync(BINARY) ? BINARY : undefined;

export const MINIO_MISSING =
  `There is no MinIO at ${BINARY}, so tests against it are skipped. Build one (Go 1.24 or later, 4 minutes): ` +
  `GOBIN=${join(cacheFolder(), 'bin')} go install github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c`;

export interface MinioServer {
  readonly endpoint: URL;
  /** Settings of a store in the given bucket (which the store creates). */
  settings(bucket: string): S3Settings;
  /** SIGTERM (or the given signal) and wait until it is gone; the data stay. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port with the same data. */
  start(): Promise<void>;
  /** Stops it and removes the data. */
  close(): Promise<void>;
}

export interface MinioOptions {
  /** Folder with public.crt and private.key: the server then speaks TLS. */
  certificates?: string;
}

export async function startMinio({ certificates }: MinioOptions = {}): Promise<MinioServer> {
  if (!minioBinary) throw new Error(MINIO_MISSING);
  const binary = minioBinary;
  const folder = await mkdtemp(join(tmpdir(), 'semdistill-minio-'));
  const port = await freePort();
  const endpoint = new URL(`${certificates ? 'https' : 'http'}://127.0.0.1:${port}`);
  const accessKey = 'testuser';
  const secretKey = 'testsecret123';
  let child: ChildProcess | undefined;

  const server: MinioServer = {
    endpoint,
    settings: (bucket) => ({
      kind: 's3',
      endpoint,
      publicEndpoint: endpoint,
      bucket,
      region: 'us-east-1',
      accessKey,
      secretKey,
      pathStyle: true,
      ...(certificates ? { caFile: join(certificates, 'public.crt') } : {}),
    }),
    async start() {
      const args = ['server', join(folder, 'data'), '--address', `127.0.0.1:${port}`];
      args.push('--console-address', `127.0.0.1:${await freePort()}`, '--quiet');
      if (certificates) args.push('--certs-dir', certificates);
      const started = spawn(binary, args, {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          ...process.env,
          MINIO_ROOT_USER: accessKey,
          MINIO_ROOT_PASSWORD: secretKey,
          MINIO_BROWSER: 'off',
          MINIO_UPDATE: 'off',
        },
      });
      child = started;
      let output = '';
      for (const stream of [started.stdout, started.stderr]) {
        stream?.on('data', (chunk: Buffer) => {
          output += chunk.toString();
        });
      }
      await waitUntilReady(started, new URL(`http://127.0.0.1:${port}/minio/health/ready`), {
        isTls: certificates !== undefined,
        output: () => output,
      });
    },
    async stop(signal = 'SIGTERM') {
      const running = child;
      child = undefined;
      if (!running || running.exitCode !== null || running.signalCode !== null) return;
      const gone = once(running, 'exit');
      running.kill(signal);
      await gone;
    },
    async close() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}

/** Over TLS the health page would need the test's own authority, so there the answer "not http" is enough. */
async function waitUntilReady(
  child: ChildProcess,
  health: URL,
  { isTls, output }: { isTls: boolean; output: () => string },
): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`MinIO ended at once: ${output()}`);
    const answer = await fetch(health).catch(() => undefined);
    if (answer?.ok || (isTls && answer?.status === 400)) return;
    if (Date.now() > deadline) throw new Error(`MinIO is not ready after a minute: ${output()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
