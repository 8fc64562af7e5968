import { describe, expect, it } from 'vitest';
import { InvalidRequest } from '../errors.js';
import { preparationIdOf } from '../identity.js';
import type { CorpusRecord, DecodedCurve, DivergenceCurve, HybridSide } from '../records.js';
import { alignWords } from './align-words.js';
import { type MeasuredChannel, type SentenceComparison, TESTED_DIFFERENCES, withoutSentences } from './analysis.js';
import { renderAnalysis } from './analysis-files.js';
import { buildAnalysis, contentHashOf } from './build-analysis.js';
import { type AnalysisPreparation, analysisFaults, analysisSizeFaults, parseAnalysisRequest } from './request.js';

const architecture = { vocabularySize: 50, dModel: 16, dff: 32, heads: 2, encoderLayers: 2, decoderLayers: 1 };
const corpus: CorpusRecord = {
  corpusId: 'corpus-1',
  name: 'tiny',
  source: { kind: 'text', sha256: '', fileName: 't' },
  vocabularySize: 50,
  maxTokens: 22,
  sentences: { train: 90, test: 10 },
  tokens: { train: 900, test: 100 },
  files: [],
  createdAt: '',
};
const side = (label: string, letter: string): HybridSide => ({
  label,
  file: { name: 'model.safetensors', key: `teachers/${label}`, size: 1, sha256: letter.repeat(64), contentType: '' },
  architecture,
});
const { conditions } = parseAnalysisRequest({ reference: 'a', other: 'b', snrDb: [0, 12] });
const request: AnalysisPreparation = {
  kind: 'analysis',
  name: 'a, b',
  corpusId: 'corpus-1',
  reference: side('demo', 'a'),
  other: side('student', 'b'),
  conditions,
  warnings: [],
  numericsVersion: 1,
};
const time = { medianMs: 2, p95Ms: 3 };
const run = {
  numerics: { backend: 'tensorflow', library: 'TensorFlow', threads: 1, device: 'CPU' },
  latency: { sentences: 2, reference: time, other: time },
};

const curve = (value: number): DecodedCurve => {
  const over = [value, value];
  const bleu = { bleu1: over, bleu2: over, bleu3: over, bleu4: over };
  const cumulative = { cumulativeBleu2: over, cumulativeBleu3: over, cumulativeBleu4: over };
  return { snrDb: [0, 12], ...bleu, ...cumulative, corpusBleu: over, exactSentences: over, wordErrorRate: over };
};
const distance = (jsd: number): Required<DivergenceCurve> => {
  const [over, one] = [
    [jsd, jsd],
    [1, 1],
  ];
  return {
    snrDb: [0, 12],
    kl: over,
    reverseKl: over,
    jsd: over,
    top1Agreement: one,
    top5Overlap: one,
    agreementTeacherRight: one,
    agreementTeacherWrong: [null, null],
    entropyGap: over,
    ckaEncOut: one,
    ckaChEncOut: one,
    ckaMemory: one,
    ckaDecOut: one,
  };
};

type Said = [source: string, a: string, b: string, aBleu1: number, bBleu1: number, jsd: number];

/** Both models' BLEU-1 as the sentences have it; all else as if it were BLEU-1. */
function measured(said: readonly Said[], jsd = 0.02): MeasuredChannel {
  const likelihood = { snrDb: [0, 12], crossEntropy: [2, 1], tokenAccuracy: [0.5, 0.6], calibrationError: [0.1, 0.1] };
  const of = (pick: (one: Said) => number) => {
    const means = Object.fromEntries(TESTED_DIFFERENCES.map((measure) => [measure, said.map(pick)]));
    return means as MeasuredChannel['sentenceMeans']['reference'];
  };
  const mean = (pick: (one: Said) => number) => said.reduce((sum, one) => sum + pick(one), 0) / said.length;
  const [a, b] = [mean(([, , , bleu1]) => bleu1), mean(([, , , , bleu1]) => bleu1)];
  const received = (text: string, bleu1: number) => ({ text, bleu1, cumulativeBleu4: bleu1, wordErrors: 1 });
  return {
    channel: 'awgn',
    reference: { decoded: curve(a), likelihood },
    other: { decoded: curve(b), likelihood },
    divergence: distance(jsd),
    floor: distance(0.01),
    crossed: { referenceSends: curve(a), otherSends: curve(0.1) },
    sentenceMeans: {
      tokens: said.map(() => 5),
      words: said.map(() => 4),
      reference: of(([, , , bleu1]) => bleu1),
      other: of(([, , , , bleu1]) => bleu1),
    },
    sentences: said.map(
      ([source, first, second, aBleu1, bBleu1, apart], sentence): SentenceComparison => ({
        sentence,
        source,
        reference: received(first, aBleu1),
        other: received(second, bBleu1),
        jsd: apart,
      }),
    ),
  };
}

const SAID: Said[] = [
  ['one two', 'one two', 'one two', 1, 1, 0.01],
  ['three four', 'three four', 'three', 1, 0.5, 0.02],
  ['five six', 'five six', 'five', 1, 0.5, 0.03],
  ['seven', '', 'seven', 0, 1, 0.04],
  ['eight nine', 'eight nine', 'ten', 1, 0, 0.01],
];

describe('an analysis', () => {
  const report = buildAnalysis(request, corpus, [measured(SAID)], run);
  const [awgn] = report.channels;

  it('puts the largest loss first, of equal ones that further apart, and gains by themselves', () => {
    expect(awgn?.worst).toEqual([4, 2, 1]);
    expect(awgn?.gained).toEqual([3]);
    expect(awgn?.differing).toBe(4);
    const short = withoutSentences(report).channels[0];
    expect(short?.sentences.map(({ sentence }) => sentence)).toEqual([4, 2, 1, 3]);
    expect([short?.worst, short?.gained]).toEqual([[0, 1, 2], [3]]);
  });

  it('tests b less a, all measures in one family', () => {
    const bleu1 = awgn?.differences.find(({ measure }) => measure === 'bleu1');
    expect(bleu1?.difference).toBeCloseTo((0 - 0.5 - 0.5 + 1 - 1) / 5, 12);
    expect(bleu1?.pHolm).toBe(Math.min(1, (bleu1?.p ?? 0) * TESTED_DIFFERENCES.length));
    const many = Array.from({ length: 60 }, (_, i): Said => [`w${i}`, `w${i}`, 'x', 1, i % 3 ? 0.5 : 0.2, 0.1]);
    const even = many.map(
      ([source, a, b], i): Said => (i % 2 ? [source, a, b, 1, 0.5, 0.1] : [source, a, a, 0.5, 1, 0.1]),
    );
    const found = buildAnalysis(request, corpus, [measured(many), { ...measured(even), channel: 'rayleigh' }], run);
    const [first, second] = found.channels;
    expect(first?.differences.every(({ isSignificant }) => isSignificant)).toBe(true);
    // Of 22 tests in all.
    expect(first?.differences[0]?.pHolm).toBeCloseTo((first?.differences[0]?.p ?? 0) * 22, 12);
    expect(second?.differences.some(({ isSignificant }) => isSignificant)).toBe(false);
    expect(found.findings.map(({ code }) => code)).toEqual([
      ...['differences', 'sentences', 'distance', 'pair', 'broken-pair'],
      ...['no-difference', 'sentences', 'distance', 'pair', 'broken-pair'],
    ]);
    // More word errors and a larger loss are worse, as less BLEU is.
    expect(found.findings[0]?.text.en).toMatch(
      /^awgn: B is worse than A in BLEU-1 \(−0\.6.*; B is better than A in word error rate \(−0\.6/,
    );
    expect(found.findings[6]?.text.zh).toMatch(/^rayleigh：12 dB 时，60 个句子中有 30 个/);
  });

  it('of equal models says that they are', () => {
    const same = buildAnalysis(
      request,
      corpus,
      [
        measured(
          SAID.map(([source, a, , bleu1]): Said => [source, a, a, bleu1, bleu1, 0]),
          0,
        ),
      ],
      run,
    );
    expect(same.channels[0]).toMatchObject({ worst: [], gained: [], differing: 0 });
    expect(same.channels[0]?.differences.every(({ difference, p }) => difference === 0 && p === 1)).toBe(true);
    expect(same.findings.map(({ code }) => code)).toEqual(['same-output']);
    const html = renderAnalysis(same).find(({ name }) => name === 'report.html')?.text;
    expect(html).toContain('No sentence has a lower BLEU-1 with B than with A.');
  });

  it('has a content that times take no part in', () => {
    const slower = { ...run, latency: { ...run.latency, other: { medianMs: 9, p95Ms: 9 } } };
    const again = buildAnalysis(request, corpus, [measured(SAID)], slower);
    expect(contentHashOf(again)).toBe(contentHashOf(report));
    const otherwise = buildAnalysis(request, corpus, [measured(SAID.slice(1))], run);
    expect(contentHashOf(otherwise)).not.toBe(contentHashOf(report));
  });

  it('is one request by the content of the models, whatever the place of the files', () => {
    const moved = { ...request, other: { ...request.other, file: { ...request.other.file, key: 'elsewhere' } } };
    expect(preparationIdOf(moved)).toBe(preparationIdOf(request));
    expect(preparationIdOf({ ...request, conditions: { ...conditions, seed: 1 } })).not.toBe(preparationIdOf(request));
    expect(preparationIdOf({ ...request, other: side('student', 'c') })).not.toBe(preparationIdOf(request));
  });
});

describe('its files', () => {
  const hostile: Said[] = [
    ['=cmd|calc', '<script>alert(1)</script> &', '+1 "quoted", and more', 1, 0, 0.1],
    ['@sum', '=1+1', '-2', 1, 0.5, 0.1],
  ];
  const named = { ...request, other: side('<img src=x onerror=alert(1)>', 'b') };
  const files = new Map(
    renderAnalysis(buildAnalysis(named, corpus, [measured(hostile)], run)).map(({ name, text }) => [name, text]),
  );

  it('are named, and hold both languages', () => {
    expect([...files.keys()].filter((name) => !name.endsWith('.svg'))).toEqual([
      ...['report.json', 'report.csv', 'measures.csv', 'report.md', 'report.zh.md', 'report.html'],
    ]);
    expect([...files.keys()].filter((name) => name.endsWith('.svg'))).toHaveLength(8);
    expect(files.get('report.html')).toContain('B 损失最大的句子');
    expect(files.get('report.zh.md')).toContain('## 结论');
  });

  it('escape what comes from outside in the page', () => {
    const html = files.get('report.html') ?? '';
    expect(html).not.toMatch(/<script|<img/);
    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(html).toContain('<title>demo and &lt;img src=x onerror=alert(1)&gt; · semdistill</title>');
    // A wrong word is marked, and said to be wrong to those who do not see the mark.
    expect(html).toMatch(/<mark>&lt;script&gt;alert\(1\)&lt;\/script&gt;<span class="said"> \(wrong\)<\/span><\/mark>/);
    for (const name of ['report.md', 'report.zh.md']) expect(files.get(name)).not.toMatch(/(?<!\\)<(script|img)/);
  });

  it('give a spreadsheet no formula, and numbers as numbers', () => {
    const rows = (files.get('report.csv') ?? '').split('\n');
    expect(rows[1]).toBe(`awgn,12,0,'=cmd|calc,<script>alert(1)</script> &,"'+1 ""quoted"", and more",1,0,1,0,1,1,0.1`);
    expect(rows[2]).toBe(`awgn,12,1,'@sum,'=1+1,'-2,1,0.5,1,0.5,1,1,0.1`);
    const measures = (files.get('measures.csv') ?? '').split('\n');
    expect(measures[1]).toBe('awgn,bleu1,0,a,1,,,,');
    expect(measures).toContain('awgn,bleu1,12,b-to-a,0.1,,,,');
    expect(measures).toContain('awgn,jsd,0,a-b,0.02,,,,');
    expect(measures).toContain('awgn,jsd,0,a-a,0.01,,,,');
    expect(measures.find((row) => row.startsWith('awgn,bleu1,mean,b-a,-0.75,'))).toBeDefined();
    expect(measures).toContain('awgn,agreementTeacherWrong,0,a-b,,,,,');
  });
});

describe('alignWords', () => {
  const shown = (sent: string, received: string) =>
    alignWords(sent.split(' ').filter(Boolean), received.split(' ').filter(Boolean))
      .map(({ kind, word }) => ({ same: word, other: `*${word}*`, extra: `+${word}`, missing: `-${word}` })[kind])
      .join(' ');

  it.each([
    ['a b c', 'a b c', 'a b c'],
    ['a b c', 'a x c', 'a *x* c'],
    ['a b c', 'a c', 'a -b c'],
    ['a c', 'a b c', 'a +b c'],
    ['a b', '', '-a -b'],
    ['', 'a', '+a'],
    ['the old house', 'the house old', 'the *house* *old*'],
  ])('%j received as %j', (sent, received, wanted) => {
    expect(shown(sent, received)).toBe(wanted);
  });
});

describe('what may be asked', () => {
  it('has defaults, and the SNR of the sentences among the measured', () => {
    expect(parseAnalysisRequest({ reference: 'a', other: 'b' }).conditions).toEqual({
      channels: ['awgn'],
      channelProfile: 'exact',
      snrDb: [0, 3, 6, 9, 12, 15, 18],
      headlineSnrDb: 12,
      sentences: 500,
      seed: 0,
    });
    expect(parseAnalysisRequest({ reference: 'a', other: 'b', snrDb: [-3, 4] }).conditions.headlineSnrDb).toBe(4);
    expect(() => parseAnalysisRequest({ reference: 'a', other: 'b', channels: ['awgn', 'awgn'] })).toThrow(
      InvalidRequest,
    );
    expect(() => parseAnalysisRequest([])).toThrow(/must be an object/);
  });

  it('keeps models of other words apart, and no others', () => {
    const model = (label: string, vocabularySha256: string, vocabularySize = 50) => ({
      label,
      vocabularySha256,
      architecture: { ...architecture, vocabularySize },
    });
    const wide = { ...model('b', 'v'), architecture: { ...architecture, dModel: 64, heads: 8, encoderLayers: 6 } };
    expect(analysisFaults({ reference: model('a', 'v'), other: wide })).toEqual([]);
    const corpusFacts = { name: 'c', vocabularySize: 50, vocabularySha256: 'w' };
    const faults = analysisFaults({ reference: model('a', 'v'), other: model('b', 'v', 51) }, corpusFacts);
    expect(faults.map(({ path }) => path)).toEqual(['other', 'reference', 'other']);
  });

  it('is no more text than a report holds', () => {
    const asked = { ...conditions, channels: ['awgn' as const, 'ideal' as const], sentences: 5000 };
    expect(analysisSizeFaults(asked, { name: 'c', tokens: { test: 300_000 }, sentences: { test: 10_000 } })).toEqual(
      [],
    );
    const long = { name: 'c', tokens: { test: 5_000_000 }, sentences: { test: 10_000 } };
    expect(analysisSizeFaults(asked, long)).toEqual([
      {
        path: 'sentences',
        message: expect.stringMatching(/^at most 600 for 2 channels: sentences of c have 500 tokens/),
      },
    ]);
    // Asked for more than there are.
    expect(analysisSizeFaults(asked, { ...long, tokens: { test: 5000 }, sentences: { test: 10 } })).toEqual([]);
  });
});
