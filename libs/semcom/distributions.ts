// How far apart two models' output distributions are, row by row in double precision. A row is one token position, its
// columns are the words of the vocabulary. Knows nothing of models.

export type Numbers = ArrayLike<number>;

export interface Rows {
  /** [rows * classes], row-major */
  teacher: Numbers;
  student: Numbers;
  classes: number;
  /** Logits are normalised by log-sum-exp; probabilities are taken as they are, with 0 ln 0 = 0. */
  kind: 'logits' | 'probabilities';
}

/** One number for each row. */
export interface Divergences {
  /** KL(teacher || student) = sum p ln(p / q), nats; Infinity where the student excludes what the teacher allows */
  kl: Float64Array;
  /** KL(student || teacher), nats */
  reverseKl: Float64Array;
  /** Jensen-Shannon: KL(p || m) / 2 + KL(q || m) / 2, m = (p + q) / 2; nats, at most ln 2 (Lin, IEEE Trans. IT 37, 1991) */
  jsd: Float64Array;
  /** entropies, nats */
  teacherEntropy: Float64Array;
  studentEntropy: Float64Array;
  /** 1 where both find the same class likeliest (the lower index on ties) */
  top1Agreement: Float64Array;
  /** common members of both five likeliest, over 5 (over the number of classes when fewer) */
  top5Overlap: Float64Array;
  /** 1 where the teacher's likeliest class is among the student's five */
  teacherTop1InStudentTop5: Float64Array;
}

const TOP = 5;

/** All divergences of every row. Throws RangeError when the two differ in size or the size is no multiple of `classes`. */
export function divergences({ teacher, student, classes, kind }: Rows): Divergences {
  const rows = rowCount(teacher, student, classes);
  const of = () => new Float64Array(rows);
  const result: Divergences = {
    kl: of(),
    reverseKl: of(),
    jsd: of(),
    teacherEntropy: of(),
    studentEntropy: of(),
    top1Agreement: of(),
    top5Overlap: of(),
    teacherTop1InStudentTop5: of(),
  };
  const p = new LogProbabilities(classes);
  const q = new LogProbabilities(classes);
  for (let row = 0; row < rows; row++) {
    p.read(teacher, row * classes, kind);
    q.read(student, row * classes, kind);
    divergeRow(p, q, result, row);
    const teacherTop = topClasses(teacher, row * classes, classes);
    const studentTop = topClasses(student, row * classes, classes);
    result.top1Agreement[row] = teacherTop[0] === studentTop[0] ? 1 : 0;
    result.top5Overlap[row] = teacherTop.filter((index) => studentTop.includes(index)).length / teacherTop.length;
    result.teacherTop1InStudentTop5[row] = studentTop.includes(teacherTop[0] as number) ? 1 : 0;
  }
  return result;
}

export type MeanDivergences = { [measure in keyof Divergences]: number };

/** Mean of each measure over the rows where `keep` is not 0 (all rows without it); NaN when no row is kept. */
export function meanDivergences(measured: Divergences, keep?: Numbers): MeanDivergences {
  const mean = (values: Float64Array) => {
    let [sum, count] = [0, 0];
    for (let row = 0; row < values.length; row++) {
      if (keep !== undefined && !keep[row]) continue;
      sum += values[row] as number;
      count++;
    }
    return sum / count;
  };
  return {
    kl: mean(measured.kl),
    reverseKl: mean(measured.reverseKl),
    jsd: mean(measured.jsd),
    teacherEntropy: mean(measured.teacherEntropy),
    studentEntropy: mean(measured.studentEntropy),
    top1Agreement: mean(measured.top1Agreement),
    top5Overlap: mean(measured.top5Overlap),
    teacherTop1InStudentTop5: mean(measured.teacherTop1InStudentTop5),
  };
}

/** The `TOP` classes of the greatest values, greatest first, the lower index on ties; all classes when there are fewer. */
export function topClasses(values: Numbers, start: number, classes: number, size = TOP): number[] {
  const top: number[] = [];
  const limit = Math.min(size, classes);
  for (let index = 0; index < classes; index++) {
    const value = values[start + index] as number;
    if (top.length === limit && !(value > (values[start + (top[limit - 1] as number)] as number))) continue;
    let at = Math.min(top.length, limit - 1);
    while (at > 0 && value > (values[start + (top[at - 1] as number)] as number)) {
      top[at] = top[at - 1] as number;
      at--;
    }
    top[at] = index;
  }
  return top;
}

export interface DifferenceScoreInput {
  /** [sentences * positions * classes], pads included */
  teacherLogits: Numbers;
  studentLogits: Numbers;
  /** decoder outputs of both, of one size */
  teacherDecoded: Numbers;
  studentDecoded: Numbers;
  sentences: number;
  classes: number;
}

/**
 * The difference score of the original distillation code, pads and all: KL summed over positions and divided by the number
 * of sentences, mean squared distance of the decoder outputs, agreement over all positions, score = KL (1 - agreement).
 */
export function originalDifferenceScore(input: DifferenceScoreInput): {
  klDivergence: number;
  representationDistance: number;
  agreementRate: number;
  semanticDifferenceScore: number;
} {
  const { teacherLogits, studentLogits, teacherDecoded, studentDecoded, sentences, classes } = input;
  const measured = divergences({ teacher: teacherLogits, student: studentLogits, classes, kind: 'logits' });
  if (teacherDecoded.length !== studentDecoded.length)
    throw new RangeError(
      `Decoder outputs of ${teacherDecoded.length} and ${studentDecoded.length} numbers differ in size.`,
    );
  let squares = 0;
  for (let i = 0; i < teacherDecoded.length; i++)
    squares += ((teacherDecoded[i] as number) - (studentDecoded[i] as number)) ** 2;
  const klDivergence = measured.kl.reduce((sum, value) => sum + value, 0) / sentences;
  const agreementRate = meanDivergences(measured).top1Agreement;
  return {
    klDivergence,
    representationDistance: squares / teacherDecoded.length,
    agreementRate,
    semanticDifferenceScore: klDivergence * (1 - agreementRate),
  };
}

/** One row's probabilities and their logarithms. */
class LogProbabilities {
  readonly probability: Float64Array;
  readonly logarithm: Float64Array;

  constructor(classes: number) {
    this.probability = new Float64Array(classes);
    this.logarithm = new Float64Array(classes);
  }

  read(values: Numbers, start: number, kind: Rows['kind']): void {
    const { probability, logarithm } = this;
    const shift = kind === 'logits' ? logSumExp(values, start, probability.length) : 0;
    for (let i = 0; i < probability.length; i++) {
      const value = values[start + i] as number;
      logarithm[i] = kind === 'logits' ? value - shift : Math.log(value);
      probability[i] = kind === 'logits' ? Math.exp(value - shift) : value;
    }
  }
}

function logSumExp(values: Numbers, start: number, classes: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = start; i < start + classes; i++) max = Math.max(max, values[i] as number);
  let sum = 0;
  for (let i = start; i < start + classes; i++) sum += Math.exp((values[i] as number) - max);
  return max + Math.log(sum);
}

function divergeRow(teacher: LogProbabilities, student: LogProbabilities, result: Divergences, row: number): void {
  let [kl, reverseKl, jsd, teacherEntropy, studentEntropy] = [0, 0, 0, 0, 0];
  for (let i = 0; i < teacher.probability.length; i++) {
    const p = teacher.probability[i] as number;
    const q = student.probability[i] as number;
    const lnP = teacher.logarithm[i] as number;
    const lnQ = student.logarithm[i] as number;
    const lnM = Math.log((p + q) / 2);
    // 0 ln 0 = 0; Infinity times 0 would be NaN.
    if (p > 0) {
      kl += p * (lnP - lnQ);
      jsd += 0.5 * p * (lnP - lnM);
      teacherEntropy -= p * lnP;
    }
    if (q > 0) {
      reverseKl += q * (lnQ - lnP);
      jsd += 0.5 * q * (lnQ - lnM);
      studentEntropy -= q * lnQ;
    }
    // A row that is not a number must not pass for equal.
    if (Number.isNaN(p + q)) kl = reverseKl = jsd = teacherEntropy = studentEntropy = Number.NaN;
  }
  result.kl[row] = kl;
  result.reverseKl[row] = reverseKl;
  result.jsd[row] = jsd;
  result.teacherEntropy[row] = teacherEntropy;
  result.studentEntropy[row] = studentEntropy;
}

function rowCount(teacher: Numbers, student: Numbers, classes: number): number {
  const rows = teacher.length / classes;
  if (teacher.length !== student.length || !Number.isInteger(rows))
    throw new RangeError(
      `Teacher (${teacher.length} numbers) and student (${student.length}) must both be rows of ${classes} classes.`,
    );
  return rows;
}
