// The door to any TensorFlow operation by name, which tfjs-node's backend has but does not type.
import * as tf from '@tensorflow/tfjs-core';

export interface OpAttribute {
  name: string;
  type: number;
  value: unknown;
}

/** The part of tfjs-node's backend that calls any TensorFlow op by name. */
export interface TensorflowBackend {
  binding: Record<string, number>;
  isUsingGpuDevice?: boolean;
  executeSingleOutput(name: string, attributes: OpAttribute[], inputs: tf.Tensor[]): tf.Tensor;
  executeMultipleOutputs(name: string, attributes: OpAttribute[], inputs: tf.Tensor[], outputs: number): tf.Tensor[];
}

export function tensorflowBackend(): TensorflowBackend {
  return tf.backend() as unknown as TensorflowBackend;
}

/** Makes type attributes; float32 unless told. */
export function typeAttributeOf(backend: TensorflowBackend): (name: string, value?: number) => OpAttribute {
  return (name, value = backend.binding.TF_FLOAT as number) => ({
    name,
    type: backend.binding.TF_ATTR_TYPE as number,
    value,
  });
}
