// Which DeepSC a state_dict holds, from its names and shapes alone: the sizes it tells of, and every name that is missing,
// extra or of another shape for those sizes. Heads leave no trace in the shapes; whoever asks must know them.
import { type DeepscShape, parameterShapes } from './architecture.js';

/** More layers than anyone stacks: an index beyond is a name that does not belong, not a size. */
const MAX_LAYERS = 64;

export type DeepscSizes = Omit<DeepscShape, 'heads'>;

export interface StateDictSurvey {
  /** Absent when no tensor tells the vocabulary, the width, or the width of the feed-forward blocks. */
  sizes?: DeepscSizes;
  /** Rows of the position tables that are there; they are recomputed, so any number is right. */
  positions: { transmitter?: number; receiver?: number };
  missing: string[];
  extra: string[];
  mismatched: { name: string; found: number[]; expected: number[] }[];
}

type Shapes = ReadonlyMap<string, readonly number[]>;

/** Surveys a state_dict by its shapes in PyTorch's layout (kernels [out, in]), names without a wrapper's prefix. */
export function surveyStateDict(shapes: Shapes): StateDictSurvey {
  const positions = {
    ...rowsOf(shapes, 'encoder.pos_encoding.pe', 'transmitter'),
    ...rowsOf(shapes, 'decoder.pos_encoding.pe', 'receiver'),
  };
  const sizes = sizesOf(shapes);
  if (!sizes) return { positions, missing: [], extra: [...shapes.keys()], mismatched: [] };
  const survey: StateDictSurvey = { sizes, positions, missing: [], extra: [], mismatched: [] };
  const known = new Set<string>();
  for (const { name, kind, shape } of parameterShapes({ ...sizes, heads: 1 })) {
    known.add(name);
    const expected = kind === 'kernel' ? [...shape].reverse() : shape;
    const found = shapes.get(name);
    if (!found) survey.missing.push(name);
    else if (found.join() !== expected.join()) survey.mismatched.push({ name, found: [...found], expected });
  }
  survey.extra = [...shapes.keys()].filter((name) => !known.has(name) && !isPositionTable(name));
  return survey;
}

/** The numbers of attention heads that a width can be cut into, ascending. */
export function headsThatDivide(dModel: number): number[] {
  return Array.from({ length: Math.min(dModel, 256) }, (_, i) => i + 1).filter((heads) => dModel % heads === 0);
}

export function isPositionTable(name: string): boolean {
  return name === 'encoder.pos_encoding.pe' || name === 'decoder.pos_encoding.pe';
}

function sizesOf(shapes: Shapes): DeepscSizes | undefined {
  const table = ['encoder.embedding.weight', 'decoder.embedding.weight', 'dense.weight']
    .map((name) => shapes.get(name))
    .find((shape) => shape?.length === 2);
  const feedForward = [...shapes].find(([name, shape]) => /\.ffn\.w_1\.weight$/.test(name) && shape.length === 2)?.[1];
  const [vocabularySize = 0, dModel = 0] = table ?? [];
  const [dff = 0] = feedForward ?? [];
  if (vocabularySize < 1 || dModel < 1 || dff < 1) return undefined;
  const encoderLayers = layersOf(shapes, /^encoder\.enc_layers\.(\d{1,9})\./);
  const decoderLayers = layersOf(shapes, /^decoder\.dec_layers\.(\d{1,9})\./);
  return { vocabularySize, dModel, dff, encoderLayers, decoderLayers };
}

/** One more than the highest index, at least one: a model without any layer lacks its first. */
function layersOf(shapes: Shapes, pattern: RegExp): number {
  let layers = 1;
  for (const name of shapes.keys()) {
    const index = Number(pattern.exec(name)?.[1] ?? 0);
    if (index < MAX_LAYERS) layers = Math.max(layers, index + 1);
  }
  return layers;
}

function rowsOf(shapes: Shapes, name: string, side: 'transmitter' | 'receiver') {
  const rows = shapes.get(name)?.at(-2);
  return rows === undefined ? {} : { [side]: rows };
}
