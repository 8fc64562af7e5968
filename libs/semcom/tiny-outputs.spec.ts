import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sentenceBleu } from './bleu.js';
import { linearCka } from './cka.js';
import { buildCorpus, REFERENCE_LIMITS } from './corpus.js';
import { divergences, meanDivergences, originalDifferenceScore } from './distributions.js';
import { parseVocabulary } from './vocabulary.js';

// Text and measures together, on what PyTorch's tiny teacher and student put out.

const read = (name: string) => readFileSync(new URL(`../../test/golden/${name}`, import.meta.url));
const json = (name: string): unknown => JSON.parse(read(name).toString('utf8'));

type Tap = 'encOut' | 'tx' | 'memory' | 'decOut' | 'logits';

interface TinyScores {
  klPerToken: number;
  jsdOverLn2: number;
  top1Agreement: number;
  cka: Record<Exclude<Tap, 'logits'>, number>;
  originalScore: Record<string, number>;
}

const { tinyModels } = json('metrics.json') as { tinyModels: Record<string, TinyScores> };
const forward = json('tiny/forward.json') as { ids: number[][]; tapsFile: { sameAs: Record<string, string> } };
const decode = json('decode.json') as {
  text: string[];
  cases: { name: string; ids: number[][]; text: string[]; bleu1: number[]; deepscOrderBleu1: number[] }[];
};

const tapBytes = read('tiny/forward_taps.safetensors');
const headerBytes = Number(tapBytes.readBigUInt64LE(0));
const header = JSON.parse(tapBytes.toString('utf8', 8, 8 + headerBytes)) as Record<
  string,
  { shape: number[]; data_offsets: [number, number] }
>;

/** A tap as doubles, and its last dimension. */
function tap(run: string, name: Tap): { values: Float64Array; columns: number } {
  const stored = forward.tapsFile.sameAs[`${run}/${name}`] ?? `${run}/${name}`;
  const entry = header[stored];
  if (!entry) throw new Error(`The golden file lacks ${stored}.`);
  const [begin, end] = entry.data_offsets;
  const values = Float64Array.from({ length: (end - begin) / 4 }, (_, i) =>
    tapBytes.readFloatLE(8 + headerBytes + begin + 4 * i),
  );
  return { values, columns: entry.shape.at(-1) ?? 0 };
}

/** The rows of a tap where the ids are no pads. */
function keptRows({ values, columns }: { values: Float64Array; columns: number }, ids: number[]) {
  return { values: values.filter((_, i) => ids[Math.floor(i / columns)] !== 0), columns };
}

const source = forward.ids.flat();
const targets = forward.ids.flatMap((row) => row.slice(1));

/** The README's tolerance for the tiny models, whose outputs are stored in float32. */
function expectNear(actual: number, wanted: number, what: string): void {
  expect(Math.abs(actual - wanted), `${what}: ${actual} for ${wanted}`).toBeLessThanOrEqual(
    1e-4 * Math.abs(wanted) + 1e-9,
  );
}

describe('the golden tiny models', () => {
  it.each([
    ['ideal', 'teacher/deepsc-pytorch/ideal', 'student/deepsc-pytorch/ideal'],
    ['awgn', 'teacher/deepsc-pytorch/awgn', 'student/deepsc-pytorch/awgn'],
    ['teacherIdealAgainstTeacherAwgn', 'teacher/deepsc-pytorch/ideal', 'teacher/deepsc-pytorch/awgn'],
  ])('are as far apart as PyTorch says: %s', (name, first, second) => {
    const wanted = tinyModels[name] as TinyScores;
    const [teacher, student] = [tap(first, 'logits'), tap(second, 'logits')];
    const measured = meanDivergences(
      divergences({ teacher: teacher.values, student: student.values, classes: teacher.columns, kind: 'logits' }),
      targets,
    );
    expectNear(measured.kl, wanted.klPerToken, 'klPerToken');
    expectNear(measured.jsd / Math.LN2, wanted.jsdOverLn2, 'jsdOverLn2');
    expectNear(measured.top1Agreement, wanted.top1Agreement, 'top1Agreement');
    for (const at of ['encOut', 'tx', 'memory', 'decOut'] as const) {
      const ids = at === 'decOut' ? targets : source;
      expectNear(linearCka(keptRows(tap(first, at), ids), keptRows(tap(second, at), ids)), wanted.cka[at], at);
    }
    const score = originalDifferenceScore({
      teacherLogits: teacher.values,
      studentLogits: student.values,
      teacherDecoded: tap(first, 'decOut').values,
      studentDecoded: tap(second, 'decOut').values,
      sentences: forward.ids.length,
      classes: teacher.columns,
    });
    expectNear(score.klDivergence, wanted.originalScore.kl_divergence as number, 'kl_divergence');
    expectNear(score.representationDistance, wanted.originalScore.representation_distance as number, 'distance');
    expectNear(score.agreementRate, wanted.originalScore.agreement_rate as number, 'agreement_rate');
    expectNear(score.semanticDifferenceScore, wanted.originalScore.semantic_difference_score as number, 'score');
  });

  it('have the vocabulary of their corpus', () => {
    const corpus = buildCorpus(read('tiny/corpus.txt').toString('utf8').trim().split('\n'), REFERENCE_LIMITS);
    const vocabulary = parseVocabulary(read('tiny/vocab.json').toString('utf8'));
    expect(vocabulary.size).toBe(60);
    expect(corpus.vocabulary.words).toEqual(vocabulary.words);
  });

  it.each(decode.cases)(
    'decode to the text and BLEU-1 of the original: $name',
    ({ ids, text, bleu1, deepscOrderBleu1 }) => {
      const vocabulary = parseVocabulary(read('tiny/vocab.json').toString('utf8'));
      ids.forEach((row, i) => {
        expect(vocabulary.decode(row)).toBe(text[i]);
        const reference = vocabulary.scoredIds(vocabulary.encode(decode.text[i] as string));
        const hypothesis = vocabulary.scoredIds(row);
        expectNear(sentenceBleu([reference], hypothesis, { weights: [1] }), bleu1[i] as number, 'bleu1');
        expectNear(sentenceBleu([hypothesis], reference, { weights: [1] }), deepscOrderBleu1[i] as number, 'swapped');
      });
    },
  );
});
