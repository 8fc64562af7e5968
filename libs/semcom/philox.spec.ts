import { describe, expect, it } from 'vitest';
import { fillPhilox, RandomStream } from './philox.js';

const hex = (words: Uint32Array) => [...words].map((word) => word.toString(16).padStart(8, '0')).join(' ');

function block(counter: [number, number, number, number], key: [number, number]): string {
  const words = new Uint32Array(4);
  fillPhilox(words, key, counter);
  return hex(words);
}

/** Philox4x32-10 in whole-number arithmetic, as the paper writes it. */
function philoxByBigInt(counter: number[], key: number[]): string {
  let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key.map(BigInt) as [bigint, bigint];
  const low = (n: bigint) => n & 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const product0 = 0xd2511f53n * c0;
    const product1 = 0xcd9e8d57n * c2;
    [c0, c1, c2, c3] = [(product1 >> 32n) ^ c1 ^ k0, low(product1), (product0 >> 32n) ^ c3 ^ k1, low(product0)];
    k0 = low(k0 + 0x9e3779b9n);
    k1 = low(k1 + 0xbb67ae85n);
  }
  return hex(Uint32Array.from([c0, c1, c2, c3].map(Number)));
}

describe('fillPhilox', () => {
  it('gives the known answers of Random123 for philox4x32-10', () => {
    expect(block([0, 0, 0, 0], [0, 0])).toBe('6627e8d5 e169c58d bc57ac4c 9b00dbd8');
    const ones = 0xffffffff;
    expect(block([ones, ones, ones, ones], [ones, ones])).toBe('408f276d 41c83b0e a20bc7c6 6d5451fd');
    expect(block([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])).toBe(
      'd16cfe09 94fdcceb 5001e420 24126ea1',
    );
  });

  it('equals whole-number arithmetic on many inputs', () => {
    const stream = new RandomStream(1, 'inputs');
    for (let i = 0; i < 3000; i++) {
      const [c0, c1, c2, c3, k0, k1] = Array.from({ length: 6 }, () => stream.uint32()) as [
        number,
        number,
        number,
        number,
        number,
        number,
      ];
      expect(block([c0, c1, c2, c3], [k0, k1])).toBe(philoxByBigInt([c0, c1, c2, c3], [k0, k1]));
    }
  });

  it('counts the low 64 bits of the counter up, block by block', () => {
    const words = new Uint32Array(8);
    fillPhilox(words, [5, 6], [0xffffffff, 7, 8, 9]);
    expect(hex(words.subarray(4))).toBe(block([0, 8, 8, 9], [5, 6]));
  });
});

describe('RandomStream', () => {
  it('is a function of seed, purpose and indices alone', () => {
    const draw = (stream: RandomStream) => Array.from({ length: 6 }, () => stream.uint32());
    const other = new RandomStream(3, 'other');
    const first = draw(new RandomStream(3, 'noise', 1, 2));
    other.normal();
    expect(draw(new RandomStream(3, 'noise', 1, 2))).toEqual(first);
    // A change of these numbers is a change of every trial's numbers.
    expect(first).toEqual([3078338656, 3831989362, 1691974809, 289517860, 557321271, 1432989300]);
  });

  it('differs as soon as any part of the name differs', () => {
    const streams = [
      new RandomStream(1, 'noise'),
      new RandomStream(2, 'noise'),
      new RandomStream(1 + 2 ** 32, 'noise'),
      new RandomStream(2 ** 53 - 1, 'noise'),
      new RandomStream(1, 'noises'),
      new RandomStream(1, 'noise\0'),
      new RandomStream(1, ''),
      new RandomStream(1, 'noise', 0),
      new RandomStream(1, 'noise', 0, 0),
      new RandomStream(1, 'noise', 2 ** 32),
    ];
    expect(new Set(streams.map((stream) => stream.uniform())).size).toBe(streams.length);
  });

  it('refuses seeds and indices that are no whole numbers from 0 to 2^53 - 1', () => {
    for (const bad of [-1, 0.5, 2 ** 53, Number.NaN]) {
      expect(() => new RandomStream(bad, 'x')).toThrow(/seed of a random stream must be an integer/);
      expect(() => new RandomStream(0, 'x', bad)).toThrow(/index .* must be an integer/);
    }
  });

  it('fills with the same normals that normal() gives one by one', () => {
    const filled = new RandomStream(9, 'noise').fillNormal(new Float32Array(5001), 0.25);
    const stream = new RandomStream(9, 'noise');
    for (const value of filled) expect(value).toBe(Math.fround(stream.normal() * 0.25));
  });

  it('gives the same normals whether a batch is filled at once or is the front of a longer one', () => {
    const long = new RandomStream(9, 'noise').fillNormal(new Float32Array(9001));
    const short = new RandomStream(9, 'noise').fillNormal(new Float32Array(4097));
    expect(short).toEqual(long.subarray(0, 4097));
  });

  it('agrees with Box-Muller by the functions of Math to 14 digits', () => {
    const words = new RandomStream(4, 'x');
    const normals = new RandomStream(4, 'x');
    for (let i = 0; i < 20_000; i++) {
      const radius = Math.sqrt(-2 * Math.log((words.uint32() + 0.5) / 2 ** 32));
      const angle = (2 * Math.PI * (words.uint32() + 0.5)) / 2 ** 32;
      expect(Math.abs(normals.normal() - radius * Math.cos(angle))).toBeLessThan(2e-14);
      expect(Math.abs(normals.normal() - radius * Math.sin(angle))).toBeLessThan(2e-14);
    }
  });

  it('has the moments and tails of the standard normal', () => {
    const n = 1_000_000;
    const values = new RandomStream(11, 'moments').fillNormal(new Float32Array(n));
    let [sum, square, cube, fourth, beyond2, neighbours] = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < n; i++) {
      const x = values[i] as number;
      sum += x;
      square += x * x;
      cube += x ** 3;
      fourth += x ** 4;
      if (Math.abs(x) > 2) beyond2++;
      neighbours += x * (values[(i + 1) % n] as number);
    }
    // five standard errors each
    expect(Math.abs(sum / n)).toBeLessThan(5 / Math.sqrt(n));
    expect(Math.abs(square / n - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    expect(Math.abs(cube / n)).toBeLessThan(5 * Math.sqrt(15 / n));
    expect(Math.abs(fourth / n - 3)).toBeLessThan(5 * Math.sqrt(96 / n));
    expect(Math.abs(beyond2 / n - 0.0455003)).toBeLessThan(5 * Math.sqrt(0.0455 / n));
    expect(Math.abs(neighbours / n)).toBeLessThan(5 / Math.sqrt(n));
  });

  it('is uniform in [0, 1) and over small integers', () => {
    const n = 200_000;
    const stream = new RandomStream(12, 'uniform');
    const tenths = new Array<number>(10).fill(0);
    const sevenths = new Array<number>(7).fill(0);
    for (let i = 0; i < n; i++) {
      const tenth = Math.floor(stream.uniform() * 10);
      tenths[tenth] = (tenths[tenth] as number) + 1;
      const seventh = stream.integer(7);
      sevenths[seventh] = (sevenths[seventh] as number) + 1;
    }
    const chiSquare = (counts: number[]) =>
      counts.reduce((sum, count) => sum + (count - n / counts.length) ** 2 / (n / counts.length), 0);
    expect(chiSquare(tenths)).toBeLessThan(27.9); // 99.9 % of chi square with 9 degrees
    expect(chiSquare(sevenths)).toBeLessThan(22.5); // with 6
    const filled = new RandomStream(12, 'uniform').fillUniform(new Float32Array(100_000));
    expect(Math.min(...filled.subarray(0, 50_000))).toBeGreaterThanOrEqual(0);
    expect(filled.every((value) => value >= 0 && value < 1)).toBe(true);
  });

  it('takes integer(n) only for 1 <= n <= 2^32', () => {
    const stream = new RandomStream(1, 'x');
    expect(stream.integer(1)).toBe(0);
    expect(stream.integer(2 ** 32)).toBeLessThan(2 ** 32);
    for (const bad of [0, -1, 1.5, 2 ** 32 + 1]) expect(() => stream.integer(bad)).toThrow(/1 <= n <= 2\^32/);
  });

  it('shuffles to permutations, every order of four about equally often', () => {
    const counts = new Map<string, number>();
    const n = 48_000;
    for (let i = 0; i < n; i++) {
      const order = new RandomStream(i, 'shuffle').shuffle(4).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - n / 24) ** 2 / (n / 24), 0);
    expect(chiSquare).toBeLessThan(49.7); // 99.9 % with 23 degrees
    expect([...new RandomStream(5, 'shuffle').shuffle(1000)].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 1000 }, (_, i) => i),
    );
    expect(new RandomStream(5, 'shuffle').shuffle(0)).toHaveLength(0);
  });
});
