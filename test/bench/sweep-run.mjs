// One measured training: K students of one teacher of random weights, with the product's own training loop, for some steps. Starts
// in the trainer's environment (by hand it sees to that itself) and ends with one JSON line with the keys of the peers' torch_sweep.py.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { isTrained, plainLossKernel, REFERENCE_ADAM, startArrays, trainStudents } from '#distillation';
import { startEngine } from '#engine';
import { initialArrays, parameterShapes, planEpoch, RandomStream, weightsFromArrays } from '#semcom';
import { lossKernelOf, optimizerOf } from '../../dist/apps/worker/trainer/engine-parts.js';
import { megaflopsPerStudentToken, megaflopsPerToken, shareOfPeak } from './flops.mjs';
import { generatedSentences } from './generated-tokens.mjs';
import { ensureTrainerEnvironment } from './our-commands.mjs';
import { profileLines, startProfile } from './profile.mjs';
import { median } from './summary.mjs';
import { readTokenFolder } from './token-files.mjs';
import * as workload from './workload.mjs';

const HELP = `node test/bench/sweep-run.mjs (--data FOLDER | --generated V) [options]
  --data FOLDER     token files of prepare.py
  --generated V     generated ids of a vocabulary of V
  --students K      students side by side (1)
  --batch N         sentences a batch (128)
  --steps N         measured steps, over all lengths of the split (10)
  --seed N          (42)
  --threads N       CPU threads (all cores)
  --backend NAME    tensorflow, wasm or auto (auto)
  --textbook        the loss as textbooks have it: whole logits, one-hot, softmaxes apart
  --peak GFLOPS     GEMM peak of the machine, for the share of it that was reached
  --profile         time by operation on stderr`;

const { values: options } = parseArgs({
  options: {
    data: { type: 'string' },
    generated: { type: 'string' },
    students: { type: 'string', default: '1' },
    batch: { type: 'string', default: '128' },
    steps: { type: 'string', default: '10' },
    seed: { type: 'string', default: '42' },
    threads: { type: 'string' },
    backend: { type: 'string', default: 'auto' },
    textbook: { type: 'boolean', default: false },
    peak: { type: 'string' },
    profile: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (options.help || (options.data === undefined) === (options.generated === undefined)) {
  console.log(HELP);
  process.exit(options.help ? 0 : 2);
}
const [students, batchSize, steps, seed] = ['students', 'batch', 'steps', 'seed'].map((name) => Number(options[name]));

const threads = options.threads === undefined ? undefined : Number(options.threads);
ensureTrainerEnvironment(threads);

// TensorFlow makes the code of a product when it first meets its shape, and V8 that of a function after some calls. A training meets
// each length of sentences hundreds of times, so the batches are gone through once before the steps that are measured.
const PASSES = 2;

const began = performance.now();
const engine = await startEngine({
  backend: options.backend,
  ...(threads ? { threads } : {}),
});
if (engine.notice) console.error(engine.notice);
const { sentences, vocabularySize } = options.data
  ? readTokenFolder(options.data)
  : { sentences: generatedSentences(Number(options.generated)), vocabularySize: Number(options.generated) };
const lengths = sentences.map((row) => row.length);

const kind = { part: 'full', freezeKeptSide: false };
const teacher = workload.shapeOf(vocabularySize, workload.TEACHER_LAYERS);
const student = workload.shapeOf(vocabularySize, workload.STUDENT_LAYERS);
const teacherArrays = initialArrays(teacher, (name) => new RandomStream(1, `init-${name}`));
const start = startArrays({
  teacher: { shape: teacher, arrays: teacherArrays },
  student,
  kind,
  init: 'random',
  streamFor: (name) => new RandomStream(seed, `init-${name}`),
});
const temperature = workload.temperaturesOf(students);
const settings = {
  batchSize,
  epochs: PASSES,
  dropout: workload.DROPOUT,
  channel: 'awgn',
  channelProfile: 'exact',
  trainSnrDb: workload.TRAIN_SNR_DB,
  seed,
};

// The trainer sorts its sentences by length again, so that it meets these batches, in an order of its own.
const picked = pickTraining();
const profile = options.profile ? startProfile(tf) : undefined;
const measured = await measure(picked);
if (profile) {
  const wallMs = measured.seconds.reduce((sum, s) => sum + s, 0) * 1000;
  for (const line of profileLines(profile.take(), { wallMs, steps: measured.seconds.length })) console.error(line);
}
console.log(JSON.stringify(describe(measured)));

function pickTraining() {
  const batches = workload.pickBatches(lengths, { batchSize, steps });
  return { sentences: batches.flat().map((index) => sentences[index]), steps: batches.length };
}

/** Trains on the picked sentences; seconds, target tokens and losses of the steps of the last pass. */
async function measure({ sentences: train, steps: one }) {
  const weights = weightsFromArrays(student, start, { groups: students, select: (name) => isTrained(kind, name) });
  const out = { seconds: [], tokens: [], losses: [], warmupSeconds: 0 };
  const [skipped, all] = [(PASSES - 1) * one, PASSES * one];
  const started = performance.now();
  let last = started;
  let done = 0;
  const setup = {
    model: {
      kind,
      student,
      teacher: { shape: teacher, weights: weightsFromArrays(teacher, teacherArrays) },
      temperature,
      distillWeight: temperature.map(() => workload.DISTILL_WEIGHT),
      lossKernel: options.textbook ? plainLossKernel : lossKernelOf(engine),
      ...(options.textbook ? { chunkRows: Number.MAX_SAFE_INTEGER } : {}),
    },
    start: weights,
    adam: { ...REFERENCE_ADAM, learningRate: workload.LEARNING_RATE, weightDecay: 0 },
    optimizer: optimizerOf(engine),
    data: { train, validation: [] },
    settings,
    ...(engine.uniform ? { uniform: engine.uniform } : {}),
  };
  await trainStudents(setup, {
    onStep({ trainLoss, targetTokens }) {
      const now = performance.now();
      done += 1;
      out.losses.push(trainLoss);
      if (done > skipped) {
        out.seconds.push((now - last) / 1000);
        out.tokens.push(targetTokens);
      } else {
        out.warmupSeconds = (now - started) / 1000;
        if (done === skipped) profile?.take();
      }
      last = now;
    },
    shouldStop: () => done >= all,
  });
  if (done < all) throw new Error(`the training ended at step ${done} of ${all}: every student has diverged`);
  return { ...out, wallSeconds: (performance.now() - started) / 1000 };
}

function describe({ seconds, tokens, losses, warmupSeconds, wallSeconds }) {
  const sum = (numbers) => numbers.reduce((total, x) => total + x, 0);
  const span = sum(seconds);
  const tokensPerSecond = (students * sum(tokens)) / span;
  const rates = {
    steps: losses.length,
    wall_s: round(wallSeconds, 3),
    warmup_s: round(warmupSeconds, 3),
    steps_per_s: round(seconds.length / span, 4),
    target_tokens_per_s: round(tokensPerSecond, 1),
    target_tokens_per_s_median_step: round(students * median(tokens.map((n, i) => n / seconds[i])), 1),
    tokens_per_step: round(sum(tokens) / tokens.length, 1),
  };
  const flops = megaflopsPerStudentToken(megaflopsPerToken(lengths, vocabularySize), students);
  const share = options.peak
    ? { share_of_peak: round(shareOfPeak(tokensPerSecond, flops, Number(options.peak)), 4) }
    : {};
  const parameters = parameterShapes(student).reduce((all, { shape }) => all + shape.reduce((n, m) => n * m, 1), 0);
  return {
    tool: 'semdistill',
    ...engine.numerics,
    impl: options.textbook ? 'textbook' : 'ours',
    part: kind.part,
    layers: workload.STUDENT_LAYERS,
    teacher_layers: workload.TEACHER_LAYERS,
    K: students,
    V: vocabularySize,
    batch: batchSize,
    channel: settings.channel,
    alpha: workload.DISTILL_WEIGHT,
    dropout: workload.DROPOUT,
    student_params: parameters,
    target_tokens_per_s: rates.target_tokens_per_s,
    steps_per_s: rates.steps_per_s,
    wall_s: round((performance.now() - began) / 1000, 2),
    peak_rss_mb: round(peakMemoryMb(), 1),
    epoch_pad_share: round(epochPadShare(), 4),
    ...share,
    runs: temperature.map((T, k) => ({
      temperature: T,
      ...rates,
      loss_first: round(losses[0][k], 5),
      loss_last5: round(sum(losses.slice(-5).map((loss) => loss[k])) / Math.min(5, losses.length), 5),
    })),
  };
}

/** Share of pads among the target positions of a whole epoch, as the product orders it: what these few steps have less of. */
function epochPadShare() {
  const plan = planEpoch({ lengths, batchSize, stream: new RandomStream(seed, 'order', 1), buckets: true });
  let [real, all] = [0, 0];
  for (const batch of plan) {
    let longest = 0;
    for (const index of batch) {
      longest = Math.max(longest, lengths[index] - 1);
      real += lengths[index] - 1;
    }
    all += longest * batch.length;
  }
  return 1 - real / all;
}

function peakMemoryMb() {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
  } catch {
    return process.resourceUsage().maxRSS / 1024;
  }
}

function round(x, digits) {
  return Number(x.toFixed(digits));
}
