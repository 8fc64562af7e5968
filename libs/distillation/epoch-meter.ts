// Means of an epoch, weighted by real tokens, and its speed. Its state goes into snapshots, so an epoch may be finished by another
// process; seconds add up over both.

type Losses = Record<'total' | 'crossEntropy' | 'distillation', number>;

export interface EpochMeterState {
  /** Sums of loss times tokens, one a student. */
  sums: Losses[];
  tokens: number;
  seconds: number;
}

/** One student's epoch. */
export interface EpochReport {
  epoch: number;
  step: number;
  trainLoss: number;
  trainCrossEntropy: number;
  trainDistillation: number;
  validationLoss: number;
  seconds: number;
  tokensPerSecond: number;
}

export class EpochMeter {
  private readonly started = performance.now();
  private readonly sums: Losses[];
  private tokens: number;
  private readonly secondsBefore: number;

  /** Starts an epoch, or goes on with one. */
  constructor(
    private readonly students: number,
    from?: EpochMeterState,
  ) {
    this.sums = Array.from({ length: students }, (_, k) => ({
      ...(from?.sums[k] ?? { total: 0, crossEntropy: 0, distillation: 0 }),
    }));
    this.tokens = from?.tokens ?? 0;
    this.secondsBefore = from?.seconds ?? 0;
  }

  add(values: Record<keyof Losses, number[]>, tokens: number): void {
    this.sums.forEach((sum, k) => {
      for (const part of ['total', 'crossEntropy', 'distillation'] as const)
        sum[part] += (values[part][k] as number) * tokens;
    });
    this.tokens += tokens;
  }

  tokensPerSecond(): number {
    return (this.students * this.tokens) / this.seconds();
  }

  report(student: number, rest: Pick<EpochReport, 'epoch' | 'step' | 'validationLoss'>): EpochReport {
    const sum = this.sums[student] as Losses;
    return {
      ...rest,
      trainLoss: sum.total / this.tokens,
      trainCrossEntropy: sum.crossEntropy / this.tokens,
      trainDistillation: sum.distillation / this.tokens,
      seconds: this.seconds(),
      tokensPerSecond: this.tokensPerSecond(),
    };
  }

  state(): EpochMeterState {
    return { sums: this.sums.map((sum) => ({ ...sum })), tokens: this.tokens, seconds: this.seconds() };
  }

  seconds(): number {
    return this.secondsBefore + (performance.now() - this.started) / 1000;
  }
}
