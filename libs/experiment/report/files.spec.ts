// What lies beside the report: LaTeX, trials as a table, the request that makes it again; and the charts of whole sweeps.
import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import { planCrossDecoding } from '../cross-decoding.js';
import { preparationIdOf } from '../identity.js';
import { parseSweepRequest } from '../requests.js';
import {
  type SyntheticOptions,
  syntheticCorpus,
  syntheticCrossDecoding,
  syntheticSweep,
  syntheticTeacher,
} from '../synthetic-sweep.js';
import { buildReport } from './build-report.js';
import { renderTrialsCsv } from './csv.js';
import { renderHtml, renderSvgs } from './html.js';
import { renderLatex } from './latex.js';
import { renderMarkdown } from './markdown.js';
import type { Report } from './report.js';

function reportOf(body: object, options: SyntheticOptions = {}): Report {
  const { sweep, results } = syntheticSweep({ teacher: 'demo', ...body }, options);
  const joined = syntheticCrossDecoding(sweep, results);
  return buildReport(sweep, syntheticTeacher, syntheticCorpus, results, joined);
}

const temperatures = { vary: { temperature: [1, 2, 4, 8] }, seeds: 3 };
const grid = { vary: { temperature: [1, 2, 4, 8], studentLayers: [1, 2, 3] }, seeds: 2 };

describe('a report of 40 trials', () => {
  it('is built and rendered in every form well below 10 s', () => {
    const { sweep, results } = syntheticSweep({
      teacher: 'demo',
      vary: { temperature: [1, 2, 3, 4, 6, 8, 16] },
      seeds: 5,
    });
    expect(results).toHaveLength(40);
    const joined = syntheticCrossDecoding(sweep, results);
    const start = performance.now();
    const report = buildReport(sweep, syntheticTeacher, syntheticCorpus, results, joined);
    renderHtml(report);
    renderSvgs(report);
    renderMarkdown(report);
    renderLatex(report);
    renderTrialsCsv(report);
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(report.settings[0]?.crossed).toBeDefined();
  });
});

describe('charts', () => {
  it('of a grid show pairs, sizes, learning, all settings at once and what accounts for the gap', () => {
    const report = reportOf(grid);
    const names = renderSvgs(report).map(({ name }) => name);
    expect(names.slice(-5)).toEqual([
      'cross-decoding.svg',
      'size.svg',
      'learning.svg',
      'parallel-coordinates.svg',
      'importances.svg',
    ]);
    for (const { name, svg } of renderSvgs(report)) expect(svg, name).not.toMatch(/NaN|undefined|Infinity/);
    const { document } = parseHTML(renderHtml(report));
    for (const figure of document.querySelectorAll('figure')) {
      expect(figure.querySelector('svg > desc')?.textContent).toBeTruthy();
      expect(figure.querySelectorAll('details tbody tr').length).toBeGreaterThan(0);
    }
  });

  it('keep the band of a baseline that lies outside the picture out of it', () => {
    const report = reportOf(temperatures, { effect: 0, noise: 0.02 });
    const gap = renderSvgs(report).find(({ name }) => name === 'gap.svg')?.svg ?? '';
    expect(gap).toContain('Outside the picture: no teacher');
    expect(gap).not.toMatch(/<rect /);
  });

  it('draw nothing of what earlier records lack', () => {
    const { sweep, results } = syntheticSweep({ teacher: 'demo', ...temperatures }, { isEarlier: true });
    const names = renderSvgs(buildReport(sweep, syntheticTeacher, syntheticCorpus, results)).map(({ name }) => name);
    expect(names).toContain('gap.svg');
    for (const name of ['cka-over-snr.svg', 'calibration-over-snr.svg', 'cross-decoding.svg'])
      expect(names).not.toContain(name);
  });
});

describe('importances', () => {
  it('find what the gap was made of, and give nothing to what does nothing', () => {
    const found = reportOf({ ...grid, seeds: 5 }, { effect: 0, noise: 0.02 }).importances;
    const share = (name: string) => found.find((one) => one.name === name)?.share ?? Number.NaN;
    expect(share('studentLayers')).toBeGreaterThan(0.9);
    expect(share('temperature')).toBeLessThan(0.05);
    expect(reportOf(temperatures).importances).toEqual([]);
  });
});

describe('cross-decoding', () => {
  it('joins models of one seed, and says what a receiver loses against its own transmitter', () => {
    const report = reportOf(temperatures);
    const section = report.crossDecoding;
    // The teacher, four temperatures and no teacher; 3 seeds of 5 settings are 15 models and the teacher.
    expect(section?.parties).toEqual([null, 0, 1, 2, 3, 4]);
    expect(section?.models).toHaveLength(16);
    const [t1, t8] = [1, 4];
    expect(section?.bleu1[t1]?.[t8]?.n).toBe(3);
    expect(section?.mismatch[t8]?.[t8]?.mean).toBe(0);
    expect(section?.mismatch[t1]?.[t8]?.mean).toBeGreaterThan(0);
    expect(section?.otherSeeds[t1]?.[t8]).toBeTypeOf('number');
    expect(section?.otherSeeds[0]?.[t8]).toBeNull();
    const own = section?.models.findIndex(({ label }) => label === report.settings[0]?.trialIds[0]) ?? -1;
    expect(section?.pairs[own]?.[own]).toBeGreaterThan(0.8);
  });

  it('takes whole seeds only, and at most 16 models', () => {
    const { sweep, results } = syntheticSweep({
      teacher: 'demo',
      vary: { temperature: [1, 2, 3, 4, 6, 8, 16] },
      seeds: 5,
    });
    expect(syntheticCrossDecoding(sweep, results)?.models).toHaveLength(1 + 8);
    const wide = syntheticSweep({
      teacher: 'demo',
      vary: { temperature: Array.from({ length: 30 }, (_, i) => 1 + i) },
    });
    expect(syntheticCrossDecoding(wide.sweep, wide.results)?.models).toHaveLength(16);
  });

  it('of the same models is one preparation, whatever the sweep is called and wherever the files lie', () => {
    const { sweep, results } = syntheticSweep({ teacher: 'demo', ...temperatures });
    const idOf = (name: string, key: string, content = 'aa') => {
      const file = (of: string) => ({ name: of, key: `${key}/${of}`, size: 1, sha256: content, contentType: '' });
      const stored = results.map(({ spec, result }) => ({
        spec,
        result: { ...result, artifacts: [file('final_student_model.safetensors')] },
      }));
      const teacher = { ...syntheticTeacher, files: [file('model.safetensors')] };
      const request = planCrossDecoding({ ...sweep, name }, teacher, syntheticCorpus, stored);
      return request && preparationIdOf(request);
    };
    expect(idOf('a', 'here')).toBe(idOf('b', 'there'));
    expect(idOf('a', 'here')).not.toBe(idOf('a', 'here', 'bb'));
  });

  it('that failed is said, and the report is there all the same', () => {
    const { sweep, results } = syntheticSweep({ teacher: 'demo', ...temperatures });
    const report = buildReport(sweep, syntheticTeacher, syntheticCorpus, results, { failure: 'The file is gone.' });
    expect(report.crossDecoding).toBeNull();
    expect(report.findings[0]?.text.en).toBe(
      'Transmitters and receivers could not be joined with each other: The file is gone.',
    );
  });
});

describe('renderLatex', () => {
  it('gives tables that LaTeX can set, whatever names hold', () => {
    const latex = renderLatex(reportOf({ ...temperatures, name: '50% of $x_1 & \\input{evil} #2' }));
    expect(latex).toContain('50\\% of \\$x\\_1 \\& \\textbackslash{}input\\{evil\\} \\#2');
    expect(latex).not.toMatch(/\n[^%\n]*\\input\{/);
    for (const environment of ['table', 'tabular'])
      expect(latex.split(`\\begin{${environment}}`)).toHaveLength(latex.split(`\\end{${environment}}`).length);
    const body = latex.split('\n').filter((line) => line.endsWith('\\\\'));
    const columns = (line: string) => line.split(/(?<!\\)&/).length;
    const [first] = body;
    expect(columns(first ?? '')).toBe(9);
    expect(body.filter((line) => columns(line) === 9)).toHaveLength(1 + 5 + 1);
    expect(body.filter((line) => columns(line) === 6)).toHaveLength(1 + 6);
    expect(latex).toMatch(/T=4 & 3 & \$0\.\d+ \\pm 0\.\d+\$/);
    expect(latex).not.toMatch(/±|²/);
  });

  it('is there in Chinese', () => {
    expect(renderLatex(reportOf(temperatures), 'zh')).toContain('设置');
  });
});

describe('renderTrialsCsv', () => {
  it('has every trial’s own numbers', () => {
    const report = reportOf(temperatures);
    const rows = renderTrialsCsv(report)
      .trimEnd()
      .split('\n')
      .map((line) => line.split(','));
    expect(rows[0]).toEqual(['trial_id', 'setting', 'seed', 'measure', 'snr_db', 'value']);
    const [trial] = report.trials;
    const row = rows.find(([id, , , measure, snr]) => id === trial?.trialId && measure === 'jsd' && snr === 'mean');
    expect(Number(row?.[5])).toBe(trial?.meanOverSnr.jsd);
    expect(new Set(rows.slice(1).map(([id]) => id)).size).toBe(15);
  });
});

describe('reproduction', () => {
  it('is a request that asks for the same trials', () => {
    const { sweep, results } = syntheticSweep({ teacher: 'demo', ...grid });
    const { reproduction } = buildReport(sweep, syntheticTeacher, syntheticCorpus, results);
    const request = JSON.parse(JSON.stringify(reproduction.request));
    expect(request.teacher).toBe(syntheticTeacher.teacherId);
    expect(parseSweepRequest(request).vary).toEqual(grid.vary);
    const again = syntheticSweep(request);
    expect(again.sweep.trials).toEqual(sweep.trials);
  });

  it('and all hashes stand in every form for people', () => {
    const { sweep, results } = syntheticSweep({ teacher: 'demo', ...temperatures });
    for (const { result } of results)
      result.artifacts = [
        { name: 'final_student_model.safetensors', key: 'x', size: 1, sha256: `aa${result.trialId}`, contentType: '' },
      ];
    const report = buildReport(sweep, syntheticTeacher, syntheticCorpus, results);
    for (const text of [renderHtml(report), renderMarkdown(report)]) {
      expect(text).toContain('npx semdistill sweep request.json');
      expect(text).toContain(`aa${results[3]?.result.trialId}`);
    }
  });
});
