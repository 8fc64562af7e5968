// The object store that a command works on itself, without the API: by name, from the environment, or the one that a
// `semdistill up` of this folder keeps.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Config, InvalidConfig, readStoreSettings } from '#config';
import type { ObjectStore } from '#storage';
import type { Context } from './context.js';
import { STATE_FOLDER_NAME } from './fleet/state-folder.js';
import { EXIT_WRONG_REQUEST, Trouble } from './trouble.js';

/** Opens the store and says what it lacks. Throws Trouble for a wrong name, wrong settings and a store that fails. */
export async function openNamedStore(
  context: Context,
  name: string | undefined,
  options: { mayBeNew?: boolean; keepUnfinished?: boolean } = {},
): Promise<ObjectStore> {
  const { texts, terminal } = context;
  const settings = settingsOf(context, name);
  if (settings.kind === 'directory' && !options.mayBeNew && !existsSync(settings.folder)) {
    throw new Trouble(texts.noSuchStore(settings.folder), EXIT_WRONG_REQUEST);
  }
  const { openStore } = await import('#storage');
  const store = await asTrouble(() => openStore(settings, { keepUnfinished: options.keepUnfinished === true }));
  for (const warning of store.warnings) terminal.say(texts.warning(warning));
  return store;
}

/** What a store says about itself is a sentence for the user. */
export async function asTrouble<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isSentence = error instanceof Error && ['StoreUnavailable', 'ObjectCorrupt'].includes(error.name);
    throw isSentence ? new Trouble(error.message, 1, [], { cause: error }) : error;
  }
}

function settingsOf(context: Context, name: string | undefined): Config['store'] {
  try {
    const settings = readStoreSettings(name);
    if (settings) return settings;
  } catch (error) {
    if (error instanceof InvalidConfig) throw new Trouble(error.problems.join('; '), EXIT_WRONG_REQUEST);
    throw error;
  }
  const folder = nearestStore(context.workingFolder);
  if (folder === undefined) throw new Trouble(context.texts.noStoreNamed, EXIT_WRONG_REQUEST);
  return { kind: 'directory', folder };
}

function nearestStore(folder: string): string | undefined {
  const store = join(folder, STATE_FOLDER_NAME, 'store');
  if (existsSync(store)) return store;
  const parent = dirname(folder);
  return parent === folder ? undefined : nearestStore(parent);
}
