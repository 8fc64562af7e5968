// What lies under a prefix of the record, one id at a time: which of its files there are.
import type { ObjectStore } from '#storage';

/** The ids under `prefix` with the names of the objects directly below each, from one pass over the listing. */
export async function* listRecords(
  store: ObjectStore,
  prefix: string,
): AsyncGenerator<{ id: string; names: Set<string> }> {
  let current: { id: string; names: Set<string> } | undefined;
  let cursor: string | undefined;
  do {
    const page = await store.list(prefix, cursor === undefined ? {} : { cursor });
    for (const { key } of page.objects) {
      const [id, ...rest] = key.slice(prefix.length).split('/');
      if (!id || rest.length === 0) continue;
      if (current?.id !== id) {
        if (current) yield current;
        current = { id, names: new Set() };
      }
      current.names.add(rest.join('/'));
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
  if (current) yield current;
}
