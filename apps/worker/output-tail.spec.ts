// What is kept of a child's output.
import { expect, test } from 'vitest';
import { OutputTail } from './output-tail.js';

test('short output is kept whole', () => {
  const output = new OutputTail();
  output.add(Buffer.from('first\n'));
  output.add(Buffer.from('second\n'));
  expect(output.text()).toBe('first\nsecond\n');
});

test('of long output the end is kept, from the start of a line, and the cut is said', () => {
  const output = new OutputTail(100);
  for (let line = 0; line < 1000; line++) output.add(Buffer.from(`line ${line}\n`));
  const text = output.text();
  expect(text.length).toBeLessThan(140);
  expect(text).toMatch(/^\[earlier output left out\]\nline \d+\n/);
  expect(text.endsWith('line 999\n')).toBe(true);
});

test('last words are the last lines in one, cut from the front', () => {
  const output = new OutputTail();
  output.add(Buffer.from('one\ntwo\nthree\n'));
  expect(output.lastWords(2)).toBe('two | three');
  expect(output.lastWords(3, 5)).toBe('…three');
});

test('last words leave out the frames of a stack trace', () => {
  const output = new OutputTail();
  output.add(
    Buffer.from(
      "Error: no such file, open 'x'\n    at async open (node:fs:1:2)\n    at main.js:3:4 {\n}\n\nNode.js v20.0.0\n",
    ),
  );
  expect(output.lastWords()).toBe("Error: no such file, open 'x'");
});
