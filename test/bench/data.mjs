// The sentences all contestants train on: token files that are there, else made with the peers' prepare.py and kept in the cache
// folder, else ids out of our generator, which only we can read.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { cacheFolder } from '#config';
import { ChildFailure, runJson } from './child.mjs';
import { generatedLengths, VOCABULARY_SIZES } from './generated-tokens.mjs';
import { pythonCommand } from './peers.mjs';
import { readTokenFolder } from './token-files.mjs';

/** What prepare.py is told for each vocabulary. */
const PREPARATION = { full: [], small: ['--min-count', '21'] };

/** A mistake of the caller; the message is the whole sentence. */
export class DataProblem extends Error {}

/**
 * By vocabulary: {name, folder or undefined, lengths, vocabularySize}, and a note where the sentences are not those the peers read.
 * Throws DataProblem when a folder that was named holds no token files.
 */
export async function findData({ vocabularies, dataFolder, peers, paragraphs, signal, say }) {
  if (dataFolder !== undefined)
    return { sets: vocabularies.map((name) => fromFolder(name, resolve(dataFolder, name))) };
  if (peers.missing) return generated(vocabularies);
  const text = resolve(paragraphs ?? join(peers.folder, '..', 'data', 'europarl', 'paragraphs.txt.gz'));
  if (!existsSync(text))
    return generated(vocabularies, `no paragraphs in ${text} (--paragraphs names a file, --data ready token files)`);
  try {
    const sets = [];
    for (const name of vocabularies) sets.push(fromFolder(name, await prepare(name, { text, peers, signal, say })));
    return { sets };
  } catch (error) {
    if (!(error instanceof ChildFailure) || signal.aborted) throw error;
    return generated(vocabularies, `prepare.py failed: ${error.message}`);
  }
}

function fromFolder(name, folder) {
  if (!existsSync(join(folder, 'tokens.npz')) || !existsSync(join(folder, 'vocab.json')))
    throw new DataProblem(`${folder} holds no tokens.npz and vocab.json, as prepare.py writes them.`);
  const { sentences, vocabularySize } = readTokenFolder(folder);
  return { name, folder, vocabularySize, lengths: sentences.map((row) => row.length) };
}

function generated(vocabularies, why) {
  const lengths = generatedLengths();
  return {
    sets: vocabularies.map((name) => ({ name, lengths, vocabularySize: VOCABULARY_SIZES[name] })),
    note: `${why ? `${why[0].toUpperCase()}${why.slice(1)}: o` : 'O'}urs alone is measured, on generated ids with Europarl's lengths and vocabulary sizes.`,
  };
}

/** Token files of a vocabulary in the cache, named by the text they come from. */
async function prepare(name, { text, peers, signal, say }) {
  const hash = createHash('sha256').update(readFileSync(text)).digest('hex').slice(0, 16);
  const parent = join(cacheFolder(), 'bench', hash);
  const folder = join(parent, name);
  if (existsSync(folder)) return folder;
  say(`Preparing the ${name} vocabulary with prepare.py …`);
  const making = join(parent, `${name}-${process.pid}`);
  mkdirSync(making, { recursive: true });
  try {
    const command = pythonCommand(peers, 'prepare.py', [text, '--out', making, ...PREPARATION[name]]);
    await runJson(command, { timeoutMs: 600_000, signal });
    renameSync(making, folder);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  return folder;
}
