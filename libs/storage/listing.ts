// Walking what lies under a prefix, whatever the size of the store's pages.
import type { ObjectStore } from './object-store.js';

/** The objects under a prefix in code-point order, a page of the store at a time. */
export async function* listPages(
  store: Pick<ObjectStore, 'list'>,
  prefix: string,
): AsyncGenerator<Awaited<ReturnType<ObjectStore['list']>>['objects']> {
  let cursor: string | undefined;
  do {
    const page = await store.list(prefix, cursor === undefined ? {} : { cursor });
    yield page.objects;
    cursor = page.cursor;
  } while (cursor !== undefined);
}

/** The folders directly under a prefix, each with the names (below it) and sizes of its objects, from one pass over the listing. */
export async function* listFolders(
  store: Pick<ObjectStore, 'list'>,
  prefix: string,
): AsyncGenerator<{ id: string; sizes: Map<string, number> }> {
  let current: { id: string; sizes: Map<string, number> } | undefined;
  for await (const objects of listPages(store, prefix)) {
    for (const { key, size } of objects) {
      const [id, ...rest] = key.slice(prefix.length).split('/');
      if (!id || rest.length === 0) continue;
      if (current?.id !== id) {
        if (current) yield current;
        current = { id, sizes: new Map() };
      }
      current.sizes.set(rest.join('/'), size);
    }
  }
  if (current) yield current;
}
