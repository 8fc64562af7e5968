// How the teacher's weight goes over a training: a pure function of the step, so that a training taken up anywhere goes on as it was.

/** From `start` at the first step to `end` at the last. */
export interface WeightSchedule {
  shape: 'linear' | 'cosine';
  end: number;
}

/**
 * The weight of step s of S, both from 1, with r = (s - 1) / (S - 1): linear start + r (end - start); cosine end + (start - end)
 * (1 + cos(pi r)) / 2 (the half wave of Loshchilov & Hutter 2017, eq. 5). Without a schedule it is `start`.
 */
export function weightAt(start: number, schedule: WeightSchedule | undefined, step: number, steps: number): number {
  if (!schedule || steps < 2) return start;
  const done = (step - 1) / (steps - 1);
  const { shape, end } = schedule;
  if (shape === 'linear') return start + done * (end - start);
  return end + ((start - end) * (1 + Math.cos(Math.PI * done))) / 2;
}
