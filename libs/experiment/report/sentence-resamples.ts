// The bootstrap over sentences of a report's trials, made where it is asked for and only where every trial has values per sentence.
import type { SentenceValues } from '../records.js';
import { crossedInterval, type Interval, REPLICATES, resampleSentences } from '../statistics/index.js';

/** Draws in all; a report of thousands of trials does without. */
const MOST_DRAWS = 6e8;

export type ResampledMeasure = 'jsd' | 'bleu1';

export class SentenceResamples {
  private readonly made = new Map<string, Float64Array>();
  private readonly isPossible: boolean;

  /** In the order of the report's trials. */
  constructor(private readonly trials: readonly (SentenceValues | undefined)[]) {
    const sizes = new Set(trials.map((values) => values?.tokens.length ?? 0));
    const [size = 0] = sizes;
    this.isPossible = sizes.size === 1 && size > 1 && trials.length * size * REPLICATES * 2 <= MOST_DRAWS;
  }

  /** Of the mean over these trials (a setting's seeds). */
  interval(measure: ResampledMeasure, trials: readonly number[]): Interval | null {
    if (!this.isPossible || trials.length === 0) return null;
    return crossedInterval(trials.map((trial) => this.of(measure, trial)));
  }

  /** Of the mean difference a - b over pairs of trials (common seeds). */
  ofDifference(measure: ResampledMeasure, pairs: readonly (readonly [number, number])[]): Interval | null {
    if (!this.isPossible || pairs.length === 0) return null;
    return crossedInterval(
      pairs.map(([a, b]) => {
        const [left, right] = [this.of(measure, a), this.of(measure, b)];
        return left.map((value, r) => value - (right[r] as number));
      }),
    );
  }

  private of(measure: ResampledMeasure, trial: number): Float64Array {
    const name = `${measure} ${trial}`;
    let means = this.made.get(name);
    if (!means) {
      const values = this.trials[trial] as SentenceValues;
      const weights = measure === 'jsd' ? values.tokens : values.tokens.map(() => 1);
      means = resampleSentences({ weights, values: values[measure] });
      this.made.set(name, means);
    }
    return means;
  }
}
