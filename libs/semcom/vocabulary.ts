// Words and their ids, in the reference's order (specials, then by code point), and vocab.json in the reference's layout.
import { END, SPECIAL_WORDS, START, tokenize, UNK } from './tokens.js';

/** Immutable; ids are 0 .. size - 1 and start with the four specials. */
export class Vocabulary {
  // A Map, never an object: words such as "constructor" and "__proto__" are words.
  readonly #ids: Map<string, number>;

  /** `words` by id, the specials first; `parseVocabulary` and `vocabularyOf` see to it. */
  constructor(readonly words: readonly string[]) {
    this.#ids = new Map(words.map((word, id) => [word, id]));
  }

  get size(): number {
    return this.words.length;
  }

  has(word: string): boolean {
    return this.#ids.has(word);
  }

  /** The id of a word, UNK when the vocabulary lacks it. */
  id(word: string): number {
    return this.#ids.get(word) ?? UNK;
  }

  /** The word of an id; throws RangeError beyond the vocabulary. */
  word(id: number): string {
    const word = this.words[id];
    if (word === undefined) throw new RangeError(`Word id ${id} lies outside the vocabulary of ${this.size} words.`);
    return word;
  }

  /** A normalised sentence as START, its tokens, END. */
  encode(sentence: string): number[] {
    return [START, ...tokenize(sentence).map((word) => this.id(word)), END];
  }

  /** Ids to text as the reference does it: up to the first END, specials by name, joined by single spaces. */
  decode(ids: ArrayLike<number>): string {
    const words: string[] = [];
    for (let i = 0; i < ids.length && ids[i] !== END; i++) words.push(this.word(ids[i] as number));
    return words.join(' ');
  }

  /**
   * The ids that BLEU is measured on: up to the first END, without specials and the empty word, which is what remains when
   * the decoded text loses its tags and is split at white space.
   */
  scoredIds(ids: ArrayLike<number>): number[] {
    const empty = this.#ids.get('');
    const scored: number[] = [];
    for (let i = 0; i < ids.length && ids[i] !== END; i++) {
      const id = ids[i] as number;
      if (id > UNK && id !== empty) scored.push(id);
    }
    return scored;
  }
}

/** The vocabulary of counted words: specials, then every word seen at least `minCount` times, sorted by code point. */
export function vocabularyOf(counts: ReadonlyMap<string, number>, minCount = 1): Vocabulary {
  const specials = new Set<string>(SPECIAL_WORDS);
  const words: string[] = [];
  for (const [word, count] of counts) if (count >= minCount && !specials.has(word)) words.push(word);
  return new Vocabulary([...SPECIAL_WORDS, ...words.sort(byCodePoint)]);
}

/** Order by code point, which UTF-16 order is not beyond U+FFFF. */
export function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a.charCodeAt(i) - b.charCodeAt(i);
    if (difference === 0) continue;
    const [surrogateA, surrogateB] = [isSurrogate(a.charCodeAt(i)), isSurrogate(b.charCodeAt(i))];
    return surrogateA === surrogateB ? difference : surrogateA ? 1 : -1;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

/** A vocab.json that is none; the message lists every kind of fault. */
export class VocabularyError extends Error {
  override readonly name = 'VocabularyError';
  constructor(readonly faults: string[]) {
    super(
      `This is no DeepSC vocabulary ({"token_to_idx": {"<PAD>": 0, "<START>": 1, "<END>": 2, "<UNK>": 3, "word": 4, …}}): ${faults.join('; ')}.`,
    );
  }
}

/** vocab.json as the reference writes it. */
export function formatVocabulary(vocabulary: Vocabulary): string {
  return `{"token_to_idx": {${vocabulary.words.map((word, id) => `${JSON.stringify(word)}: ${id}`).join(', ')}}}`;
}

/** Reads a vocab.json of the reference; throws VocabularyError with all faults: specials, missing or doubled ids and words. */
export function parseVocabulary(json: string): Vocabulary {
  const entries = entriesOf(json);
  const words: (string | undefined)[] = [];
  const faults = new Map<string, string[]>();
  const fault = (kind: string, example: string) => {
    const examples = faults.get(kind);
    if (examples) examples.push(example);
    else faults.set(kind, [example]);
  };

  for (const word of doubledWords(json)) fault('words listed more than once', JSON.stringify(word));
  for (const [word, id] of entries) {
    const name = JSON.stringify(word);
    if (!Number.isSafeInteger(id) || id < 0) fault('ids that are no whole number from 0', `${name}: ${shown(id)}`);
    else if (id >= entries.length) fault(`ids beyond the ${entries.length} words listed`, `${name}: ${id}`);
    else if (words[id] !== undefined) fault('ids given to two words', `${id} (${JSON.stringify(words[id])}, ${name})`);
    else words[id] = word;
  }
  SPECIAL_WORDS.forEach((special, id) => {
    const found = entries.find(([word]) => word === special)?.[1];
    if (found === undefined) fault('special words that are missing', special);
    else if (found !== id) fault('special words with another id', `${special} must be ${id}, not ${shown(found)}`);
  });
  for (let id = 0; id < entries.length; id++) if (words[id] === undefined) fault('ids without a word', String(id));

  if (faults.size > 0) throw new VocabularyError([...faults].map(([kind, examples]) => `${kind}: ${some(examples)}`));
  return new Vocabulary(words as string[]);
}

/** Where two vocabularies disagree, in words, the first few ids; empty when they give the same ids to the same words. */
export function vocabularyDifferences(
  file: Vocabulary,
  corpus: Vocabulary,
  names: { file: string; corpus: string },
): string[] {
  const differences: string[] = [];
  if (file.size !== corpus.size)
    differences.push(`${names.file} has ${file.size} words, ${names.corpus} has ${corpus.size}`);
  const place = (vocabulary: Vocabulary, id: number) => {
    const word = vocabulary.words[id];
    return word === undefined ? 'nothing' : JSON.stringify(word);
  };
  for (let id = 0; id < Math.max(file.size, corpus.size) && differences.length < 6; id++) {
    if (file.words[id] === corpus.words[id]) continue;
    differences.push(`id ${id} is ${place(file, id)} in ${names.file}, ${place(corpus, id)} in ${names.corpus}`);
  }
  return differences;
}

function entriesOf(json: string): [string, number][] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new VocabularyError([`it is not JSON (${error instanceof Error ? error.message : String(error)})`]);
  }
  const map = isRecord(value) && Object.hasOwn(value, 'token_to_idx') ? value.token_to_idx : undefined;
  if (!isRecord(map)) throw new VocabularyError(['it has no object "token_to_idx"']);
  return Object.entries(map) as [string, number][];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Words that stand more than once in the text's "token_to_idx" object, which JSON.parse merges silently. */
function doubledWords(json: string): Set<string> {
  const seen = new Set<string>();
  const doubled = new Set<string>();
  let depth = 0;
  let lastKey = '';
  let isInMap = false;
  for (const [part, key] of json.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")\s*:|"[^"\\]*(?:\\.[^"\\]*)*"|[{}]/g)) {
    if (part === '{') {
      depth++;
      isInMap ||= depth === 2 && lastKey === '"token_to_idx"';
    } else if (part === '}') {
      if (depth === 2) isInMap = false;
      depth--;
    } else if (key !== undefined) {
      if (depth === 1) lastKey = key;
      if (!isInMap || depth !== 2) continue;
      const word = JSON.parse(key) as string;
      if (seen.has(word)) doubled.add(word);
      seen.add(word);
    }
  }
  return doubled;
}

/** The first few of a list, and how many more there are. */
function some(examples: string[]): string {
  const first = examples.slice(0, 5).join(', ');
  return examples.length > 5 ? `${first} and ${examples.length - 5} more` : first;
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 40);
}
