// Every random number of the project: Philox4x32-10, a counter-based generator. A stream is a pure function of (seed,
// purpose, integers), so data order, noise and initialisation do not depend on what was drawn before, or where.
// Only IEEE-754 basic operations and square roots are used (log, sin and cos are computed here), so the same stream gives
// the same bits on every JavaScript engine and processor.

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;
const WORDS = 2 ** 32;

type Words4 = readonly [number, number, number, number];

/**
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 4): fills
 * `words`, whose length must be a multiple of 4, with the blocks of `counter` and its successors. All words are unsigned
 * 32-bit, the least significant first; the low 64 bits of the counter count, the high 64 stay as they are.
 */
export function fillPhilox(words: Uint32Array, key: readonly [number, number], counter: Words4): void {
  let [blockLow, blockHigh] = counter;
  for (let at = 0; at < words.length; at += 4) {
    let c0 = blockLow;
    let c1 = blockHigh;
    let c2 = counter[2];
    let c3 = counter[3];
    let k0 = key[0] | 0;
    let k1 = key[1] | 0;
    for (let round = 0; round < ROUNDS; round++) {
      const low0 = Math.imul(MULTIPLIER_0, c0);
      const low1 = Math.imul(MULTIPLIER_1, c2);
      // product - low is a multiple of 2^32; rounding (at most 2^11) cannot make it look like another one.
      const high0 = ((MULTIPLIER_0 * c0 - (low0 >>> 0)) / WORDS + 0.5) >>> 0;
      const high1 = ((MULTIPLIER_1 * c2 - (low1 >>> 0)) / WORDS + 0.5) >>> 0;
      c0 = (high1 ^ c1 ^ k0) >>> 0;
      c1 = low1;
      c2 = (high0 ^ c3 ^ k1) >>> 0;
      c3 = low0;
      k0 = (k0 + WEYL_0) | 0;
      k1 = (k1 + WEYL_1) | 0;
    }
    words[at] = c0;
    words[at + 1] = c1;
    words[at + 2] = c2;
    words[at + 3] = c3;
    blockLow = (blockLow + 1) >>> 0;
    if (blockLow === 0) blockHigh = (blockHigh + 1) >>> 0;
  }
}

const SCRATCH_BLOCKS = 1024;
const scratch = new Uint32Array(4 * SCRATCH_BLOCKS);
const pair: [number, number] = [0, 0];

/** An endless sequence of random numbers, named by a seed, a purpose and any integers (step, epoch, trial ...). */
export class RandomStream {
  readonly #key: readonly [number, number];
  readonly #counterHigh: readonly [number, number];
  readonly #words = new Uint32Array(4);
  /** the next block to compute */
  #block = 0;
  /** how many of #words are used up */
  #used = 4;
  #spareNormal: number | undefined;

  /** Throws RangeError unless seed and indices are integers from 0 to 2^53 - 1. */
  constructor(seed: number, purpose: string, ...indices: number[]) {
    const identity = hashIdentity(seed, purpose, indices);
    this.#key = [identity[0], identity[1]];
    this.#counterHigh = [identity[2], identity[3]];
  }

  /** What names the stream: the key's two words and the counter's upper two; blocks count from 0 in its lower two. */
  get identity(): readonly [number, number, number, number] {
    return [...this.#key, ...this.#counterHigh];
  }

  /** 32 random bits as an integer in [0, 2^32). */
  uint32(): number {
    if (this.#used === 4) {
      this.#fill(this.#words);
      this.#used = 0;
    }
    return this.#words[this.#used++] as number;
  }

  /** Uniform in [0, 1) with 53 bits. */
  uniform(): number {
    const high = this.uint32() >>> 5;
    const low = this.uint32() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** Uniform over the integers 0 .. n - 1, without bias (rejection). Throws RangeError unless 1 <= n <= 2^32. */
  integer(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > WORDS) throw new RangeError(`integer(n) takes 1 <= n <= 2^32, not ${n}.`);
    const limit = WORDS - (WORDS % n);
    let word = this.uint32();
    while (word >= limit) word = this.uint32();
    return word % n;
  }

  /** Standard normal in double precision (Box-Muller on two 32-bit words; at most 6.8 in size). */
  normal(): number {
    const spare = this.#spareNormal;
    if (spare !== undefined) {
      this.#spareNormal = undefined;
      return spare;
    }
    normalPair(this.uint32(), this.uint32());
    this.#spareNormal = pair[1];
    return pair[0];
  }

  /** A random permutation of 0 .. n - 1 (Fisher-Yates; every order equally likely). */
  shuffle(n: number): Int32Array {
    const order = new Int32Array(n);
    for (let i = 0; i < n; i++) {
      const j = this.integer(i + 1);
      order[i] = order[j] as number;
      order[j] = i;
    }
    return order;
  }

  /** Fills with scale * standard normal, computed in double and rounded once to float32. Starts at a fresh block. */
  fillNormal(target: Float32Array, scale = 1): Float32Array {
    this.#forEachChunk(target.length, (words, start, end) => {
      for (let i = start, at = 0; i < end; i += 2, at += 2) {
        normalPair(words[at] as number, words[at + 1] as number);
        target[i] = pair[0] * scale;
        if (i + 1 < end) target[i + 1] = pair[1] * scale;
      }
    });
    return target;
  }

  /** Fills with uniform numbers in [0, 1), multiples of 2^-24, so that float32 holds them. Starts at a fresh block. */
  fillUniform(target: Float32Array): Float32Array {
    this.#forEachChunk(target.length, (words, start, end) => {
      for (let i = start, at = 0; i < end; i++, at++) target[i] = ((words[at] as number) >>> 8) * 2 ** -24;
    });
    return target;
  }

  /** Calls `use` with random words for the positions start .. end - 1, piece by piece. */
  #forEachChunk(length: number, use: (words: Uint32Array, start: number, end: number) => void): void {
    this.#used = 4;
    this.#spareNormal = undefined;
    for (let start = 0; start < length; start += scratch.length) {
      const end = Math.min(length, start + scratch.length);
      const words = end - start === scratch.length ? scratch : scratch.subarray(0, 4 * Math.ceil((end - start) / 4));
      this.#fill(words);
      use(words, start, end);
    }
  }

  #fill(words: Uint32Array): void {
    const [high0, high1] = this.#counterHigh;
    fillPhilox(words, this.#key, [this.#block >>> 0, Math.floor(this.#block / WORDS) >>> 0, high0, high1]);
    this.#block += words.length / 4;
  }
}

/** 128 bits of hash over the name of a stream: Philox as the block cipher of a Davies-Meyer chain. */
function hashIdentity(seed: number, purpose: string, indices: number[]): Words4 {
  const message: number[] = [];
  const addInteger = (value: number, what: string) => {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`The ${what} of a random stream must be an integer from 0 to 2^53 - 1, not ${value}.`);
    message.push(value >>> 0, (value / WORDS) >>> 0);
  };
  addInteger(seed, 'seed');
  // Lengths first, so that no two names give the same words.
  message.push(purpose.length, indices.length);
  for (let i = 0; i < purpose.length; i += 2)
    message.push((purpose.charCodeAt(i) | ((purpose.charCodeAt(i + 1) || 0) << 16)) >>> 0);
  if (message.length % 2) message.push(0);
  for (const index of indices) addInteger(index, `index ${index} in '${purpose}'`);

  const state = new Uint32Array(4);
  const block = new Uint32Array(4);
  for (let i = 0; i < message.length; i += 2) {
    const key = [message[i] as number, message[i + 1] as number] as const;
    fillPhilox(block, key, words4(state));
    for (let j = 0; j < 4; j++) state[j] = (state[j] as number) ^ (block[j] as number);
  }
  return words4(state);
}

function words4(words: Uint32Array): Words4 {
  return [words[0] as number, words[1] as number, words[2] as number, words[3] as number];
}

/** Box-Muller: two words to two independent standard normals, left in `pair`. */
function normalPair(word0: number, word1: number): void {
  const radius = Math.sqrt(-2 * logOfUnit(word0));
  // The angle is 2 pi v with v = (word1 + 1/2) / 2^32, cut into eight octants of pi/4 around multiples of pi/2.
  const quarter = (word1 >>> 30) + ((word1 >>> 29) & 1);
  const x = ((word1 + 0.5) / WORDS - quarter / 4) * TWO_PI;
  const xx = x * x;
  const sin = x * (1 + xx * (S3 + xx * (S5 + xx * (S7 + xx * (S9 + xx * (S11 + xx * (S13 + xx * S15)))))));
  const cos = 1 + xx * (C2 + xx * (C4 + xx * (C6 + xx * (C8 + xx * (C10 + xx * (C12 + xx * (C14 + xx * C16)))))));
  switch (quarter & 3) {
    case 0:
      pair[0] = radius * cos;
      pair[1] = radius * sin;
      break;
    case 1:
      pair[0] = -radius * sin;
      pair[1] = radius * cos;
      break;
    case 2:
      pair[0] = -radius * cos;
      pair[1] = -radius * sin;
      break;
    default:
      pair[0] = radius * sin;
      pair[1] = -radius * cos;
  }
}

const TWO_PI = 2 * Math.PI;

// Taylor series, |x| <= pi/4: the first term left out is below 4e-16 of the result.
const S3 = -1 / 6;
const S5 = 1 / 120;
const S7 = -1 / 5040;
const S9 = 1 / 362880;
const S11 = -1 / 39916800;
const S13 = 1 / 6227020800;
const S15 = -1 / 1307674368000;
const C2 = -1 / 2;
const C4 = 1 / 24;
const C6 = -1 / 720;
const C8 = 1 / 40320;
const C10 = -1 / 3628800;
const C12 = 1 / 479001600;
const C14 = -1 / 87178291200;
const C16 = 1 / 20922789888000;

/** ln((word + 1/2) / 2^32), by ln m = 2 artanh((m - 1) / (m + 1)) on [sqrt(1/2), sqrt 2]. */
function logOfUnit(word: number): number {
  // Doubling keeps word + 1/2 an integer of at most 33 bits; its exponent is that of `word` except when word is 0.
  let exponent = word === 0 ? -1 : 31 - Math.clz32(word);
  let m = (word + 0.5) * (POWERS_OF_HALF[exponent + 1] as number);
  if (m > Math.SQRT2) {
    m *= 0.5;
    exponent++;
  }
  const s = (m - 1) / (m + 1);
  const t = s * s;
  const series =
    1 + t * (L3 + t * (L5 + t * (L7 + t * (L9 + t * (L11 + t * (L13 + t * (L15 + t * (L17 + t * (L19 + t * L21)))))))));
  return 2 * s * series + (exponent - 32) * Math.LN2;
}

// 2^-e for e = -1 .. 31
const POWERS_OF_HALF = Float64Array.from({ length: 33 }, (_, i) => 2 ** (1 - i));

const L3 = 1 / 3;
const L5 = 1 / 5;
const L7 = 1 / 7;
const L9 = 1 / 9;
const L11 = 1 / 11;
const L13 = 1 / 13;
const L15 = 1 / 15;
const L17 = 1 / 17;
const L19 = 1 / 19;
const L21 = 1 / 21;
