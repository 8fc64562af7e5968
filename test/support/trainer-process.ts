// The trainer process for real, on the tiny golden teacher and text: its jobs, its start, what it said, what it left.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'vitest';
import type { CorpusRecord, Hyperparameters, TeacherRecord, TrialSpec } from '#experiment';
import type { TrainerJob, TrainerMessage } from '../../apps/worker/trainer-protocol.js';

const ROOT = resolve(import.meta.dirname, '../..');
export const TINY = join(ROOT, 'test/golden/tiny');
export const CORPUS_OPTIONS = { minWords: 5, maxWords: 29, minCount: 1, trainShare: 0.8 };

export const teacher: TeacherRecord = {
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

export const hyperparameters: Hyperparameters = {
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

export interface Run {
  work: string;
  messages: TrainerMessage[];
  code: number | null;
  output: string;
}

/** A folder with the tiny corpus, and trainers that run in it. */
export class TrainerBench {
  private readonly running = new Set<ChildProcess>();

  private constructor(
    readonly folder: string,
    readonly corpusFolder: string,
    readonly corpus: CorpusRecord,
  ) {}

  static async open(): Promise<TrainerBench> {
    const folder = await mkdtemp(join(tmpdir(), 'semdistill-trainer-'));
    const source = { kind: 'text' as const, sha256: '', fileName: 'corpus.txt' };
    const bare = new TrainerBench(folder, '', {} as CorpusRecord);
    const run = await bare.run({
      kind: 'prepare-corpus',
      name: 'tiny',
      source,
      options: CORPUS_OPTIONS,
      textFile: join(TINY, 'corpus.txt'),
    });
    expect(run.output).toBe('');
    const [made] = told(run, 'corpus-completed');
    const facts = (made as NonNullable<typeof made>).corpus;
    const corpus = { ...facts, corpusId: 'tiny', files: [], createdAt: teacher.createdAt };
    return new TrainerBench(folder, join(run.work, 'corpus'), corpus);
  }

  async close(): Promise<void> {
    for (const child of this.running) child.kill('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }

  bundle(over: Partial<Hyperparameters>, temperatures: number[]): TrainerJob {
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
    return {
      kind: 'bundle',
      trials,
      teacher,
      teacherFile: join(TINY, 'teacher.safetensors'),
      corpus: this.corpus,
      corpusFolder: this.corpusFolder,
    };
  }

  /** Runs a trainer to its end; with `work` in a folder that an earlier one left. */
  async run(
    job: TrainerJob,
    steer?: (message: TrainerMessage, child: ChildProcess) => void,
    settings: Record<string, string> = {},
    work?: string,
  ): Promise<Run> {
    work ??= await mkdtemp(join(this.folder, 'work-'));
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
    this.running.add(child);
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
    this.running.delete(child);
    return { work, messages, code: code as number | null, output };
  }
}

export function told<Type extends TrainerMessage['type']>(
  run: Run,
  type: Type,
): Extract<TrainerMessage, { type: Type }>[] {
  return run.messages.filter((message): message is Extract<TrainerMessage, { type: Type }> => message.type === type);
}

export async function hashes(work: string, trialId: string): Promise<Record<string, string>> {
  const out: Record<string, string> = {};
  for (const name of (await readdir(join(work, trialId))).sort())
    if (name !== 'distillation_config.json')
      out[name] = createHash('sha256')
        .update(await readFile(join(work, trialId, name)))
        .digest('hex');
  return out;
}
