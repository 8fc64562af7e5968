// Sentences to vectors with the Universal Sentence Encoder: its graph run by tfjs on whatever engine the trainer has.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { type SentenceEncoder, SentencePieces } from '#semcom';

/** Sentences of like length that are encoded at once. */
const BATCH = 64;
/** The graph looks at no more pieces of a text. */
const MAX_PIECES = 128;

interface GraphFile {
  modelTopology: object;
  weightsManifest: { paths: string[]; weights: tf.io.WeightsManifestEntry[] }[];
}

/** Reads model.json, its weights and vocab.json (apps/worker/sentence-encoder.ts). The vectors have length 1. */
export async function loadSentenceEncoder(folder: string): Promise<{ encode: SentenceEncoder; dispose: () => void }> {
  // Loaded here, because few jobs want it.
  const { loadGraphModel } = await import('@tensorflow/tfjs-converter');
  const graph = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8')) as GraphFile;
  const pieces = new SentencePieces(JSON.parse(await readFile(join(folder, 'vocab.json'), 'utf8')));
  const shards: Buffer[] = [];
  for (const path of graph.weightsManifest.flatMap(({ paths }) => paths))
    shards.push(await readFile(join(folder, path)));
  const weightData = new Uint8Array(Buffer.concat(shards)).buffer;
  const weightSpecs = graph.weightsManifest.flatMap(({ weights }) => weights);
  const model = await loadGraphModel({
    load: async () => ({ modelTopology: graph.modelTopology, weightSpecs, weightData }),
  });

  async function encodeBatch(rows: number[][]): Promise<Float32Array> {
    const places = rows.flatMap((row, i) => row.map((_, at) => [i, at] as [number, number]));
    const indices = tf.tensor2d(places, [places.length, 2], 'int32');
    const values = tf.tensor1d(rows.flat(), 'int32');
    const vectors = (await model.executeAsync({ indices, values })) as tf.Tensor;
    const data = (await vectors.data()) as Float32Array;
    tf.dispose([indices, values, vectors]);
    return data;
  }

  return {
    async encode(texts) {
      // An empty text still needs a piece: the unknown one.
      const rows = texts
        .map((text) => pieces.encode(text).slice(0, MAX_PIECES))
        .map((row) => (row.length > 0 ? row : [0]));
      const order = Array.from(rows.keys()).sort(
        (a, b) => (rows[a] as number[]).length - (rows[b] as number[]).length || a - b,
      );
      const out: Float32Array[] = new Array(texts.length);
      for (let from = 0; from < order.length; from += BATCH) {
        const some = order.slice(from, from + BATCH);
        const data = await encodeBatch(some.map((i) => rows[i] as number[]));
        const width = data.length / some.length;
        for (const [k, i] of some.entries()) out[i] = data.slice(k * width, (k + 1) * width);
      }
      return out;
    },
    dispose: () => model.dispose(),
  };
}
