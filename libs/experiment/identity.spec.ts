// Canonical JSON and ids: equal things have equal ids, different things do not.
import { describe, expect, it } from 'vitest';
import {
  bundleIdOf,
  canonicalJson,
  corpusIdOf,
  preparationIdOf,
  randomSweepId,
  sweepIdFromKey,
  teacherIdOf,
  trialIdOf,
} from './identity.js';
import type { CorpusOptions, StoredFile } from './records.js';
import { syntheticCorpus, syntheticSweep, syntheticTeacher } from './synthetic-sweep.js';

const file: StoredFile = { name: 'a', key: 'k', size: 1, sha256: 'aa', contentType: 'x' };

describe('canonicalJson', () => {
  it('sorts keys at every depth and leaves out what is undefined', () => {
    expect(canonicalJson({ b: [{ d: 1, c: null }], a: undefined, Z: 'é"' })).toBe(
      '{"Z":"é\\"","b":[{"c":null,"d":1}]}',
    );
  });

  it('takes a property named __proto__ as data', () => {
    expect(canonicalJson(JSON.parse('{"__proto__":1,"a":2}'))).toBe('{"__proto__":1,"a":2}');
  });

  it('refuses what JSON cannot hold', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, undefined, () => 1, [undefined], { a: 1n }]) {
      expect(() => canonicalJson(value)).toThrow(TypeError);
    }
  });
});

describe('ids', () => {
  it('are 32 hexadecimal digits and fit into keys', () => {
    const ids = [randomSweepId(), sweepIdFromKey('me', 'key'), bundleIdOf(['a']), teacherIdOf(syntheticTeacher)];
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(randomSweepId()).not.toBe(randomSweepId());
  });

  it('of a trial depend on every field of its spec and not on the order of its keys', () => {
    const spec = syntheticSweep({ teacher: 'demo', seeds: 1 }).results[0]?.spec;
    if (!spec) throw new Error('no trial');
    const id = trialIdOf(spec);
    const reversed = Object.fromEntries(Object.entries(spec.hyperparameters).reverse()) as typeof spec.hyperparameters;
    expect(trialIdOf({ ...spec, hyperparameters: reversed })).toBe(id);
    const others = [
      { ...spec, numericsVersion: 2 },
      { ...spec, teacherId: 'other' },
      { ...spec, corpusId: 'other' },
      { ...spec, hyperparameters: { ...spec.hyperparameters, seed: 9 } },
      { ...spec, hyperparameters: { ...spec.hyperparameters, studentDff: 9 } },
      { ...spec, evaluation: { ...spec.evaluation, sentences: 9 } },
    ];
    expect(new Set([id, ...others.map(trialIdOf)]).size).toBe(7);
  });

  it('of corpora and teachers depend on content, not on names, keys or the order of files', () => {
    const other = { ...file, name: 'b', sha256: 'bb' };
    const options = syntheticCorpus.options as CorpusOptions;
    const id = corpusIdOf({ options, files: [file, other] });
    expect(corpusIdOf({ options, files: [other, { ...file, key: 'elsewhere' }] })).toBe(id);
    expect(corpusIdOf({ options, files: [file] })).not.toBe(id);
    expect(corpusIdOf({ options: { ...options, minCount: 9 }, files: [file, other] })).not.toBe(id);
    expect(teacherIdOf({ ...syntheticTeacher, name: 'x' } as typeof syntheticTeacher)).toBe(
      teacherIdOf(syntheticTeacher),
    );
  });

  it('of preparations tell an uploaded text by its content', () => {
    const request = {
      kind: 'corpus',
      name: 'mine',
      text: file,
      options: syntheticCorpus.options as CorpusOptions,
    } as const;
    const id = preparationIdOf(request);
    expect(preparationIdOf({ ...request, text: { ...file, key: 'elsewhere' } })).toBe(id);
    expect(preparationIdOf({ ...request, text: { ...file, sha256: 'cc' } })).not.toBe(id);
    expect(preparationIdOf({ kind: 'corpus', name: 'mine', builtin: 'sotu' })).not.toBe(id);
  });

  it('of sweeps come from owner and key, and two owners never share one', () => {
    expect(sweepIdFromKey('me', 'k')).toBe(sweepIdFromKey('me', 'k'));
    expect(sweepIdFromKey('me', 'k')).not.toBe(sweepIdFromKey('you', 'k'));
  });
});
