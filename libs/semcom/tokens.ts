// A sentence as the reference's tokens: '?' and '.' leave nothing, so a full stop becomes the empty word, a token like any other.

/** Ids of the special words; every vocabulary starts with them. */
export const PAD = 0;
export const START = 1;
export const END = 2;
export const UNK = 3;
export const SPECIAL_WORDS = ['<PAD>', '<START>', '<END>', '<UNK>'] as const;

/** Deletes '?' and '.', puts a space before ';' and ',', splits at every single space (so '' is a token). */
export function tokenize(sentence: string): string[] {
  return sentence.replace(/[;,]/g, ' $&').replace(/[?.]/g, '').split(' ');
}
