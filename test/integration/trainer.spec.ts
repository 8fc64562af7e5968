// The trainer process itself, for real, on the tiny golden teacher and text: files, messages, repeatability to the byte, cancelling.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors, writePyTorch } from '#checkpoint';
import type { TrainerCommand, TrainerJob } from '../../apps/worker/trainer-protocol.js';
import { CORPUS_OPTIONS, hashes, TINY, TrainerBench, teacher, told } from '../support/trainer-process.js';

let bench: TrainerBench;

beforeAll(async () => {
  bench = await TrainerBench.open();
});
afterAll(() => bench.close());

describe('the trainer process', () => {
  it('makes the corpus of the golden text with its vocabulary', async () => {
    expect(bench.corpus).toMatchObject({ vocabularySize: 60, name: 'tiny' });
    expect(JSON.parse(await readFile(join(bench.corpusFolder, 'vocab.json'), 'utf8'))).toEqual(
      JSON.parse(await readFile(join(TINY, 'vocab.json'), 'utf8')),
    );
  });

  it('says in one sentence that a text gives no corpus', async () => {
    const textFile = join(bench.folder, 'short.txt');
    await writeFile(textFile, 'too short\n');
    const source = { kind: 'text' as const, sha256: '', fileName: 'short.txt' };
    const run = await bench.run({ kind: 'prepare-corpus', name: 'x', source, options: CORPUS_OPTIONS, textFile });
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
      corpus: bench.corpus,
      corpusFolder: bench.corpusFolder,
    });
    const trained = join(bench.folder, 'mine.pth');
    const { tensors } = readSafetensors(await readFile(join(TINY, 'teacher.safetensors')));
    const wrapped = [...tensors.values()].map((tensor) => ({ ...tensor, name: `module.${tensor.name}` }));
    await writeFile(trained, writePyTorch(wrapped));

    const good = await bench.run(imported(trained, 4));
    expect(good.output).toBe('');
    const [told4] = told(good, 'teacher-completed');
    expect(told4?.teacher).toMatchObject({ name: 'mine', corpusId: 'tiny', parameters: { total: 137_804 } });
    expect(told4?.teacher.warnings).toBeUndefined();
    expect(told4?.teacher.scores.bleu1.at(-1)).toBeGreaterThan(0.9);
    const kept = readSafetensors(await readFile(join(good.work, 'teacher', 'model.safetensors'))).tensors;
    for (const [name, tensor] of kept) expect(tensor.bytes, name).toEqual(tensors.get(name)?.bytes);
    expect(kept.size).toBe(184);

    const random = await bench.run(imported(join(TINY, 'student.pth'), 2));
    const [warning, ...others] = told(random, 'teacher-completed')[0]?.teacher.warnings ?? [];
    expect(others).toEqual([]);
    expect(warning?.message).toMatch(/^BLEU-1 0\.\d{3} at 18 dB: this is not a trained model for this vocabulary\.$/);

    const unfit = await bench.run(imported(join(TINY, 'student.pth'), 4));
    expect(told(unfit, 'impossible')[0]?.reason).toMatch(/does not fit: encoder\.enc_layers\.2\..* is missing/);
  });

  it.each(['decoder', 'encoder', 'full'] as const)(
    'part %s: leaves the files users know, the same bytes each time',
    async (distillPart) => {
      const job = bench.bundle({ distillPart, freezeKeptSide: distillPart !== 'full' }, [1, 8]);
      const first = await bench.run(job);
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
      const second = await bench.run(job);
      for (const trialId of ['trial-0', 'trial-1'])
        expect(await hashes(second.work, trialId)).toEqual(await hashes(first.work, trialId));
      expect(await hashes(first.work, 'trial-0')).not.toEqual(await hashes(first.work, 'trial-1'));
    },
  );

  it('a cancelled trial ends, and its neighbour gets the bytes it would have got anyway', async () => {
    const job = bench.bundle({}, [1, 8]);
    const whole = await bench.run(job);
    let isSent = false;
    const run = await bench.run(job, (message, child) => {
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
    const run = await bench.run(bench.bundle({ epochs: 1000 }, [2]), (message, child) => {
      if (message.type === 'epoch') child.send({ type: 'stop' } satisfies TrainerCommand);
    });
    expect(run.code, run.output).toBe(0);
    expect(told(run, 'trial-completed')).toEqual([]);
  });

  it('without its worker it ends by itself', async () => {
    const run = await bench.run(bench.bundle({ epochs: 1000 }, [2]), (message, child) => {
      if (message.type === 'epoch' && child.connected) child.disconnect();
    });
    expect(run.code).toBe(1);
  });

  it('trains on WebAssembly as well, and says so once', async () => {
    const run = await bench.run(bench.bundle({ epochs: 1 }, [1, 8]), undefined, { SEMDISTILL_BACKEND: 'wasm' });
    expect(run.code, run.output).toBe(0);
    expect(told(run, 'ready')[0]?.numerics.backend).toBe('wasm');
    const onTensorflow = await bench.run(bench.bundle({ epochs: 1 }, [1, 8]));
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
    const { corpus, corpusFolder } = bench;
    const run = await bench.run({ kind: 'train-teacher', name: 'small', training, corpus, corpusFolder });
    expect(run.code, run.output).toBe(0);
    const [made] = told(run, 'teacher-completed');
    expect(made?.teacher).toMatchObject({
      name: 'small',
      origin: { kind: 'trained' },
      architecture: { encoderLayers: 1, dModel: 16 },
    });
    expect(made?.teacher.scores.bleu1).toHaveLength(7);
    const measured = await bench.run({
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
    await mkdir(join(bench.folder, 'other'), { recursive: true });
    const run = await bench.run({
      kind: 'measure-teacher',
      name: 'tiny',
      builtin: 'tiny',
      teacherFile: join(TINY, 'teacher.safetensors'),
      corpus: bench.corpus,
      corpusFolder: bench.corpusFolder,
    });
    expect(run.code).toBe(0);
    expect(told(run, 'impossible')[0]?.reason).toMatch(/does not say its architecture/);
  });
});
