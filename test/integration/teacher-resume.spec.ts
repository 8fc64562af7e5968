// A teacher in training loses its trainer and its workers in all ways: it goes on from its checkpoint, to the same bytes.
import { expect, test } from 'vitest';
import { keys } from '#storage';
import { RealFleet } from '../support/real-fleet.js';

/** Long enough to be interrupted three times on the way. */
const EPOCHS = 60;

const real = RealFleet.forTests();

test.skipIf(process.platform !== 'linux')(
  'trainer killed, worker stopped, worker killed: each time it goes on from its checkpoint, to the same bytes',
  async () => {
    const before = await real.enqueueTeacher(EPOCHS);
    const calm = real.startWorker();
    const undisturbed = await real.preparedTeacher(before);
    await real.nothingLeft();
    await real.end(calm, 'SIGTERM');
    await real.forget();

    const preparationId = await real.enqueueTeacher(EPOCHS);
    const bundleId = keys.teacherBundleId(preparationId);
    const first = real.startWorker();
    const one = await real.storedStep(bundleId, 10);
    process.kill(await real.trainerOf(first), 'SIGKILL');
    const two = await real.storedStep(bundleId, one + 10);
    expect(await real.end(first, 'SIGTERM')).toBe(0);
    const left = await real.storedStep(bundleId, two);
    const second = real.startWorker();
    await real.storedStep(bundleId, left + 10);
    await real.end(second, 'SIGKILL');
    real.startWorker();
    const teacher = await real.preparedTeacher(preparationId);

    expect(undisturbed.resumes).toBeUndefined();
    expect(teacher.teacherId).toBe(undisturbed.teacherId);
    expect(teacher.files[0]?.sha256).toBe(undisturbed.files[0]?.sha256);
    expect(teacher.scores).toEqual(undisturbed.scores);
    const steps = teacher.resumes?.map(({ step }) => step) ?? [];
    expect(steps).toHaveLength(3);
    expect(steps[0]).toBeGreaterThanOrEqual(one);
    expect(steps[1]).toBe(left);
    expect(steps[2]).toBeGreaterThanOrEqual(left + 10);
    await real.nothingLeft();
  },
);

test.skipIf(process.platform !== 'linux')(
  'one that dies three times at one step is failed with the reason',
  async () => {
    const preparationId = await real.enqueueTeacher(400);
    // No room for TensorFlow: each trainer is killed for its memory before its first step.
    real.startWorker({ memoryBytes: 20e6, times: { memoryMs: 100 } });
    const { status, failure } = await real.prepared(preparationId);
    expect(status).toBe('failed');
    expect(failure?.reason).toMatch(/3 attempts in a row ended at step 0 without getting further; the last: .*memory/);
    await real.nothingLeft();
  },
);
