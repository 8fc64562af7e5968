import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  normalise,
  REFERENCE_LENGTHS,
  removeTags,
  sentenceOf,
  splitLines,
  stripAccents,
  wordsOf,
} from './normalise.js';
import { tokenize } from './tokens.js';

interface GoldenLine {
  why: string;
  raw: string;
  withoutAccents: string;
  withoutTags: string;
  normalised: string;
  words: number;
  kept: boolean;
  sentence: string | null;
  tokens: string[] | null;
}

const golden = JSON.parse(readFileSync(new URL('../../test/golden/preprocess.json', import.meta.url), 'utf8')) as {
  lines: GoldenLine[];
  removeTags: { text: string; result: string }[];
  corpus: {
    files: { name: string; text: string }[];
    perFile: { file: string; lines: number; kept: string[] }[];
  };
};

describe('the reference normalisation', () => {
  it.each(golden.lines.map((line) => [line.why, line] as const))('equals it stage by stage: %s', (_, line) => {
    expect(stripAccents(line.raw)).toBe(line.withoutAccents);
    expect(removeTags(line.withoutAccents)).toBe(line.withoutTags);
    expect(normalise(line.raw)).toBe(line.normalised);
    expect(wordsOf(line.normalised)).toHaveLength(line.words);
    const sentence = sentenceOf(line.raw, REFERENCE_LENGTHS);
    expect(sentence ?? null).toBe(line.sentence);
    expect(sentence === undefined ? null : tokenize(sentence)).toEqual(line.tokens);
  });

  it.each(golden.removeTags)('removes tags as the reference does from $text', ({ text, result }) => {
    expect(removeTags(text)).toBe(result);
  });

  it('reads files as the reference does', () => {
    const texts = golden.corpus.files.filter((file) => file.name.endsWith('.txt'));
    const perFile = texts.map((file) => {
      const lines = splitLines(file.text);
      const kept = lines.map((line) => sentenceOf(line, REFERENCE_LENGTHS)).filter((line) => line !== undefined);
      return { file: file.name, lines: lines.length, kept };
    });
    expect(perFile).toEqual(golden.corpus.perFile);
  });

  it('takes the same time a character on text made to be slow', () => {
    // A backtracking pattern needs hours for these.
    expect(removeTags('<a'.repeat(500_000))).toHaveLength(1_000_000);
    expect(splitLines(`a${' '.repeat(1_000_000)}b${' '.repeat(1_000_000)}`)).toHaveLength(1);
  });
});
