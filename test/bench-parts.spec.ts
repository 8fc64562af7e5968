// The parts of the benchmarks that could be wrong without anybody noticing: what they read, which steps they take, what they
// divide by. The programs themselves are run by hand (npm run bench).
import { describe, expect, it } from 'vitest';

/** The benchmarks are plain programs without types. */
const part = (name: string) => import(/* @vite-ignore */ new URL(`./bench/${name}.mjs`, import.meta.url).href);

const { lastError } = await part('child');
const { readNpz } = await part('token-files');
const { generatedLengths, generatedSentences, VOCABULARY_SIZES } = await part('generated-tokens');
const { pickBatches, spread, temperaturesOf } = await part('workload');
const { megaflopsPerStudentToken, megaflopsPerToken, shareOfPeak } = await part('flops');
const { loadBetween, parseMachineTime, parseOwnTime } = await part('quiet');
const { median, summarize } = await part('summary');
const { tableLines } = await part('table');
const { orderOf } = await part('rounds');
const { OptionProblem, parseLearningOptions } = await part('learning-options');

function npy(type: string, data: Int32Array | BigInt64Array, shape = `(${data.length},)`): Buffer {
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': ${shape}, }`;
  const header = Buffer.from(`${text.padEnd(117)}\n`);
  const head = Buffer.from('\x93NUMPY\x01\x00\x00\x00', 'latin1');
  head.writeUInt16LE(header.length, 8);
  return Buffer.concat([head, header, Buffer.from(data.buffer)]);
}

/** An entry as numpy.savez writes it: stored, sizes in the zip64 extra field. */
function zipEntry(name: string, data: Buffer, { method = 0, isLarge = true } = {}): Buffer {
  const extra = Buffer.alloc(isLarge ? 20 : 0);
  if (isLarge) {
    extra.writeUInt16LE(1, 0);
    extra.writeUInt16LE(16, 2);
    extra.writeBigUInt64LE(BigInt(data.length), 4);
    extra.writeBigUInt64LE(BigInt(data.length), 12);
  }
  const head = Buffer.alloc(30);
  head.writeUInt32LE(0x04034b50, 0);
  head.writeUInt16LE(method, 8);
  head.writeUInt32LE(isLarge ? 0xffffffff : data.length, 18);
  head.writeUInt32LE(isLarge ? 0xffffffff : data.length, 22);
  head.writeUInt16LE(name.length, 26);
  head.writeUInt16LE(extra.length, 28);
  return Buffer.concat([head, Buffer.from(name), extra, data]);
}

describe('token files', () => {
  const ids = npy('<i4', Int32Array.of(1, 7, 2, -5));
  const offsets = npy('<i8', BigInt64Array.of(0n, 3n, 4_000_000_000n));

  it('are read with sizes in the header or in the zip64 field', () => {
    const bytes = Buffer.concat([zipEntry('ids.npy', ids, { isLarge: false }), zipEntry('offsets.npy', offsets)]);
    const arrays = readNpz(Buffer.concat([bytes, Buffer.from('PK\x01\x02 the central directory')]));
    expect(arrays.get('ids')).toEqual(Int32Array.of(1, 7, 2, -5));
    expect(arrays.get('offsets')).toEqual([0, 3, 4_000_000_000]);
  });

  it.each([
    ['compressed', zipEntry('ids.npy', ids, { method: 8 }), /compressed/],
    ['of another type', zipEntry('ids.npy', npy('<f4', Int32Array.of(1))), /<f4/],
    ['of two dimensions', zipEntry('ids.npy', npy('<i4', Int32Array.of(1), '(1, 1)')), /one dimension/],
    ['shorter than they say', zipEntry('ids.npy', npy('<i4', Int32Array.of(1), '(2,)')), /2 numbers/],
    ['cut off', zipEntry('ids.npy', ids).subarray(0, -4), /cut off/],
    ['not zip files', Buffer.from('hello, this is text and nothing else'), /no \.npz/],
  ])('are refused when %s', (_, bytes, message) => {
    expect(() => readNpz(bytes)).toThrow(message);
  });
});

describe('the steps of a run', () => {
  it('are spread as torch_sweep.py spreads them', () => {
    expect(spread(517, 8)).toEqual([0, 64, 129, 193, 258, 323, 387, 452]);
    expect(spread(3, 5)).toEqual([0, 1, 2]);
  });

  it('hold batches of near-equal length from all over the split', () => {
    const lengths: number[] = generatedLengths();
    const batches: number[][] = pickBatches(lengths, { batchSize: 128, steps: 10 });
    const ranges = batches.map((batch) => {
      const own = batch.map((index) => lengths[index] as number);
      return [Math.min(...own), Math.max(...own)] as const;
    });
    expect(batches.map((batch) => batch.length)).toEqual(new Array(10).fill(128));
    for (const [low, high] of ranges) expect(high - low).toBeLessThanOrEqual(1);
    const middles = ranges.map(([low]) => low);
    expect(middles).toEqual([...middles].sort((a, b) => a - b));
    expect(middles[0]).toBe(7);
    expect(middles.at(-1)).toBeGreaterThanOrEqual(29);
    expect(new Set(batches.flat()).size).toBe(1280);
  });

  it('train one student at 4 and several at powers of two', () => {
    expect([temperaturesOf(1), temperaturesOf(5)]).toEqual([[4], [1, 2, 4, 8, 16]]);
  });
});

describe('the generated sentences', () => {
  it('have the lengths of the training split', () => {
    const lengths: number[] = generatedLengths();
    expect(lengths.length).toBe(66_120);
    expect(lengths.reduce((sum, n) => sum + n, 0) / lengths.length).toBeCloseTo(21.285, 3);
  });

  it('hold START, words of the vocabulary and END', () => {
    const sentences: number[][] = generatedSentences(4_019);
    const words = sentences.flatMap((row) => row.slice(1, -1));
    expect(sentences.every((row) => row[0] === 1 && row.at(-1) === 2)).toBe(true);
    expect(words.every((id) => Number.isInteger(id) && id >= 4 && id < 4_019)).toBe(true);
    expect(new Set(words).size).toBe(4_015);
  });
});

describe('the physical limit', () => {
  it.each([
    ['full', 9.96, 8.0, 16.0],
    ['small', 5.29, 3.34, 6.68],
  ])('agrees with limit.py (%s)', (name, teacherForward, studentForward, studentBackward) => {
    const megaflops = megaflopsPerToken(generatedLengths(), VOCABULARY_SIZES[name]);
    expect(megaflops.teacherForward).toBeCloseTo(teacherForward, 2);
    expect(megaflops.studentForward).toBeCloseTo(studentForward, 2);
    expect(megaflops.studentBackward).toBeCloseTo(studentBackward, 2);
  });

  it('counts the teacher once for all students, and shares by the peak', () => {
    const megaflops = { teacherForward: 10, studentForward: 8, studentBackward: 16 };
    expect(megaflopsPerStudentToken(megaflops, 1)).toBe(34);
    expect(megaflopsPerStudentToken(megaflops, 5)).toBe(26);
    // 3,000 tokens/s of 26 MFLOP are 78 GFLOP/s.
    expect(shareOfPeak(3_000, 26, 156)).toBeCloseTo(0.5, 12);
  });
});

describe('foreign load', () => {
  // user nice system idle iowait irq softirq steal guest guest_nice
  const stat = (user: number, idle: number, stolen: number) =>
    `cpu  ${user} 50 100 ${idle} 30 0 20 ${stolen} 999 999\ncpu0 1 1 1 1 1 1 1 1 1 1\n`;

  it('counts waiting for disks as idle and the guest columns not at all', () => {
    const time = parseMachineTime(stat(1_000, 5_000, 40));
    expect(time.busy).toBeCloseTo(11.7, 9);
    expect(time.stolen).toBeCloseTo(0.4, 9);
    expect(time.all).toBeCloseTo(62.4, 9);
  });

  it('reads own time behind a name with brackets', () => {
    expect(parseOwnTime('42 (a (b) 7) S 1 1 1 0 -1 4194304 9 9 9 9 150 50 200 100 20 0 11')).toBeCloseTo(5, 12);
  });

  it('is what is busy and not ours, as a share of all cores', () => {
    const before = { ...parseMachineTime(stat(1_000, 5_000, 0)), own: 10 };
    const after = { ...parseMachineTime(stat(1_900, 5_900, 200)), own: 17 };
    // 20 s of all cores: 9 s busy, 7 s of them ours, 2 s stolen.
    expect(loadBetween(before, after).foreign).toBeCloseTo(0.1, 12);
    expect(loadBetween(before, after).stolen).toBeCloseTo(0.1, 12);
    expect(loadBetween(before, { ...after, own: 25 }).foreign).toBe(0);
  });
});

describe('the summary', () => {
  const megaflops = { teacherForward: 10, studentForward: 8, studentBackward: 16 };
  const common = { block: 'full, batch 128', megaflops };
  const against = ['plain', 'tuned', 'gang'];
  const contestants = [
    { ...common, name: 'ours x5', label: 'bundle of 5', role: 'ours5', students: 5, against },
    { ...common, name: 'plain', label: 'plain', role: 'plain', students: 1, against: [] },
    { ...common, name: 'tuned', label: 'tuned', role: 'tuned', students: 1, against: [] },
    { ...common, name: 'gang', label: 'gang', role: 'gang', students: 4, against: [] },
    { ...common, block: 'small', name: 'other', label: 'other', role: 'plain', students: 1, against: [] },
  ];
  const run = (name: string, rate: number, { peak = 2_000, foreign = 0.01, isNoisy = false } = {}) => ({
    contestant: { name },
    result: { target_tokens_per_s: rate, steps_per_s: 1, peak_rss_mb: peak },
    load: { foreign, stolen: 0 },
    isNoisy,
  });
  const runs = [
    run('ours x5', 2_900),
    run('ours x5', 3_000, { foreign: 0.2, isNoisy: true }),
    run('ours x5', 9_000),
    run('plain', 500, { peak: 4_000 }),
    run('plain', 400, { peak: 4_000 }),
    run('gang', 2_000),
    run('other', 1),
  ];

  it('takes the middle of an odd number and the mean of the middle two', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([5])]).toEqual([2, 2.5, 5]);
    expect(median([])).toBeNaN();
  });

  it('divides medians within a block and leaves out who did not run', () => {
    const [ours, plain, gang, other] = summarize(contestants, runs, 156);
    expect(ours.tokensPerSecond).toEqual({ median: 3_000, lowest: 2_900, highest: 9_000 });
    expect(ours.ratios.plain).toBeCloseTo(3_000 / 450, 12);
    expect(ours.ratios.gang).toBeCloseTo(1.5, 12);
    expect(Object.keys(ours.ratios)).toEqual(['plain', 'gang']);
    expect(ours.memoryRatio).toBeCloseTo(0.5, 12);
    expect(ours.shareOfPeak).toBeCloseTo(0.5, 12);
    expect([ours.rounds, ours.noisyRounds, ours.foreignShare]).toEqual([3, 1, 0.2]);
    expect([plain.ratios, plain.memoryRatio, other.ratios]).toEqual([{}, undefined, {}]);
    expect(gang.shareOfPeak).toBeCloseTo((2_000 * 26.5) / 1e3 / 156, 12);
  });

  it('becomes one table a block, with empty cells where nothing was measured', () => {
    const lines: string[] = tableLines(summarize(contestants, runs, undefined));
    const cells = (line: string) => line.split('|').map((cell) => cell.trim());
    const row = cells(lines.find((line) => line.includes('bundle of 5')) as string);
    expect(row.slice(1, -1)).toEqual([
      'bundle of 5',
      '3,000 (2,900-9,000)',
      '3, 1 noisy',
      '',
      '6.67x',
      '1.50x',
      '1.95 GB (0.50x)',
      '20 %',
    ]);
    expect(lines.filter((line) => line === '')).toHaveLength(2);
  });

  it('lets every contestant come first', () => {
    expect([0, 1, 2, 3].map((round) => orderOf(['a', 'b', 'c'], round).join(''))).toEqual(['abc', 'bca', 'cab', 'abc']);
  });
});

describe('options', () => {
  it('names all faults at once', () => {
    expect(() => parseLearningOptions(['--rounds', '0', '--vocabulary', 'huge'])).toThrow(/--rounds.*; --vocabulary/);
    expect(() => parseLearningOptions(['--turbo'])).toThrow(OptionProblem);
  });

  it('keeps what is given over what --quick chooses', () => {
    expect(parseLearningOptions(['--quick', '--steps', '5'])).toMatchObject({ rounds: 1, steps: 5, retries: 0 });
    expect(parseLearningOptions([])).toMatchObject({ rounds: 3, students: [5, 1], batches: [128], maxForeign: 0.08 });
  });
});

describe('a program that dies', () => {
  it.each([
    [
      'Error: Invalid TF_Status: 3\nMessage: 6 inputs\n    at run (a.js:1:2)\n\nNode.js v20.20.2\n',
      'Message: 6 inputs',
    ],
    ['Traceback:\n  File "a.py"\nModuleNotFoundError: No module named x\n', 'ModuleNotFoundError: No module named x'],
    ['killed\n', 'killed'],
    ['', ''],
  ])('is quoted with the line that says why', (stderr, wanted) => {
    expect(lastError(stderr)).toBe(wanted);
  });
});
