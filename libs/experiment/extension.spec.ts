import { describe, expect, it } from 'vitest';
import { extendRequest, parseExtension } from './extension.js';
import { parseSweepRequest } from './requests.js';

const sweep = () => parseSweepRequest({ teacher: 't', vary: { temperature: [1, 4] }, seeds: 2 });

describe('an extension', () => {
  it('adds seeds by number or by name, and values', () => {
    expect(extendRequest(sweep(), parseExtension({ seeds: 2 })).seeds).toEqual([1, 2, 3, 4]);
    const more = extendRequest(sweep(), parseExtension({ seeds: [2, 9], vary: { temperature: [4, 8] } }));
    expect(more.seeds).toEqual([1, 2, 9]);
    expect(more.vary).toEqual({ temperature: [1, 4, 8] });
    expect({ ...more, seeds: [], vary: {} }).toEqual({ ...sweep(), seeds: [], vary: {} });
  });

  it('of what is there already changes nothing', () => {
    const same = extendRequest(sweep(), parseExtension({ seeds: [1], vary: { temperature: [1] } }));
    expect(same).toEqual(sweep());
  });

  it.each([
    [{}, /asks for nothing/],
    [{ seeds: 0 }, /seeds: must be/],
    [{ vary: { temperature: [0] } }, /vary.temperature\[0\]/],
    [{ sedes: 3 }, /did you mean 'seeds'/],
    ['text', /must be an object/],
  ])('%j is refused', (body, sentence) => {
    expect(() => parseExtension(body)).toThrow(sentence);
  });

  it('of what the sweep does not vary is refused', () => {
    const asked = parseExtension({ vary: { studentLayers: [1], seed: [7] } });
    expect(() => extendRequest(sweep(), asked)).toThrow(/vary.studentLayers: this sweep varies temperature/);
    expect(() => extendRequest(sweep(), asked)).toThrow(/vary.seed: give further seeds as 'seeds'/);
  });
});
