import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { hasRoom, isDiskFull } from './disk-room.js';

test('room is what is free above the least that is needed', async () => {
  expect(await hasRoom({ folder: tmpdir(), leastBytes: 1 })).toBe(true);
  expect(await hasRoom({ folder: tmpdir(), leastBytes: Number.MAX_SAFE_INTEGER })).toBe(false);
});

test('a full disk is known by its code, and by the last words of a trainer', () => {
  expect(isDiskFull(Object.assign(new Error('write failed'), { code: 'ENOSPC' }))).toBe(true);
  expect(
    isDiskFull(new Error('The trainer ended with exit code 1; its last output: Error: ENOSPC: no space left')),
  ).toBe(true);
  expect(isDiskFull(new Error('The loss is not a number.'))).toBe(false);
});
