// Makes assets/demo-teacher.safetensors, the teacher that comes with semdistill: `node scripts/demo-teacher.mjs` after set-up, about
// half an hour on one core. Same machine, same bytes. Not part of set-up, demo or tests: they use the shipped file.
//
// Two phases. First the sentences alone, until the link is used at all (a small corpus tempts the decoder to learn the language
// instead). Then sentences mixed with random word sequences of the same vocabulary, which no language model can guess: what
// arrives must have been sent, and held-out cross-entropy falls from about 1.2 to a few hundredths of a nat a token.

import { createHash } from 'node:crypto';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BUILTIN_CORPORA, BUILTIN_TEACHERS } from '../dist/apps/worker/builtins.js';
import { writePackageText } from '../dist/apps/worker/corpus-text.js';
import { lossKernelOf, optimizerOf } from '../dist/apps/worker/trainer/engine-parts.js';
import { fromFloat32, writeSafetensors } from '../dist/libs/checkpoint/index.js';
import { cacheFolder } from '../dist/libs/config/index.js';
import { measureBleu, REFERENCE_ADAM, trainStudents } from '../dist/libs/distillation/index.js';
import { startEngine } from '../dist/libs/engine/index.js';
import { corpusIdOf } from '../dist/libs/experiment/index.js';
import {
  buildCorpus,
  formatVocabulary,
  initialArrays,
  RandomStream,
  splitSentences,
  toStateDict,
  weightsFromArrays,
} from '../dist/libs/semcom/index.js';

const SIZES = { dModel: 64, dff: 256, heads: 4, encoderLayers: 4, decoderLayers: 4 };
const PHASES = [
  { sequences: 0, epochs: 40, sentencesPerEpoch: 4096, learningRate: 5e-4, dropout: 0.1, trainSnrDb: [6, 16] },
  { sequences: 4000, epochs: 24, sentencesPerEpoch: 6000, learningRate: 7e-4, dropout: 0.05, trainSnrDb: [4, 16] },
];
/** Of the random sequences' words, this share is uniform over the vocabulary; the others as often as in the text. */
const UNIFORM_SHARE = 0.3;
const FIRST_WORD = 4;

const { corpus: corpusName, file } = BUILTIN_TEACHERS.demo;
const { text, options } = BUILTIN_CORPORA[corpusName];
const work = await mkdtemp(join(tmpdir(), 'demo-teacher-'));
await writePackageText(text, cacheFolder(), join(work, 'text.txt'));
const corpus = buildCorpus(splitSentences(await readFile(join(work, 'text.txt'), 'utf8')), options);
const shape = { vocabularySize: corpus.vocabulary.size, ...SIZES };

function randomSequences(count) {
  const words = corpus.train.flatMap((row) => row.slice(1, -1));
  return Array.from({ length: count }, (_, i) => {
    const stream = new RandomStream(11, 'synthetic', i);
    const length = corpus.train[stream.integer(corpus.train.length)].length - 2;
    const word = () =>
      stream.uniform() < UNIFORM_SHARE
        ? FIRST_WORD + stream.integer(shape.vocabularySize - FIRST_WORD)
        : words[stream.integer(words.length)];
    return [1, ...Array.from({ length }, word), 2];
  });
}

const engine = await startEngine({ backend: 'auto' });
let arrays = initialArrays(shape, (name) => new RandomStream(1, `init-${name}`));
for (const { sequences, epochs, learningRate, ...rest } of PHASES) {
  let best = arrays;
  await trainStudents(
    {
      model: {
        kind: { part: 'full', freezeKeptSide: false },
        student: shape,
        teacher: null,
        temperature: [1],
        distillWeight: [0],
        lossKernel: lossKernelOf(engine),
      },
      start: weightsFromArrays(shape, arrays),
      adam: { ...REFERENCE_ADAM, learningRate, weightDecay: 0 },
      optimizer: optimizerOf(engine),
      data: { train: [...randomSequences(sequences), ...corpus.train], validation: corpus.test.slice(200) },
      settings: { batchSize: 32, epochs, channel: 'awgn', channelProfile: 'exact', seed: 1, ...rest },
      uniform: engine.uniform,
    },
    {
      onEpoch: (_, report) => console.log(`epoch ${report.epoch}: validation ${report.validationLoss.toFixed(4)}`),
      onCheckpoint: (_, kind, _epoch, values) => {
        if (kind === 'best') best = values;
      },
    },
  );
  arrays = best;
}

const side = { shape, weights: weightsFromArrays(shape, arrays) };
const [scores] = await measureBleu(
  { transmitter: side, receiver: side },
  {
    sentences: corpus.test.slice(0, 200),
    snrDb: [0, 3, 6, 9, 12, 15, 18],
    channel: 'awgn',
    channelProfile: 'exact',
    maxTokens: corpus.counts.maxTokens,
    scoredIds: (ids) => corpus.vocabulary.scoredIds(ids),
  },
);
console.log('BLEU-1 at', scores.snrDb.join(', '), 'dB:', scores.bleu1.map((x) => x.toFixed(3)).join(', '));

const contents = [
  ['vocab.json', formatVocabulary(corpus.vocabulary)],
  ['train.json', JSON.stringify(corpus.train)],
  ['test.json', JSON.stringify(corpus.test)],
];
const files = contents.map(([name, content]) => ({ name, sha256: createHash('sha256').update(content).digest('hex') }));
const tensors = toStateDict(shape, arrays).map((one) => fromFloat32(one.name, one.shape, one.data));
const metadata = {
  format: 'semdistill',
  role: 'teacher',
  architecture: JSON.stringify(shape),
  corpusId: corpusIdOf({ options, files }),
};
await writeFile(new URL(`../assets/${file}`, import.meta.url), writeSafetensors(tensors, metadata));
console.log(`assets/${file} written for corpus ${metadata.corpusId}`);
