// The sizes of a DeepSC and the names and shapes of its parameters, in the reference's state_dict order. Our layout puts a
// group axis in front (several models of one shape side by side) and keeps kernels as [in, out]; PyTorch keeps [out, in].

/** The inner widths that the reference hard-codes. */
export const CHANNEL_ENCODER_HIDDEN = 256;
export const CHANNEL_WIDTH = 16;
export const CHANNEL_DECODER_HIDDEN = 512;
export const LAYER_NORM_EPSILON = 1e-6;

export interface DeepscShape {
  vocabularySize: number;
  dModel: number;
  dff: number;
  heads: number;
  encoderLayers: number;
  decoderLayers: number;
}

/** Which side of the link a parameter belongs to. */
export type Side = 'transmitter' | 'receiver';

export interface ParameterShape {
  /** the reference's state_dict name */
  name: string;
  side: Side;
  /** in our layout, without the group axis: kernels [in, out], tables [V, d], biases and gains [out] */
  shape: number[];
  kind: 'kernel' | 'bias' | 'gain' | 'table';
}

export function sideOf(name: string): Side {
  return name.startsWith('encoder.') || name.startsWith('channel_encoder.') ? 'transmitter' : 'receiver';
}

/** Every trainable parameter of a DeepSC, in state_dict order (position tables are buffers and recomputed). */
export function parameterShapes(shape: DeepscShape): ParameterShape[] {
  const { vocabularySize, dModel: d, dff } = shape;
  const all: ParameterShape[] = [];
  const add = (name: string, kind: ParameterShape['kind'], dimensions: number[]) =>
    all.push({ name, side: sideOf(name), kind, shape: dimensions });
  const linear = (name: string, input: number, output: number) => {
    add(`${name}.weight`, 'kernel', [input, output]);
    add(`${name}.bias`, 'bias', [output]);
  };
  const layerNorm = (name: string) => {
    add(`${name}.weight`, 'gain', [d]);
    add(`${name}.bias`, 'bias', [d]);
  };
  const attention = (name: string) => {
    for (const projection of ['wq', 'wk', 'wv', 'dense']) linear(`${name}.${projection}`, d, d);
  };
  add('encoder.embedding.weight', 'table', [vocabularySize, d]);
  for (let i = 0; i < shape.encoderLayers; i++) {
    const layer = `encoder.enc_layers.${i}`;
    attention(`${layer}.mha`);
    linear(`${layer}.ffn.w_1`, d, dff);
    linear(`${layer}.ffn.w_2`, dff, d);
    layerNorm(`${layer}.layernorm1`);
    layerNorm(`${layer}.layernorm2`);
  }
  linear('channel_encoder.0', d, CHANNEL_ENCODER_HIDDEN);
  linear('channel_encoder.2', CHANNEL_ENCODER_HIDDEN, CHANNEL_WIDTH);
  linear('channel_decoder.linear1', CHANNEL_WIDTH, d);
  linear('channel_decoder.linear2', d, CHANNEL_DECODER_HIDDEN);
  linear('channel_decoder.linear3', CHANNEL_DECODER_HIDDEN, d);
  layerNorm('channel_decoder.layernorm');
  add('decoder.embedding.weight', 'table', [vocabularySize, d]);
  for (let i = 0; i < shape.decoderLayers; i++) {
    const layer = `decoder.dec_layers.${i}`;
    attention(`${layer}.self_mha`);
    attention(`${layer}.src_mha`);
    linear(`${layer}.ffn.w_1`, d, dff);
    linear(`${layer}.ffn.w_2`, dff, d);
    for (const n of [1, 2, 3]) layerNorm(`${layer}.layernorm${n}`);
  }
  linear('dense', d, vocabularySize);
  return all;
}
