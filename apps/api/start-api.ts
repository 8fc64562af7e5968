// Opens what the API stands on, checks it, and listens; every way in which that fails is one sentence.
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Config } from '#config';
import { openFleet } from '#queue';
import { openStore } from '#storage';
import { UrlSigner } from './artifacts/signed-url.js';
import { createApi } from './create-api.js';
import type { Log } from './requests/request-log.js';

const CHECK_TIMEOUT_MS = 5_000;

/** The process cannot start; the message says why and what to do. */
export class StartFailure extends Error {
  override readonly name = 'StartFailure';
}

export interface RunningApi {
  app: NestExpressApplication;
  /** Where it listens. */
  url: string;
  close(): Promise<void>;
}

export async function startApi(settings: Config, log: Log): Promise<RunningApi> {
  if (Object.keys(settings.ownersByKey).length === 0) {
    throw new StartFailure(
      'SEMDISTILL_API_KEY is not set: choose a long random key for clients to show, e.g. by: openssl rand -hex 24.',
    );
  }
  // A copy, for with port 0 the public address is known only when the server listens.
  const config = { ...settings };
  const signer = new UrlSigner(config.apiKey);
  const store = await openStore(config.store, {
    signUrl: (key, { expirySeconds, fileName }) => {
      const expires = Math.floor(Date.now() / 1000) + expirySeconds;
      return config.publicUrl + signer.sign({ key, fileName: fileName ?? key.split('/').at(-1) ?? key, expires });
    },
  });
  const fleet = openFleet(config);
  const closeConnections = async () => {
    await fleet.close();
    await store.close();
  };
  try {
    await store.check();
    await fleet.check(CHECK_TIMEOUT_MS);
    const app = await createApi({ config, store, fleet }, log);
    await listen(app, config);
    const { port } = app.getHttpServer().address() as AddressInfo;
    const host = config.apiHost.includes(':') ? `[${config.apiHost}]` : config.apiHost;
    if (config.apiPort === 0) config.publicUrl = config.publicUrl.replace(/:0$/, `:${port}`);
    return {
      app,
      url: `http://${host}:${port}`,
      async close() {
        await app.close();
        await closeConnections();
      },
    };
  } catch (error) {
    await closeConnections();
    throw error;
  }
}

async function listen(app: NestExpressApplication, { apiHost, apiPort }: Config): Promise<void> {
  try {
    // Not through app.listen, which logs the failure as well: it is one sentence, said by whoever starts us.
    await app.init();
    const server = app.getHttpServer() as Server;
    server.listen(apiPort, apiHost);
    await once(server, 'listening');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const address = `${apiHost}:${apiPort}`;
    if (code === 'EADDRINUSE') {
      throw new StartFailure(
        `Port ${apiPort} on ${apiHost} is in use; stop what listens there or set SEMDISTILL_PORT.`,
      );
    }
    if (code === 'EACCES') {
      throw new StartFailure(`Listening on ${address} is not permitted; set SEMDISTILL_PORT to 1024 or above.`);
    }
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
      throw new StartFailure(`This machine has no address ${apiHost}; set SEMDISTILL_HOST.`);
    }
    throw error;
  }
}
