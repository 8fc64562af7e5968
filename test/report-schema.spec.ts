// report.json is what its published schema says: of whole sweeps, of records of earlier versions, and of sweeps where nothing worked.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildReport, REPORT_SCHEMA } from '#experiment';
import {
  type SyntheticOptions,
  syntheticCorpus,
  syntheticCrossDecoding,
  syntheticSweep,
  syntheticTeacher,
} from '../libs/experiment/synthetic-sweep.js';
import { findMismatch, type Schema } from './integration/api-conformance.js';

const published = readFileSync(new URL('../docs/report.schema.json', import.meta.url), 'utf8');

function mismatch(
  body: object,
  options: SyntheticOptions = {},
  change: (report: Record<string, unknown>) => void = () => {},
) {
  const { sweep, results } = syntheticSweep({ teacher: 'demo', ...body }, options);
  const joined = syntheticCrossDecoding(sweep, results);
  const report = JSON.parse(JSON.stringify(buildReport(sweep, syntheticTeacher, syntheticCorpus, results, joined)));
  change(report);
  return findMismatch(report, JSON.parse(published) as Schema, {});
}

const grid = { vary: { temperature: [1, 4], studentLayers: [1, 2] }, seeds: 3 };

describe('docs/report.schema.json', () => {
  it('is the schema of the code (else: npm run openapi)', () => {
    expect(published).toBe(`${JSON.stringify(REPORT_SCHEMA, null, 2)}\n`);
  });

  it.each([
    ['a temperature sweep', { vary: { temperature: [1, 2, 4] }, seeds: 3 }, {}],
    ['a grid', grid, {}],
    ['one seed', { vary: { temperature: [1, 2, 4] }, seeds: 1 }, {}],
    ['records of an earlier version', grid, { isEarlier: true }],
    [
      'failed and missing trials',
      grid,
      {
        failing: ({ hyperparameters }) => (hyperparameters.seed === 1 ? 'NaN' : undefined),
        withoutResult: ({ spec }) => spec.hyperparameters.seed === 2,
      },
    ],
    ['nothing that worked', grid, { failing: () => 'out of memory' }],
  ] as [string, object, SyntheticOptions][])('holds for %s', (_, body, options) => {
    expect(mismatch(body, options)).toBeUndefined();
  });

  it('holds for no report with something more, less or else', () => {
    expect(mismatch(grid, {}, (report) => Object.assign(report, { more: 1 }))).toMatch(/more/);
    expect(mismatch(grid, {}, (report) => delete report.trends)).toMatch(/lacks trends/);
    expect(mismatch(grid, {}, (report) => Object.assign(report, { headlineSnrDb: '12' }))).toMatch(/not a number/);
    expect(mismatch(grid, {}, (report) => Object.assign(report, { axis: 'colour' }))).toMatch(/enum/);
  });
});
