// What kind of student a part makes: which sides are its own and learn, which stay the teacher's, what it starts from.
import { type DeepscShape, initialArrays, parameterShapes, type RandomStream, type Side, sideOf } from '#semcom';

export type Part = 'full' | 'encoder' | 'decoder';

/** Which side learns. `decoder` keeps the teacher's transmitter, `encoder` its receiver, when the kept side is frozen. */
export interface StudentKind {
  part: Part;
  /** The side that is not distilled stays the teacher's own, untouched. */
  freezeKeptSide: boolean;
}

/** The side that stays the teacher's; null when the whole student learns. */
export function keptSide({ part, freezeKeptSide }: StudentKind): Side | null {
  if (part === 'full' || !freezeKeptSide) return null;
  return part === 'decoder' ? 'transmitter' : 'receiver';
}

export function isTrained(kind: StudentKind, parameterName: string): boolean {
  return sideOf(parameterName) !== keptSide(kind);
}

/** A student's sizes: `layers` on every side of its own, the teacher's layers on a side it keeps. */
export function studentShape(
  teacher: DeepscShape,
  kind: StudentKind,
  own: { layers: number; dModel?: number; dff?: number },
): DeepscShape {
  const kept = keptSide(kind);
  return {
    ...teacher,
    dModel: own.dModel ?? teacher.dModel,
    dff: own.dff ?? teacher.dff,
    encoderLayers: kept === 'transmitter' ? teacher.encoderLayers : own.layers,
    decoderLayers: kept === 'receiver' ? teacher.decoderLayers : own.layers,
  };
}

/** Which teacher layer each student layer starts from: evenly spread, the last from the last. 4 to 2: layers 1 and 3. */
export function layersToCopy(teacherLayers: number, studentLayers: number): number[] {
  return Array.from({ length: studentLayers }, (_, i) =>
    Math.max(0, Math.min(teacherLayers - 1, Math.round(((i + 1) * teacherLayers) / studentLayers) - 1)),
  );
}

/** The teacher's parameter that a student's parameter starts from. */
function teacherNameOf(name: string, teacher: DeepscShape, student: DeepscShape): string {
  return name.replace(/^(encoder\.enc_layers|decoder\.dec_layers)\.(\d+)\./, (_, stack: string, layer: string) => {
    const [from, to] = stack.startsWith('encoder')
      ? [teacher.encoderLayers, student.encoderLayers]
      : [teacher.decoderLayers, student.decoderLayers];
    return `${stack}.${layersToCopy(from, to)[Number(layer)] ?? 0}.`;
  });
}

/**
 * Start values of a whole student in our layout, its kept side included. With `init` 'teacher' everything is copied from the
 * teacher (fewer layers: an even choice of them), else the student's own side is drawn as the reference draws it.
 */
export function startArrays(options: {
  teacher: { shape: DeepscShape; arrays: ReadonlyMap<string, Float32Array> };
  student: DeepscShape;
  kind: StudentKind;
  init: 'teacher' | 'random';
  streamFor: (parameterName: string) => RandomStream;
}): Map<string, Float32Array> {
  const { teacher, student, kind } = options;
  const drawn = options.init === 'random' ? initialArrays(student, options.streamFor) : null;
  const out = new Map<string, Float32Array>();
  for (const { name, shape } of parameterShapes(student)) {
    if (drawn && isTrained(kind, name)) {
      out.set(name, drawn.get(name) as Float32Array);
      continue;
    }
    const source = teacher.arrays.get(teacherNameOf(name, teacher.shape, student));
    const size = shape.reduce((product, n) => product * n, 1);
    if (!source || source.length !== size) throw new Error(`${name} cannot start from the teacher: its widths differ`);
    out.set(name, source);
  }
  return out;
}

/**
 * A hybrid's parameters: the student's distilled side with the teacher's other side. Part full: the teacher's transmitter
 * with the student's receiver. Needs equal widths.
 */
export function hybridArrays(options: {
  teacher: { shape: DeepscShape; arrays: ReadonlyMap<string, Float32Array> };
  student: { shape: DeepscShape; arrays: ReadonlyMap<string, Float32Array> };
  part: Part;
}): { shape: DeepscShape; arrays: Map<string, Float32Array> } {
  const { teacher, student } = options;
  const fromStudent: Side = options.part === 'encoder' ? 'transmitter' : 'receiver';
  const transmitter = fromStudent === 'transmitter' ? student : teacher;
  const receiver = fromStudent === 'receiver' ? student : teacher;
  const shape = { ...receiver.shape, encoderLayers: transmitter.shape.encoderLayers };
  const arrays = new Map<string, Float32Array>();
  for (const { name, side } of parameterShapes(shape)) {
    const values = (side === 'transmitter' ? transmitter : receiver).arrays.get(name);
    if (!values) throw new Error(`no values for ${name}`);
    arrays.set(name, values);
  }
  return { shape, arrays };
}
