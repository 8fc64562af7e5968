// The trainer process itself, for real, on the tiny golden teacher and text: files, messages, repeatability to the byte, cancelling.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors, writePyTorch } from '#checkpoint';
import type { CorpusRecord, Hyperparameters, TeacherRecord, TrialSpec } from '#experiment';
import type { TrainerCommand, TrainerJob, TrainerMessage } from '../../apps/worker/trainer-protocol.js';

const ROOT = resolve(import.meta.dirname, '../..');
const TINY = join(ROOT, 'test/golden/tiny');
const CORPUS_OPTIONS = { minWords: 5, maxWords: 29, minCount: 1, trainShare: 0.8 };

let folder: string;
let corpus: CorpusRecord;
let corpusFolder: string;
const running = new Set<ChildProcess>();

const teacher: TeacherRecord = {
  teacherId: 'tiny',
  name: 'tiny',
  architecture: { vocabularySize: 60, dModel: 32, dff: 64, heads: 4, encoderLayers: 4, decoderLayers: 4 },
  corpusId: 'tiny',
  origin: { kind: 'builtin', builtin: 'tiny' },
  parameters: { total: 137_804, core: 131_984 },
  scores: {
    snrDb: [],
    bleu1: [],
    bleu2: [],
    bleu3: [],
    bleu4: [],
    channel: 'awgn',
    channelProfile: 'exact',
    sentences: 0,
  },
  files: [],
  numerics: { backend: '', library: '', threads: 1, device: '' },
  createdAt: '2026-01-01T00:00:00.000Z',
};

const hyperparameters: Hyperparameters = {
  temperature: 4,
  distillWeight: 0.7,
  distillPart: 'decoder',
  studentLayers: 2,
  batchSize: 16,
  epochs: 10,
  sentencesPerEpoch: 48,
  learningRate: 1e-3,
  weightDecay: 0,
  dropout: 0.1,
  channel: 'awgn',
  channelProfile: 'exact',
  trainSnrDb: [2, 12],
  init: 'random',
  freezeKeptSide: true,
  createHybrid: true,
  seed: 5,
};

function bundle(over: Partial<Hyperparameters>, temperatures: number[]): TrainerJob {
  const trials = temperatures.map((temperature, i) => {
    const spec: TrialSpec = {
      numericsVersion: 1,
      teacherId: 'tiny',
      corpusId: 'tiny',
      hyperparameters: { ...hyperparameters, ...over, temperature },
      evaluation: { snrDb: [3, 12], sentences: 20 },
    };
    return { trialId: `trial-${i}`, spec };
  });
  return { kind: 'bundle', trials, teacher, teacherFile: join(TINY, 'teacher.safetensors'), corpus, corpusFolder };
}

interface Run {
  work: string;
  messages: TrainerMessage[];
  code: number | null;
  output: string;
}

async function runTrainer(
  job: TrainerJob,
  steer?: (message: TrainerMessage, child: ChildProcess) => void,
  settings: Record<string, string> = {},
): Promise<Run> {
  const work = await mkdtemp(join(folder, 'work-'));
  await writeFile(join(work, 'job.json'), JSON.stringify(job));
  const env = {
    ...process.env,
    TF_CPP_MIN_LOG_LEVEL: '3',
    TF_NUM_INTRAOP_THREADS: '1',
    OMP_NUM_THREADS: '1',
    SEMDISTILL_THREADS: '1',
    ...settings,
  };
  const child = spawn(process.execPath, [join(ROOT, 'dist/apps/worker/trainer/main.js'), work], {
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  running.add(child);
  const messages: TrainerMessage[] = [];
  let output = '';
  child.stdout?.on('data', (data) => {
    output += data;
  });
  child.stderr?.on('data', (data) => {
    output += data;
  });
  child.on('message', (message: TrainerMessage) => {
    messages.push(message);
    steer?.(message, child);
  });
  // Not 'close': after a disconnect from inside a message handler Node never emits it.
  const [code] = await once(child, 'exit');
  running.delete(child);
  return { work, messages, code: code as number | null, output };
}

function told<Type extends TrainerMessage['type']>(run: Run, type: Type): Extract<TrainerMessage, { type: Type }>[] {
  return run.messages.filter((message): message is Extract<TrainerMessage, { type: Type }> => message.type === type);
}

async function hashes(work: string, trialId: string): Promise<Record<string, string>> {
  const out: Record<string, string> = {};
  for (const name of (await readdir(join(work, trialId))).sort())
    if (name !== 'distillation_config.json')
      out[name] = createHash('sha256')
        .update(await readFile(join(work, trialId, name)))
        .digest('hex');
  return out;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'semdistill-trainer-'));
  const source = { kind: 'text' as const, sha256: '', fileName: 'corpus.txt' };
  const run = await runTrainer({
    kind: 'prepare-corpus',
    name: 'tiny',
    source,
    options: CORPUS_OPTIONS,
    textFile: join(TINY, 'corpus.txt'),
  });
  expect(run.output).toBe('');
  const [made] = told(run, 'corpus-completed');
  corpusFolder = join(run.work, 'corpus');
  corpus = { ...(made as NonNullable<typeof made>).corpus, corpusId: 'tiny', files: [], createdAt: teacher.createdAt };
});

afterAll(async () => {
  for (const child of running) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

describe('the trainer process', () => {
  it('makes the corpus of the golden text with its vocabulary', async () => {
    expect(corpus).toMatchObject({ vocabularySize: 60, name: 'tiny' });
    expect(JSON.parse(await readFile(join(corpusFolder, 'vocab.json'), 'utf8'))).toEqual(
      JSON.parse(await readFile(join(TINY, 'vocab.json'), 'utf8')),
    );
  });

  it('says in one sentence that a text gives no corpus', async () => {
    const textFile = join(folder, 'short.txt');
    await writeFile(textFile, 'too short\n');
    const source = { kind: 'text' as const, sha256: '', fileName: 'short.txt' };
    const run = await runTrainer({ kind: 'prepare-corpus', name: 'x', source, options: CORPUS_OPTIONS, textFile });
    expect(run.code).toBe(0);
    expect(told(run, 'impossible')[0]?.reason).toMatch(/1 lines gave 0 sentences of 5 to 29 words/);
  });

  it('imports a PyTorch teacher: measured, warned of where it understands nothing, kept as safetensors', async () => {
    const imported = (modelFile: string, layers: number): TrainerJob => ({
      kind: 'import-teacher',
      name: 'mine',
      origin: { kind: 'imported', fileName: 'mine.pth', sha256: '0'.repeat(64) },
      architecture: { ...teacher.architecture, encoderLayers: layers, decoderLayers: layers },
      modelFile,
      corpus,
      corpusFolder,
    });
    const trained = join(folder, 'mine.pth');
    const { tensors } = readSafetensors(await readFile(join(TINY, 'teacher.safetensors')));
    const wrapped = [...tensors.values()].map((tensor) => ({ ...tensor, name: `module.${tensor.name}` }));
    await writeFile(trained, writePyTorch(wrapped));

    const good = await runTrainer(imported(trained, 4));
    expect(good.output).toBe('');
    const [told4] = told(good, 'teacher-completed');
    expect(told4?.teacher).toMatchObject({ name: 'mine', corpusId: 'tiny', parameters: { total: 137_804 } });
    expect(told4?.teacher.warnings).toBeUndefined();
    expect(told4?.teacher.scores.bleu1.at(-1)).toBeGreaterThan(0.9);
    const kept = readSafetensors(await readFile(join(good.work, 'teacher', 'model.safetensors'))).tensors;
    for (const [name, tensor] of kept) expect(tensor.bytes, name).toEqual(tensors.get(name)?.bytes);
    expect(kept.size).toBe(184);

    const random = await runTrainer(imported(join(TINY, 'student.pth'), 2));
    const [warning, ...others] = told(random, 'teacher-completed')[0]?.teacher.warnings ?? [];
    expect(others).toEqual([]);
    expect(warning?.message).toMatch(/^BLEU-1 0\.\d{3} at 18 dB: this is not a trained model for this vocabulary\.$/);

    const unfit = await runTrainer(imported(join(TINY, 'student.pth'), 4));
    expect(told(unfit, 'impossible')[0]?.reason).toMatch(/does not fit: encoder\.enc_layers\.2\..* is missing/);
  });

  it.each(['decoder', 'encoder', 'full'] as const)(
    'part %s: leaves the files users know, the same bytes each time',
    async (distillPart) => {
      const job = bundle({ distillPart, freezeKeptSide: distillPart !== 'full' }, [1, 8]);
      const first = await runTrainer(job);
      expect(first.code, first.output).toBe(0);
      expect(first.messages[0]?.type).toBe('ready');
      expect(first.messages.at(-1)).toEqual({ type: 'done' });
      expect(told(first, 'epoch')).toHaveLength(20);
      const completed = told(first, 'trial-completed');
      expect(completed.map(({ trialId }) => trialId)).toEqual(['trial-0', 'trial-1']);
      for (const { trialId, summary, files } of completed) {
        expect(files.map(({ name }) => name).sort()).toEqual([
          'best_student_model.safetensors',
          'distillation_config.json',
          'evaluation.json',
          'final_student_model.safetensors',
          'hybrid_model.safetensors',
          'student_model_epoch10.safetensors',
        ]);
        const config = JSON.parse(await readFile(join(first.work, trialId, 'distillation_config.json'), 'utf8'));
        expect(config).toMatchObject({ distill_part: distillPart, student_layers: 2, best_loss: summary.bestLoss });
        expect(config.compression_ratio).toBeGreaterThan(1);
        const { evaluation } = summary;
        // The untrained student is far off, the teacher with itself under other noise is near.
        expect(evaluation.ceiling.jsd[1]).toBeGreaterThan(evaluation.floor.jsd[1] as number);
        expect(evaluation.divergence.jsd[1]).toBeLessThan(evaluation.ceiling.jsd[1] as number);
        if (distillPart !== 'full') expect(evaluation.hybrid).toEqual(evaluation.student);
        expect(summary.epochs.at(-1)?.validationLoss).toBeLessThan(summary.epochs[0]?.validationLoss as number);
      }
      const second = await runTrainer(job);
      for (const trialId of ['trial-0', 'trial-1'])
        expect(await hashes(second.work, trialId)).toEqual(await hashes(first.work, trialId));
      expect(await hashes(first.work, 'trial-0')).not.toEqual(await hashes(first.work, 'trial-1'));
    },
  );

  it('a cancelled trial ends, and its neighbour gets the bytes it would have got anyway', async () => {
    const job = bundle({}, [1, 8]);
    const whole = await runTrainer(job);
    let isSent = false;
    const run = await runTrainer(job, (message, child) => {
      if (message.type !== 'epoch' || isSent) return;
      isSent = true;
      child.send({ type: 'cancel', trialIds: ['trial-0'] } satisfies TrainerCommand);
    });
    expect(told(run, 'trial-completed').map(({ trialId }) => trialId)).toEqual(['trial-1']);
    const kept = await hashes(run.work, 'trial-1');
    expect(kept['final_student_model.safetensors']).toBe(
      (await hashes(whole.work, 'trial-1'))['final_student_model.safetensors'],
    );
  });

  it('told to stop, it ends with exit code 0 and claims nothing', async () => {
    const run = await runTrainer(bundle({ epochs: 1000 }, [2]), (message, child) => {
      if (message.type === 'epoch') child.send({ type: 'stop' } satisfies TrainerCommand);
    });
    expect(run.code, run.output).toBe(0);
    expect(told(run, 'trial-completed')).toEqual([]);
  });

  it('without its worker it ends by itself', async () => {
    const run = await runTrainer(bundle({ epochs: 1000 }, [2]), (message, child) => {
      if (message.type === 'epoch' && child.connected) child.disconnect();
    });
    expect(run.code).toBe(1);
  });

  it('trains on WebAssembly as well, and says so once', async () => {
    const run = await runTrainer(bundle({ epochs: 1 }, [1, 8]), undefined, { SEMDISTILL_BACKEND: 'wasm' });
    expect(run.code, run.output).toBe(0);
    expect(told(run, 'ready')[0]?.numerics.backend).toBe('wasm');
    const onTensorflow = await runTrainer(bundle({ epochs: 1 }, [1, 8]));
    told(run, 'trial-completed').forEach(({ summary }, k) => {
      const twin = told(onTensorflow, 'trial-completed')[k]?.summary;
      // Dropout draws differ between the two, everything else is common.
      expect(Math.abs(summary.bestLoss - (twin?.bestLoss as number))).toBeLessThan(0.2);
      expect(summary.evaluation.floor.jsd[0]).toBeCloseTo(twin?.evaluation.floor.jsd[0] as number, 4);
    });
  });

  it('trains a teacher, measures it, and the file holds exactly that model', async () => {
    const training = {
      layers: 1,
      dModel: 16,
      dff: 32,
      heads: 2,
      batchSize: 32,
      epochs: 2,
      learningRate: 1e-3,
      weightDecay: 0,
      dropout: 0,
      channel: 'rayleigh' as const,
      channelProfile: 'exact' as const,
      trainSnrDb: [5, 15] as [number, number],
      seed: 1,
    };
    const run = await runTrainer({ kind: 'train-teacher', name: 'small', training, corpus, corpusFolder });
    expect(run.code, run.output).toBe(0);
    const [made] = told(run, 'teacher-completed');
    expect(made?.teacher).toMatchObject({
      name: 'small',
      origin: { kind: 'trained' },
      architecture: { encoderLayers: 1, dModel: 16 },
    });
    expect(made?.teacher.scores.bleu1).toHaveLength(7);
    const measured = await runTrainer({
      kind: 'measure-teacher',
      name: 'small',
      builtin: 'small',
      teacherFile: join(run.work, 'teacher/model.safetensors'),
      corpus,
      corpusFolder,
    });
    expect(told(measured, 'teacher-completed')[0]?.teacher.architecture).toEqual(made?.teacher.architecture);
  });

  it('refuses a shipped teacher of another corpus in one sentence', async () => {
    await mkdir(join(folder, 'other'), { recursive: true });
    const run = await runTrainer({
      kind: 'measure-teacher',
      name: 'tiny',
      builtin: 'tiny',
      teacherFile: join(TINY, 'teacher.safetensors'),
      corpus,
      corpusFolder,
    });
    expect(run.code).toBe(0);
    expect(told(run, 'impossible')[0]?.reason).toMatch(/does not say its architecture/);
  });
});
