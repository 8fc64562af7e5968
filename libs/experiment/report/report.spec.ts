// Reports of made-up sweeps: statistics, verdicts, findings, and every file format.
import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import { type SyntheticOptions, syntheticCorpus, syntheticSweep, syntheticTeacher } from '../synthetic-sweep.js';
import { buildReport } from './build-report.js';
import { renderCsv } from './csv.js';
import { renderHtml, renderSvgs } from './html.js';
import { renderMarkdown } from './markdown.js';
import type { Report } from './report.js';

function reportOf(body: object, options: SyntheticOptions = {}, run = 1): Report {
  const { sweep, results } = syntheticSweep({ teacher: 'demo', ...body }, options, run);
  return buildReport(sweep, syntheticTeacher, syntheticCorpus, results);
}

const temperatures = { vary: { temperature: [1, 2, 4, 8] }, base: { distillPart: 'decoder' }, seeds: 5 };
const strong = { effect: 0.5, noise: 0.02 };
const none = { effect: 0, noise: 0.05 };
const english = (report: Report) => report.verdicts.flatMap(({ text }) => text.map(({ en }) => en));

describe('buildReport', () => {
  it('groups trials by setting in the order of the axis, the baseline last', () => {
    const report = reportOf({ ...temperatures, vary: { temperature: [8, 2, 4] } });
    expect(report.settings.map(({ label }) => label)).toEqual(['T=1', 'T=2', 'T=4', 'T=8', 'no teacher']);
    expect(report.settings[0]).toMatchObject({ role: 'reference', seeds: [1, 2, 3, 4, 5], values: { temperature: 1 } });
    expect(report).toMatchObject({ axis: 'temperature', varied: ['temperature'], headlineSnrDb: 12 });
    expect(report.fixed).toMatchObject({ distillPart: 'decoder', distillWeight: 0.7 });
    expect(report.counts).toEqual({ trials: 25, completed: 25, failed: 0, pruned: 0, missing: 0 });
  });

  it('takes mean and interval over seeds at every SNR', () => {
    const { sweep, results } = syntheticSweep({ teacher: 'demo', ...temperatures });
    const report = buildReport(sweep, syntheticTeacher, syntheticCorpus, results);
    const values = results
      .filter(({ spec }) => spec.hyperparameters.temperature === 4)
      .map(({ result }) => result.summary?.evaluation.student.bleu1[4] ?? Number.NaN);
    const mean = values.reduce((sum, value) => sum + value, 0) / 5;
    const setting = report.settings.find(({ label }) => label === 'T=4');
    expect(setting?.curves.bleu1?.mean[4]).toBeCloseTo(mean, 12);
    expect(setting?.atHeadline.bleu1?.mean).toBeCloseTo(mean, 12);
    expect(setting?.curves.bleu1?.low?.[4]).toBeLessThan(Math.max(...values));
    const teacher = report.anchors?.teacher.bleu1?.[4] ?? Number.NaN;
    expect(setting?.curves.gapBleu1?.mean[4]).toBeCloseTo(teacher - mean, 12);
    expect(setting?.curves.hybridBleu1?.mean).toHaveLength(7);
  });

  it('gives equal reports for two runs, but for the run section', () => {
    const { run: first, ...one } = reportOf(temperatures, {}, 1);
    const { run: second, ...two } = reportOf(temperatures, {}, 2);
    expect(JSON.stringify(one)).toBe(JSON.stringify(two));
    expect(first.sweepId).not.toBe(second.sweepId);
    expect(first.trials[0]?.worker).not.toBe(second.trials[0]?.worker);
  });

  it('holds only what JSON can hold', () => {
    const report = reportOf(temperatures);
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  it('does not depend on the order results come in', () => {
    const { sweep, results } = syntheticSweep({ teacher: 'demo', ...temperatures });
    const forward = buildReport(sweep, syntheticTeacher, syntheticCorpus, results);
    expect(buildReport(sweep, syntheticTeacher, syntheticCorpus, [...results].reverse())).toEqual(forward);
  });

  it('lists failed trials with their reasons and trials without a result', () => {
    const report = reportOf(temperatures, {
      failing: ({ hyperparameters: h }) => (h.temperature === 4 && h.seed === 2 ? 'the loss became NaN' : undefined),
      withoutResult: ({ spec: { hyperparameters: h } }) => h.temperature === 8 && h.seed > 3,
    });
    expect(report.counts).toEqual({ trials: 25, completed: 22, failed: 1, pruned: 0, missing: 2 });
    expect(report.failures).toEqual([
      { trialId: expect.any(String), label: 'T=4', seed: 2, reason: 'the loss became NaN', step: 17 },
    ]);
    expect(report.missing).toHaveLength(2);
    const test = report.comparisons.find(({ a, b, measure }) => measure === 'jsd' && a === 2 && b === 3);
    expect(test?.n).toBe(2);
  });

  it('lists pruned trials with what they had, compares without them, and warns where a setting has lost seeds', () => {
    const { sweep, results } = syntheticSweep({ teacher: 'demo', ...temperatures });
    const pruned = results.map(({ spec, result }) => {
      const { temperature, seed, distillWeight } = spec.hyperparameters;
      if (temperature !== 4 || seed > 2 || distillWeight === 0) return { spec, result };
      const { summary, ...rest } = result;
      const facts = { sweepId: sweep.sweepId, cause: 'early-stopping', reason: 'behind', bestLoss: 2.5 } as const;
      const had = { ...facts, epochs: summary?.epochs.slice(0, 3) ?? [], trainingSeconds: 7 };
      return { spec, result: { ...rest, status: 'pruned' as const, pruned: had } };
    });
    const report = buildReport(sweep, syntheticTeacher, syntheticCorpus, pruned);
    expect(report.counts).toEqual({ trials: 25, completed: 23, failed: 0, pruned: 2, missing: 0 });
    expect(report.pruned[0]).toEqual({
      trialId: expect.any(String),
      label: 'T=4',
      seed: 1,
      reason: 'behind',
      cause: 'early-stopping',
      epochs: 3,
      validationLoss: 2.5,
    });
    const four = report.settings.findIndex(({ label }) => label === 'T=4');
    expect(report.settings[four]?.seeds).toEqual([3, 4, 5]);
    expect(report.findings.find(({ code }) => code === 'partly-pruned')?.settings).toEqual([four]);
    expect(renderMarkdown(report)).toContain('## Pruned trials');
    expect(renderHtml(report)).toContain('behind');
    const others = report.run.trials.reduce((sum, one) => sum + one.trainingSeconds + one.evaluationSeconds, 0);
    expect(report.run.cost).toEqual({ expected: null, deviceSeconds: expect.closeTo(others + 14, 6) });
  });

  it('reports a sweep in which nothing completed', () => {
    const report = reportOf(temperatures, { failing: () => 'out of memory' });
    expect(report.verdicts[0]?.conclusion).toBe('nothing-completed');
    expect(renderHtml(report)).toContain('out of memory');
    expect(renderMarkdown(report)).toContain('No trial completed');
    expect(renderSvgs(report)).toEqual([]);
  });

  it('tests settings of one series only, and each against the baseline of its own budget', () => {
    const report = reportOf({ vary: { temperature: [1, 4], studentLayers: [1, 2] }, seeds: 4 }, strong);
    const named = report.comparisons
      .filter(({ measure }) => measure === 'jsd')
      .map(({ a, b }) => `${report.settings[a]?.label} - ${report.settings[b]?.label}`);
    expect(named).toEqual([
      'T=1, layers=1 - T=4, layers=1',
      'T=1, layers=2 - T=4, layers=2',
      'T=1, layers=1 - no teacher, layers=1',
      'T=1, layers=2 - no teacher, layers=2',
      'T=4, layers=1 - no teacher, layers=1',
      'T=4, layers=2 - no teacher, layers=2',
    ]);
    expect(report.verdicts.map(({ series }) => series)).toEqual(['layers=1', 'layers=2']);
  });

  it('shows a dial with its usual value where a trial leaves it out, and sorts by it', () => {
    const report = reportOf(
      { base: { temperature: 2 }, vary: { labelSmoothing: [0.2, 0, 0.1] }, seeds: 3, baseline: true },
      strong,
    );
    expect([report.axis, report.fixed.temperature, report.fixed.distillLoss]).toEqual(['labelSmoothing', 2, undefined]);
    expect(report.settings.map(({ label }) => label)).toEqual([
      'smoothing=0',
      'smoothing=0.1',
      'smoothing=0.2',
      'no teacher, smoothing=0',
      'no teacher, smoothing=0.1',
      'no teacher, smoothing=0.2',
    ]);
    expect(report.settings[0]?.values).toEqual({ labelSmoothing: 0 });
    expect(report.trends.map(({ settings }) => settings)[0]).toEqual([0, 1, 2]);
    expect(renderHtml(report)).toContain('smoothing=0.1');
  });

  it('compares every distance and schedule with the one baseline', () => {
    const report = reportOf(
      { vary: { distillLoss: ['kl', 'jsd'], weightSchedule: ['constant', 'linear'] }, seeds: 3 },
      strong,
    );
    expect(report.settings.map(({ label }) => label)).toEqual([
      'kl, constant',
      'kl, linear',
      'jsd, constant',
      'jsd, linear',
      'no teacher',
    ]);
    const against = report.comparisons.filter(({ family, measure }) => family === 'baseline' && measure === 'jsd');
    expect(against.map(({ a, b }) => [a, b])).toEqual([
      [0, 4],
      [1, 4],
      [2, 4],
      [3, 4],
    ]);
  });
});

describe('verdict', () => {
  it('names the settings for a large gap, a balance and a small gap where differences are significant', () => {
    const report = reportOf(temperatures, strong);
    const [verdict] = report.verdicts;
    const label = (aim?: { setting: number }) => report.settings[aim?.setting ?? -1]?.label;
    expect(verdict?.conclusion).toBe('significant-differences');
    expect([label(verdict?.largestGap), label(verdict?.smallestGap)]).toEqual(['T=1', 'T=8']);
    expect(['T=2', 'T=4']).toContain(label(verdict?.balanced));
    expect(verdict?.ruleOfThumb).toBe('supported');
    expect(english(report).join(' ')).toMatch(/Against no teacher .* significantly smaller gap: T=1, T=2, T=4, T=8/);
  });

  it('finds that results contradict the rule of thumb', () => {
    expect(reportOf(temperatures, { effect: -0.5, noise: 0.02 }).verdicts[0]?.ruleOfThumb).toBe('contradicted');
  });

  it('says plainly that there is no significant difference', () => {
    const report = reportOf(temperatures, none);
    expect(report.verdicts[0]).toMatchObject({ conclusion: 'no-significant-difference', ruleOfThumb: 'undecided' });
    expect(report.verdicts[0]?.smallestGap).toBeUndefined();
    expect(english(report)[0]).toMatch(/^No significant difference .* 6 paired tests/);
  });

  it('draws no conclusion from one seed, however large the difference', () => {
    const report = reportOf({ ...temperatures, seeds: 1 }, { effect: 2, noise: 0 });
    expect(report.verdicts[0]?.conclusion).toBe('single-seed');
    expect(report.comparisons).toEqual([]);
    expect(report.findings.map(({ code }) => code)).toContain('one-seed');
    expect(english(report)[0]).toMatch(/One seed only: no conclusion/);
  });

  it('compares any other hyperparameter the same way', () => {
    const report = reportOf({ vary: { distillPart: ['full', 'encoder', 'decoder'] }, seeds: 3 });
    expect(report).toMatchObject({ axis: 'distillPart' });
    expect(report.settings.map(({ label }) => label)).toEqual(['full', 'encoder', 'decoder']);
    expect(report.verdicts[0]?.ruleOfThumb).toBeUndefined();
  });

  it('has nothing to compare in a single setting', () => {
    expect(reportOf({ seeds: 3 }).verdicts[0]?.conclusion).toBe('one-setting');
  });
});

describe('findings', () => {
  const codes = (report: Report) => report.findings.map(({ code }) => code);

  it('names settings no better than training without a teacher', () => {
    const report = reportOf(temperatures, { effect: -0.3, noise: 0.02 });
    const finding = report.findings.find(({ code }) => code === 'not-better-than-no-teacher');
    const labels = finding?.settings.map((index) => report.settings[index]?.label);
    expect(labels).toContain('T=8');
    expect(labels).not.toContain('T=1');
    expect(codes(reportOf(temperatures, strong))).toEqual([]);
  });

  it('names broken hybrids, gaps at the floor and falling BLEU', () => {
    const { sweep, results } = syntheticSweep({ teacher: 'demo', ...temperatures });
    for (const { spec, result } of results) {
      const evaluation = result.summary?.evaluation;
      if (!evaluation?.hybrid) continue;
      if (spec.hyperparameters.temperature === 2) evaluation.hybrid.bleu1 = evaluation.hybrid.bleu1.map(() => 0.05);
      if (spec.hyperparameters.temperature === 4) evaluation.divergence = evaluation.floor;
      if (spec.hyperparameters.temperature === 8) evaluation.student.bleu1[6] = 0.1;
    }
    const { findings } = buildReport(sweep, syntheticTeacher, syntheticCorpus, results);
    expect(findings.map(({ code, settings }) => [code, settings])).toEqual([
      ['gap-at-floor', [2]],
      ['hybrid-broken', [1]],
      ['bleu-falls-with-snr', [3]],
    ]);
  });
});

describe('renderCsv', () => {
  it('has a row for each setting, measure and SNR, and the anchors', () => {
    const report = reportOf(temperatures);
    const rows = renderCsv(report)
      .trimEnd()
      .split('\n')
      .map((line) => line.split(','));
    expect(rows[0]).toEqual(['setting', 'kind', 'temperature', 'measure', 'snr_db', 'n', 'mean', 'sd', 'low', 'high']);
    expect(new Set(rows.map((row) => row.length))).toEqual(new Set([10]));
    const row = rows.find(([setting, , , measure, snr]) => setting === 'T=4' && measure === 'bleu1' && snr === '12');
    expect(Number(row?.[6])).toBe(report.settings[2]?.atHeadline.bleu1?.mean);
    expect(rows.filter(([kind]) => kind === 'floor')).toHaveLength(13 * 7);
    expect(rows.filter(([setting]) => setting === 'no teacher').every(([, , temperature]) => temperature === '')).toBe(
      true,
    );
  });

  it('quotes commas', () => {
    const csv = renderCsv(reportOf({ vary: { temperature: [1, 4], studentLayers: [1, 2] }, seeds: 2 }));
    expect(csv).toContain('\n"T=4, layers=2",distilled,4,2,bleu1,12,');
  });
});

describe('renderMarkdown', () => {
  it('opens with the verdict and stays intact whatever names and reasons hold', () => {
    const report = reportOf(
      { ...temperatures, name: 'a | b <script> `c`' },
      { failing: ({ hyperparameters: h }) => (h.seed === 5 ? 'x | y\nz' : undefined) },
    );
    const markdown = renderMarkdown(report);
    expect(markdown.startsWith('# a \\| b \\<script\\> \\`c\\`\n')).toBe(true);
    expect(markdown).toContain('x \\| y z');
    const verdict = english(report)[0] ?? '';
    expect(markdown.indexOf(verdict.slice(0, 30))).toBeLessThan(markdown.indexOf('| setting |'));
    for (const line of markdown.split('\n').filter((text) => text.startsWith('|')))
      expect(line.endsWith('|')).toBe(true);
  });

  it('is there in Chinese', () => {
    expect(renderMarkdown(reportOf(temperatures), 'zh')).toContain('## 结论');
  });
});

describe('renderHtml', () => {
  const html = renderHtml(reportOf({ ...temperatures, name: '<img src=x onerror=alert(1)>' }));
  const { document } = parseHTML(html);

  it('asks nothing of the network and runs nothing', () => {
    expect(html).toContain("default-src 'none'");
    expect(document.querySelectorAll('script,link,img,iframe,object')).toHaveLength(0);
    const addresses = [...html.matchAll(/https?:\/\/[^"\s<)]*/g)].map(([address]) => address);
    expect(new Set(addresses)).toEqual(new Set(['http://www.w3.org/2000/svg']));
    expect(html).not.toMatch(/url\((?!#)/);
  });

  it('shows English and Chinese, each marked as such', () => {
    expect(document.querySelector('main[lang=en] h2')?.textContent).toBe('Conclusion');
    expect(document.querySelector('main[lang=zh] h2')?.textContent).toBe('结论');
    expect(document.querySelectorAll('input[type=radio][name=language]')).toHaveLength(2);
  });

  it('gives every chart a title, a description and a table', () => {
    const figures = [...document.querySelectorAll('main[lang=en] figure')];
    expect(figures.length).toBe(16);
    for (const figure of figures) {
      expect(figure.querySelector('svg')?.getAttribute('role')).toBe('img');
      expect(figure.querySelector('svg > title')?.textContent).toBeTruthy();
      expect(figure.querySelector('svg > desc')?.textContent).toBeTruthy();
      expect(figure.querySelectorAll('details tbody tr').length).toBeGreaterThanOrEqual(5);
    }
  });

  it('follows the system to dark and never names a colour the style does not define', () => {
    expect(html).toContain('@media (prefers-color-scheme:dark)');
    const used = new Set([...html.matchAll(/var\((--[a-z0-9-]+)/g)].map(([, name]) => name ?? ''));
    used.delete('--plot-background');
    for (const name of used) expect(html.split(`${name}:`).length - 1).toBe(2);
  });
});

describe('renderSvgs', () => {
  it('gives stand-alone files with literal colours', () => {
    const svgs = renderSvgs(reportOf(temperatures));
    expect(svgs.map(({ name }) => name)).toEqual([
      'gap.svg',
      'bleu.svg',
      'hybrid-bleu.svg',
      'agreement.svg',
      'validation-loss.svg',
      'bleu-over-snr.svg',
      'bleu4-over-snr.svg',
      'exact-sentences-over-snr.svg',
      'bleu-gap-over-snr.svg',
      'jsd-over-snr.svg',
      'calibration-over-snr.svg',
      'cka-over-snr.svg',
      'jsd-heat-map.svg',
      'bleu-heat-map.svg',
      'size.svg',
      'learning.svg',
    ]);
    for (const { svg } of svgs) {
      expect(svg).toMatch(/^<svg[^>]* xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
      expect(svg).not.toContain('var(--step');
      expect(svg).toContain('background:#ffffff');
      expect(svg).not.toContain('inherit');
      expect(svg).not.toContain('NaN');
    }
  });

  it('draws a dot for every trial, hollow means for a single seed', () => {
    const circles = (report: Report, name: string) =>
      renderSvgs(report)
        .find((file) => file.name === name)
        ?.svg.match(/<circle/g)?.length;
    // 4 settings x 5 seeds and 4 means; the square of each label is a path.
    expect(circles(reportOf(temperatures), 'gap.svg')).toBe(24);
    const single = renderSvgs(reportOf({ ...temperatures, seeds: 1 })).find(({ name }) => name === 'gap.svg');
    expect(single?.svg).toContain('Hollow dots');
  });
});

describe('curves over SNR', () => {
  it('show both ends and the baseline when there are too many settings, and say so', () => {
    const report = reportOf({ vary: { temperature: [1, 2, 3, 4, 5, 6, 8, 10, 15] }, seeds: 2 });
    const svg = renderSvgs(report).find(({ name }) => name === 'bleu-over-snr.svg')?.svg ?? '';
    for (const label of ['T=1<', 'T=15<', 'no teacher<', 'teacher<']) expect(svg).toContain(`>${label}`);
    expect(svg).toContain('Shown: 8 of 10 settings.');
  });
});

describe('a sweep of thousands of trials', () => {
  it('still gives files one can open', () => {
    const temperature = Array.from({ length: 900 }, (_, index) => 1 + index / 100);
    const report = reportOf({ vary: { temperature }, seeds: 2, baseline: true }, { withSentences: false });
    expect(report.counts.completed).toBe(1802);
    expect(report.isPairTestingOmitted).toBe(true);
    expect(report.verdicts[0]?.conclusion).toBe('significant-trend');
    const html = renderHtml(report);
    expect(html.length).toBeLessThan(8e6);
    expect(html).toContain('Tables show the first 200 rows');
    expect(renderCsv(report).split('\n').length).toBeGreaterThan(900 * 80);
  });
});
