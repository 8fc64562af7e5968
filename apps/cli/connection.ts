// Which server a command talks to, and with which key: flags, then SEMDISTILL_URL and SEMDISTILL_API_KEY, then the
// connection.json a running `semdistill up` keeps in the nearest state folder.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isHttpUrl } from '#config';
import { ApiClient } from './api-client.js';
import type { Context } from './context.js';
import { type ConnectionFile, STATE_FOLDER_NAME } from './fleet/state-folder.js';
import { EXIT_FAILED, EXIT_WRONG_REQUEST, Trouble } from './trouble.js';

export interface Connection {
  url: string;
  apiKey?: string;
}

/** Throws Trouble when no server is known, with how to start one. */
export function findConnection(context: Context): Connection {
  const { flags, client, texts } = context;
  if (flags.server !== undefined && !isHttpUrl(flags.server)) {
    throw new Trouble(texts.badServerFlag(flags.server), EXIT_WRONG_REQUEST);
  }
  const url = flags.server?.replace(/\/+$/, '') ?? client.serverUrl;
  const local = nearestConnection(context.workingFolder);
  const known = url === undefined || url === local?.url ? local : undefined;
  if (url === undefined && known === undefined) throw new Trouble(texts.noServer(context.command), EXIT_FAILED);
  const apiKey = flags.key ?? known?.apiKey ?? client.apiKey;
  const address = url ?? known?.url ?? '';
  return apiKey === undefined ? { url: address } : { url: address, apiKey };
}

export function openClient(context: Context): ApiClient {
  const connection = findConnection(context);
  return new ApiClient({ ...connection, texts: context.texts, startHint: context.texts.howToStart(context.command) });
}

/** Looks in the folder itself and upwards; the demo's own state folder counts where it is the only one. */
function nearestConnection(folder: string): ConnectionFile | undefined {
  for (const state of [join(folder, STATE_FOLDER_NAME), join(folder, STATE_FOLDER_NAME, 'demo')]) {
    const connection = readConnection(join(state, 'connection.json'));
    if (connection) return connection;
  }
  const parent = dirname(folder);
  return parent === folder ? undefined : nearestConnection(parent);
}

function readConnection(file: string): ConnectionFile | undefined {
  if (!existsSync(file)) return undefined;
  try {
    const connection: Partial<ConnectionFile> = JSON.parse(readFileSync(file, 'utf8'));
    if (typeof connection.url !== 'string' || typeof connection.apiKey !== 'string') return undefined;
    return { url: connection.url, apiKey: connection.apiKey };
  } catch {
    // unreadable or half a file: as good as none
    return undefined;
  }
}
