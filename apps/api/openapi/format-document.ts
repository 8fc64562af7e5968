// Writes the document as text: what lies in openapi.json, byte for byte.
import { type Config, readConfig } from '#config';
import { type Connections } from '../connections.js';
import { createApi } from '../create-api.js';
import { createDocument } from './document.js';

/** openapi.json as it ought to be; made without Redis or a store. */
export async function formatDocument(): Promise<string> {
  const config: Config = { ...readConfig({}), apiKey: 'describes only' };
  const app = await createApi({ config } as Connections, () => {});
  return `${JSON.stringify(createDocument(app), null, 2)}\n`;
}
