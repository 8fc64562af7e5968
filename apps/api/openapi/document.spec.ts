import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatDocument } from './format-document.js';

interface Operation {
  summary?: string;
  tags?: string[];
  security?: unknown[];
  responses: Record<string, { content?: Record<string, unknown> }>;
}

describe('the OpenAPI document', () => {
  it('is the committed one (else: npm run openapi)', async () => {
    expect(await formatDocument()).toBe(readFileSync(new URL('../openapi.json', import.meta.url), 'utf8'));
  });

  it('describes every operation with a summary, a tag, and its refusals', async () => {
    const document = JSON.parse(await formatDocument()) as { paths: Record<string, Record<string, Operation>> };
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        const name = `${method} ${path}`;
        expect(operation.summary, name).toBeTruthy();
        expect(operation.tags, name).toHaveLength(1);
        const isOpen = operation.security?.length === 0;
        expect('401' in operation.responses, name).toBe(!isOpen);
      }
    }
  });

  it('refers only to schemas it holds', async () => {
    const text = await formatDocument();
    const { schemas } = (JSON.parse(text) as { components: { schemas: Record<string, unknown> } }).components;
    const referred = new Set([...text.matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, name]) => name ?? ''));
    for (const name of referred) expect(schemas, name).toHaveProperty(name);
    for (const name of Object.keys(schemas)) expect(referred, name).toContain(name);
  });
});
