// A teacher that was trained elsewhere: what may be asked when its file is brought in, what its file was found to hold,
// and when its measured score says that it is no trained model.
import type { Fault } from './errors.js';
import type { Field } from './fields.js';
import type { Architecture, BleuCurve, Warning } from './records.js';
import { Described, isPlainObject, readFields, refuse } from './validation.js';

/** Model files larger than this are refused. */
export const MAX_MODEL_BYTES = 512 * 1024 * 1024;
export const MAX_VOCABULARY_BYTES = 64 * 1024 * 1024;

export const TEACHER_IMPORT_FIELDS = {
  name: { kind: 'name', meaning: 'What the teacher is called', defaultMeaning: "the model file's name" },
  corpus: {
    kind: 'name',
    meaning: 'Id or name of the corpus it was trained on',
    defaultMeaning: 'the stored corpus whose vocabulary is the given one',
  },
  heads: {
    kind: 'integer',
    meaning: 'Attention heads, which the tensors do not tell; must divide the width',
    defaultMeaning: "what the file says, else 8 for a model of the reference's width",
    minimum: 1,
    maximum: 256,
  },
  dryRun: { kind: 'boolean', meaning: 'Only tell what the file holds; nothing is kept', default: false },
} as const satisfies Record<string, Field>;

class TeacherImportFields {
  @Described(TEACHER_IMPORT_FIELDS.name) name?: string;
  @Described(TEACHER_IMPORT_FIELDS.corpus) corpus?: string;
  @Described(TEACHER_IMPORT_FIELDS.heads) heads?: number;
  @Described(TEACHER_IMPORT_FIELDS.dryRun) dryRun?: boolean;
}

export interface TeacherImportRequest {
  name?: string;
  corpus?: string;
  heads?: number;
  dryRun: boolean;
}

/** Parses the text fields of an import, where numbers and booleans arrive as text. Throws InvalidRequest with all faults. */
export function parseTeacherImport(fields: unknown): TeacherImportRequest {
  const faults: Fault[] = [];
  const sent = readFields(TeacherImportFields, TEACHER_IMPORT_FIELDS, typed(fields), '', faults);
  refuse(faults);
  const given = Object.fromEntries(Object.entries(sent).filter(([, value]) => value !== undefined));
  return { ...given, dryRun: sent.dryRun ?? false };
}

function typed(fields: unknown): unknown {
  if (!isPlainObject(fields)) return fields;
  const { heads, dryRun } = fields;
  return {
    ...fields,
    ...(typeof heads === 'string' && /^-?\d{1,9}$/.test(heads) ? { heads: Number(heads) } : {}),
    ...(dryRun === 'true' || dryRun === 'false' ? { dryRun: dryRun === 'true' } : {}),
  };
}

/** What one should know of a file that can be used all the same. `values` is what the message says, for other languages. */
export interface ImportNote {
  code:
    | 'non-finite'
    | 'values-cut'
    | 'heads-as-asked'
    | 'heads-of-reference'
    | 'position-rows-differ'
    | 'no-sinusoid'
    | 'sentences-longer';
  message: string;
  values: Record<string, string | number>;
}

/** What a model file was found to hold, before anything of it is kept. */
export interface ModelInspection {
  format: 'safetensors' | 'pytorch-zip' | 'pytorch-legacy';
  fileName: string;
  size: number;
  /** hex */
  sha256: string;
  tensors: number;
  parameters: number;
  /** The keys that lead to the tensors inside the file, joined by '/', and what every name was prefixed with. */
  wrapper: { stateDictAt: string; prefix: string };
  /** Absent when the tensors are no DeepSC's; without heads when nobody has told them. */
  architecture?: Omit<Architecture, 'heads'> & { heads?: number };
  /** Rows of the position tables in the file. They are recomputed, so they need not fit. */
  positions: { transmitter?: number; receiver?: number };
  missing: string[];
  extra: string[];
  mismatched: { name: string; found: number[]; expected: number[] }[];
  notes: ImportNote[];
  /** Why the file cannot be a teacher; empty when it can. */
  faults: Fault[];
}

const UNTRAINED_BLEU = 0.2;

/** Warnings of a teacher's own score: what was loaded wrongly, or never trained, understands nothing however clean the channel. */
export function scoreWarnings(scores: BleuCurve): Warning[] {
  const last = scores.snrDb.length - 1;
  const bleu1 = scores.bleu1[last];
  const snrDb = scores.snrDb[last];
  if (bleu1 === undefined || bleu1 >= UNTRAINED_BLEU) return [];
  return [
    {
      code: 'teacher-untrained',
      message: `BLEU-1 ${bleu1.toFixed(3)} at ${snrDb} dB: this is not a trained model for this vocabulary.`,
    },
  ];
}
