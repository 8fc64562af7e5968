import { describe, expect, it } from 'vitest';
import { splitSentences } from './sentences.js';

describe('splitSentences', () => {
  it('cuts after full stops, exclamation and question marks before a capital or a digit', () => {
    expect(splitSentences('We met. They left! Why? 40 stayed. it goes on. "Good," he said. (So be it.) End')).toEqual([
      'We met.',
      'They left!',
      'Why?',
      '40 stayed. it goes on.',
      '"Good," he said.',
      '(So be it.)',
      'End',
    ]);
  });

  it('does not cut after titles, initials and abbreviations', () => {
    const text = 'Mr. Speaker, Gen. U. S. Grant and Messrs. Smith met under Art. 4 and No. 12 in the U.S. Senate.';
    expect(splitSentences(text)).toEqual([text]);
    expect(splitSentences('He said No. They said so. So do I. We agree.')).toEqual([
      'He said No.',
      'They said so.',
      'So do I.',
      'We agree.',
    ]);
  });

  it('joins wrapped lines and ends paragraphs at empty lines', () => {
    expect(splitSentences('A line that\r\nis wrapped. And\n  another\n\n \nA heading\n\nThe end.\n')).toEqual([
      'A line that is wrapped.',
      'And another',
      'A heading',
      'The end.',
    ]);
    expect(splitSentences(' \n ')).toEqual([]);
  });

  it('takes a line too long to be wrapped for a paragraph', () => {
    const long = `It ${'goes on and '.repeat(20)}on`;
    expect(splitSentences(`${long}\nA heading\nand its rest\n${long}.\nThe end.`)).toEqual([
      long,
      'A heading and its rest',
      `${long}.`,
      'The end.',
    ]);
  });

  it('takes the same time a character on text made to be slow', () => {
    // A backtracking pattern needs hours for these.
    expect(splitSentences('.'.repeat(1_000_000))).toHaveLength(1);
    expect(splitSentences(`${'\n '.repeat(300_000)}x`)).toEqual(['x']);
    expect(splitSentences('A. '.repeat(300_000))).toHaveLength(1);
    expect(splitSentences(`No.${'"'.repeat(1_000_000)} A`)).toHaveLength(1);
  });
});
