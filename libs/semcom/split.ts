// Which sentences train and which test: by their place in the text, as the reference does it, or by what they say, so that the
// same words never stand on both sides.
import { tokenize } from './tokens.js';

/** 'hash': by a hash of the sentence's tokens. 'order': the first ones train. */
export type Split = 'hash' | 'order';

/** One in the order of `sentences`, true where it trains. `share` go to training: about so many by hash, exactly by order. */
export function splitOf(sentences: readonly string[], split: Split, share: number): boolean[] {
  if (split === 'hash') return sentences.map((sentence) => isTrainedOn(sentence, share));
  const size = splitSize(sentences.length, share);
  return sentences.map((_, place) => place < size);
}

/**
 * A function of the tokens and the share alone: other text, its order and repetitions change nothing. A larger share only
 * moves sentences from test to training.
 */
export function isTrainedOn(sentence: string, share: number): boolean {
  return hash32(tokenize(sentence).join(' ')) < share * 2 ** 32;
}

/** FNV-1a over the UTF-16 units, then the finaliser of MurmurHash3, for the last letters of short texts barely reach FNV's top bits. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** How many of `sentences` go to training by order: Python's round(sentences * share), halves to the even neighbour. */
export function splitSize(sentences: number, share: number): number {
  const exact = sentences * share;
  const floor = Math.floor(exact);
  const rest = exact - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
