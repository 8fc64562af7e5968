import { describe, expect, it } from 'vitest';
import { hybridFaults, linkWarnings, parseHybridRequest } from './hybrid.js';

const architecture = { vocabularySize: 60, dModel: 32, dff: 64, heads: 4, encoderLayers: 4, decoderLayers: 4 };
const a = { label: 'a', architecture, vocabularySha256: 'x' };

describe('hybridFaults', () => {
  it('other layers fit', () => {
    expect(hybridFaults(a, { ...a, label: 'b', architecture: { ...architecture, decoderLayers: 2 } })).toEqual([]);
  });

  it('names every size that differs', () => {
    const b = { ...a, label: 'b', architecture: { ...architecture, dModel: 64, heads: 8 } };
    expect(hybridFaults(a, b)).toEqual([
      { path: 'receiver', message: 'b has 64 as width, a has 32: one model cannot hold both sides' },
      { path: 'receiver', message: 'b has 8 attention heads, a has 4: one model cannot hold both sides' },
    ]);
  });

  it('words of the same number may be other words', () => {
    expect(hybridFaults(a, { ...a, label: 'b', vocabularySha256: 'y' })[0]?.message).toContain('other vocabularies');
  });
});

it('a link that understands nothing is called broken', () => {
  const curve = (bleu1: number) => ({ snrDb: [18], bleu1: [bleu1], bleu2: [0], bleu3: [0], bleu4: [0] });
  expect(linkWarnings(curve(0.9))).toEqual([]);
  expect(linkWarnings(curve(0.05))[0]?.message).toMatch(/^BLEU-1 0\.050 at 18 dB: the link is broken/);
});

it('both models are required, and unknown fields refused', () => {
  expect(() => parseHybridRequest({ sender: 'a' })).toThrow(/sender.*transmitter: is required.*receiver: is required/);
});
