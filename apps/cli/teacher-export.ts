// `semdistill teacher export`: any stored model as files that PyTorch code loads: the state_dict, config.json, vocab.json
// and a short loader.
import { createWriteStream } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as WebStream } from 'node:stream/web';
import type { Architecture } from '#experiment';
import type { ApiClient } from './api-client.js';
import { openClient } from './connection.js';
import type { Context } from './context.js';
import { fileTrouble } from './download.js';
import { EXIT_WRONG_REQUEST, Interrupted, Trouble } from './trouble.js';

export const EXPORT_FORMATS = ['pytorch', 'safetensors'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

interface ModelDescription {
  label: string;
  corpusId: string;
  architecture: Architecture;
  sha256: string;
  vocabulary: { token_to_idx: Record<string, number> };
}

/** Works with the DeepSC class of the reference implementation (models/transceiver.py), passed in by the caller. */
export const PYTHON_LOADER = `# model = load(DeepSC), with the DeepSC class of the reference implementation (models/transceiver.py).
import json
import os

import torch


def load(DeepSC, folder=os.path.dirname(os.path.abspath(__file__))):
    with open(os.path.join(folder, "config.json"), encoding="utf8") as handle:
        config = json.load(handle)
    path = os.path.join(folder, config["model_file"])
    if path.endswith(".safetensors"):
        from safetensors.torch import load_file
        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    words, rows = config["vocabulary_size"], config["positions"]
    model = DeepSC(config["layers"], words, words, rows, rows, config["d_model"], config["heads"], config["dff"], 0.1)
    model.load_state_dict(state, strict=True)
    return model.eval()
`;

export async function exportModel(
  context: Context,
  reference: string,
  flags: { format?: string; to?: string },
): Promise<void> {
  const { texts, terminal } = context;
  const format = exportFormat(context, flags.format ?? 'pytorch');
  const client = openClient(context);
  const { folder, files, config } = await exportInto(context, client, { reference, format, folder: flags.to });
  if (context.json) terminal.print(JSON.stringify({ folder, files, ...config }, null, 2));
  else terminal.say(texts.exported(config.model, files.join(', '), folder));
}

/** Throws Trouble with what there is. */
export function exportFormat({ texts }: Context, typed: string): ExportFormat {
  const format = EXPORT_FORMATS.find((name) => name === typed);
  if (format !== undefined) return format;
  throw new Trouble(texts.wrongRequest, EXIT_WRONG_REQUEST, [
    { path: '--format', message: texts.oneOf(EXPORT_FORMATS.join(', '), typed) },
  ]);
}

/** Writes one model and what belongs to it into a folder, by default one named by the model. */
export async function exportInto(
  { texts, workingFolder, interrupted }: Context,
  client: ApiClient,
  wanted: { reference: string; format: ExportFormat; folder: string | undefined },
) {
  const query = { model: wanted.reference };
  const model = await client.json<ModelDescription>('/v1/models/description', { query, signal: interrupted });
  const folder = resolve(workingFolder, wanted.folder ?? model.label.replace(/[^A-Za-z0-9._-]+/g, '-'));
  const file = `model.${wanted.format === 'pytorch' ? 'pth' : 'safetensors'}`;
  const config = configOf(model, file);
  const response = await client.send('/v1/models/export', {
    query: { ...query, format: wanted.format },
    signal: interrupted,
    accept: 'application/octet-stream',
  });
  try {
    await mkdir(folder, { recursive: true });
    // Whole or not there: a broken transfer leaves no model that loads half.
    const part = join(folder, `${file}.part`);
    const body = Readable.fromWeb(response.body as WebStream<Uint8Array>);
    await pipeline(body, createWriteStream(part), { signal: interrupted });
    await rename(part, join(folder, file));
    await writeFile(join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
    await writeFile(join(folder, 'vocab.json'), JSON.stringify(model.vocabulary));
    await writeFile(join(folder, 'load_model.py'), PYTHON_LOADER);
  } catch (error) {
    if (interrupted.aborted) throw new Interrupted();
    throw fileTrouble(error, folder, texts);
  }
  return { folder, files: [file, 'config.json', 'vocab.json', 'load_model.py'], config };
}

function configOf({ label, corpusId, architecture, sha256 }: ModelDescription, file: string) {
  const { encoderLayers, decoderLayers, vocabularySize, dModel, dff, heads } = architecture;
  return {
    model: label,
    model_file: file,
    // The reference's class has one number for both sides; null says that it cannot hold this model.
    layers: encoderLayers === decoderLayers ? encoderLayers : null,
    encoder_layers: encoderLayers,
    decoder_layers: decoderLayers,
    d_model: dModel,
    dff,
    heads,
    vocabulary_size: vocabularySize,
    positions: vocabularySize,
    corpus: corpusId,
    source_sha256: sha256,
  };
}
