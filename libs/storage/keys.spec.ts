import { describe, expect, it } from 'vitest';
import { isKey } from './key-rules.js';
import { keys } from './keys.js';

describe('keys of the record', () => {
  it('are keys that every store takes', () => {
    const id = 'x'.repeat(128);
    for (const key of [
      keys.corpus(id),
      keys.corpusFile(id, 'vocabulary.json'),
      keys.corpusName('sotu'),
      keys.teacherFile(id, id),
      keys.upload('f'.repeat(64)),
      keys.trialArtifact(id, id, id),
      keys.bundleCheckpointFile(id, id, id),
      keys.sweepReport(id, 'report.html'),
      keys.analysisFile(id, id, 'report.html'),
    ]) {
      expect(isKey(key)).toBe(true);
    }
  });

  it.each(['', '..', '.', 'a/b', '../x', 'a..b', '.hidden', '-x', 'a b', 'x'.repeat(129)])('refuse the id %j', (id) => {
    expect(() => keys.trial(id)).toThrow(/not a valid id/);
    expect(() => keys.trialArtifact('t', id, 'file')).toThrow(/not a valid id/);
    expect(() => keys.sweepReport('s', id)).toThrow(/not a valid id/);
  });
});
