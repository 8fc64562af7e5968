// How the ends of trials make the end of a sweep.
import { expect, test } from 'vitest';
import { statusOf } from './settle-sweep.js';

test.each([
  [{ completed: 3, failed: 0, cancelled: 0 }, 'completed'],
  [{ completed: 2, failed: 1, cancelled: 0 }, 'completed_with_failures'],
  [{ completed: 2, failed: 0, cancelled: 1 }, 'completed_with_failures'],
  [{ completed: 0, failed: 1, cancelled: 2 }, 'failed'],
  [{ completed: 0, failed: 0, cancelled: 3 }, 'cancelled'],
])('%o is %s', (counts, status) => {
  expect(statusOf(counts)).toBe(status);
});
