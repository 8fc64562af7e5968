// Chance for statistics as a function of a counter: Philox2x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011). The same key and counter give the same number on every machine and in any order, so reports are functions of results.

const MULTIPLIER = 0xd256d193;
const WEYL = 0x9e3779b9;

/** Two 32-bit words for a counter of two words under a key of one. */
export function philox2x32(counter: readonly [number, number], key: number): [number, number] {
  let [left, right] = [counter[0] >>> 0, counter[1] >>> 0];
  let round = key >>> 0;
  for (let i = 0; i < 10; i++) {
    const high = highWord(MULTIPLIER, left);
    const low = Math.imul(MULTIPLIER, left) >>> 0;
    [left, right] = [(high ^ round ^ right) >>> 0, low];
    round = (round + WEYL) >>> 0;
  }
  return [left, right];
}

/** A uniform number in [0, 1) of 53 bits: the index-th of the stream under `key`. */
export function uniformAt(key: number, stream: number, index: number): number {
  const [a, b] = philox2x32([index, stream], key);
  return ((a >>> 5) * 2 ** 26 + (b >>> 6)) / 2 ** 53;
}

/** A standard normal number, Box-Muller on two places of the stream. */
export function normalAt(key: number, stream: number, index: number): number {
  const radius = Math.sqrt(-2 * Math.log(1 - uniformAt(key, stream, 2 * index)));
  return radius * Math.cos(2 * Math.PI * uniformAt(key, stream, 2 * index + 1));
}

/** The upper 32 bits of the product of two words. */
function highWord(a: number, b: number): number {
  const [a1, a0] = [a >>> 16, a & 0xffff];
  const [b1, b0] = [b >>> 16, b & 0xffff];
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  return (a1 * b1 + Math.floor(middle / 65536) + Math.floor(((middle % 65536) + a0 * b1) / 65536)) >>> 0;
}
