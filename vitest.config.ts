import { defineConfig } from 'vitest/config';

// Three projects: fast spec files beside their sources, test/ with real servers and processes, one file at a time
// (two cores: heavy files never share the machine), and last a few minutes of chaos.
const resolve = { conditions: ['source'] };
const ssr = { resolve: { conditions: ['source', 'node'] } };

export default defineConfig({
  test: {
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: 'unit',
          include: ['apps/**/*.spec.ts', 'libs/**/*.spec.ts'],
          testTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'whole',
          include: ['test/**/*.spec.ts'],
          exclude: ['test/chaos/**', 'test/bench/**'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
          // As the worker starts its trainer (apps/worker/fork-environment.ts).
          env: { OMP_WAIT_POLICY: 'passive' },
          sequence: { groupOrder: 1 },
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'chaos',
          include: ['test/chaos/**/*.spec.ts'],
          fileParallelism: false,
          env: { OMP_WAIT_POLICY: 'passive' },
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
