// Whether a model is as often right as it says: expected calibration error over bins of its confidence.

/** Guo et al., "On calibration of modern neural networks", ICML 2017: 15 bins of equal width. */
export const CALIBRATION_BINS = 15;

/** Sums of one model; add each token, then ask for the error. */
export class Calibration {
  private readonly counts = new Float64Array(CALIBRATION_BINS);
  private readonly confidences = new Float64Array(CALIBRATION_BINS);
  private readonly hits = new Float64Array(CALIBRATION_BINS);

  /** `confidence` is the probability of the likeliest word; a bin holds its upper edge, as in the paper. */
  add(confidence: number, isRight: boolean): void {
    const bin = Math.min(CALIBRATION_BINS - 1, Math.max(0, Math.ceil(confidence * CALIBRATION_BINS) - 1));
    this.counts[bin] = (this.counts[bin] as number) + 1;
    this.confidences[bin] = (this.confidences[bin] as number) + confidence;
    this.hits[bin] = (this.hits[bin] as number) + (isRight ? 1 : 0);
  }

  /** ECE = sum over bins of |B| / n |accuracy(B) - confidence(B)|; NaN without tokens. */
  error(): number {
    let [total, gaps] = [0, 0];
    for (let bin = 0; bin < CALIBRATION_BINS; bin++) {
      total += this.counts[bin] as number;
      gaps += Math.abs((this.hits[bin] as number) - (this.confidences[bin] as number));
    }
    return gaps / total;
  }
}
