// What a model file holds, looked at before anything of it is kept: its tensors against the DeepSC they seem to be, its
// position tables, its heads, and every reason why it cannot be a teacher. Only bytes are looked at; no TensorFlow here.
import { type Checkpoint, CheckpointError, readCheckpoint, toFloat32, withoutPrefix } from '#checkpoint';
import { type Fault, type ImportNote, InvalidRequest, type ModelInspection } from '#experiment';
import type { UploadedFile } from '../requests/uploaded-files.js';

type Semcom = typeof import('#semcom');
type Sizes = NonNullable<ModelInspection['architecture']>;

/** The width for which the reference has 8 heads. */
const REFERENCE_WIDTH = 128;
const REFERENCE_HEADS = 8;
/** Position rows that are compared, and how far float32 tables of other programs stray. */
const ROWS_COMPARED = 64;
const POSITION_TOLERANCE = 1e-3;

/** Inspects the bytes of a checkpoint of any kind. Throws InvalidRequest when they are none. */
export function inspectModel(
  bytes: Uint8Array,
  file: UploadedFile,
  asked: { heads?: number },
  semcom: Semcom,
): ModelInspection {
  const checkpoint = read(bytes, file.fileName);
  const tensors = withoutPrefix(checkpoint);
  const survey = semcom.surveyStateDict(new Map([...tensors].map(([name, { shape }]) => [name, shape])));
  const { sizes, positions, missing, extra, mismatched } = survey;
  const faults: Fault[] = [];
  const notes: ImportNote[] = [...checkpoint.notes];
  const nonFinite = notes.find(({ code }) => code === 'non-finite');
  if (nonFinite) faults.push({ path: 'model', message: nonFinite.message });
  for (const name of missing) faults.push({ path: name, message: 'is missing' });
  for (const { name, found, expected } of mismatched) {
    faults.push({ path: name, message: `is [${found.join(', ')}], expected [${expected.join(', ')}]` });
  }
  for (const name of extra) faults.push({ path: name, message: 'does not belong to a DeepSC of these sizes' });
  if (!sizes) {
    const message = `no DeepSC is in this file: of ${tensors.size} tensors none is its embedding or its feed-forward block (encoder.embedding.weight [words, width], …ffn.w_1.weight)`;
    faults.splice(0, faults.length, { path: 'model', message });
  }
  const heads = sizes && headsOf(sizes, asked.heads, checkpoint, { faults, notes, semcom });
  if (sizes) notes.push(...positionNotes(tensors, positions, semcom));
  const architecture = sizes && { ...sizes, ...(heads === undefined ? {} : { heads }) };
  const parameters = [...tensors.values()]
    .filter(({ name }) => !semcom.isPositionTable(name))
    .reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
  return {
    format: checkpoint.format,
    fileName: file.fileName,
    size: file.size,
    sha256: file.sha256,
    tensors: tensors.size,
    parameters,
    wrapper: { stateDictAt: checkpoint.stateDictAt.join('/'), prefix: checkpoint.prefix },
    ...(architecture ? { architecture } : {}),
    positions,
    missing,
    extra,
    mismatched,
    notes,
    faults,
  };
}

function read(bytes: Uint8Array, fileName: string): Checkpoint {
  try {
    return readCheckpoint(bytes, fileName);
  } catch (error) {
    if (error instanceof CheckpointError) throw new InvalidRequest([{ path: 'model', message: error.message }]);
    throw error;
  }
}

/** As asked, else as the file says, else the reference's where its width is; otherwise a fault that asks. */
function headsOf(
  sizes: Sizes,
  asked: number | undefined,
  checkpoint: Checkpoint,
  { faults, notes, semcom }: { faults: Fault[]; notes: ImportNote[]; semcom: Semcom },
): number | undefined {
  const { dModel } = sizes;
  const possible = semcom.headsThatDivide(dModel);
  const told = headsInFile(checkpoint);
  const choices = `width ${dModel} can have ${possible.join(', ')}`;
  if (asked !== undefined) {
    if (!possible.includes(asked)) {
      faults.push({ path: 'heads', message: `${asked} heads do not divide the width ${dModel}; ${choices}` });
      return undefined;
    }
    if (told !== undefined && told !== asked) {
      const message = `The file says ${told} heads; ${asked} are taken, as asked.`;
      notes.push({ code: 'heads-as-asked', message, values: { told, asked } });
    }
    return asked;
  }
  if (told !== undefined && possible.includes(told)) return told;
  if (dModel === REFERENCE_WIDTH) {
    const message = `The tensors do not tell the heads; ${REFERENCE_HEADS} are taken, as the reference has them.`;
    notes.push({ code: 'heads-of-reference', message, values: { heads: REFERENCE_HEADS } });
    return REFERENCE_HEADS;
  }
  const message = `the tensors do not tell the number of attention heads; give it (--heads): ${choices}`;
  faults.push({ path: 'heads', message });
  return undefined;
}

/** From our own metadata, or from the settings that training programs keep beside the tensors. */
function headsInFile({ metadata, values }: Checkpoint): number | undefined {
  try {
    const architecture: unknown = JSON.parse(metadata.get('architecture') ?? 'null');
    if (typeof architecture === 'object' && architecture !== null && 'heads' in architecture) {
      if (typeof architecture.heads === 'number') return architecture.heads;
    }
  } catch {
    // metadata of another program
  }
  for (const [path, value] of values) {
    if (/(?:^|[/._])(?:num_?heads|n_?heads|nhead|heads)$/i.test(path) && Number.isSafeInteger(Number(value))) {
      return Number(value);
    }
  }
  return undefined;
}

/** The tables are recomputed: other rows are no matter, other values are another model. */
function positionNotes(
  tensors: ReturnType<typeof withoutPrefix>,
  { transmitter, receiver }: ModelInspection['positions'],
  semcom: Semcom,
): ImportNote[] {
  const notes: ImportNote[] = [];
  if (transmitter !== receiver) {
    const message = `The position tables have ${transmitter ?? 'no'} and ${receiver ?? 'no'} rows; both are recomputed.`;
    const values = { transmitter: transmitter ?? 0, receiver: receiver ?? 0 };
    notes.push({ code: 'position-rows-differ', message, values });
  }
  for (const name of ['encoder.pos_encoding.pe', 'decoder.pos_encoding.pe']) {
    const table = tensors.get(name);
    if (!table || table.dtype.startsWith('F8')) continue;
    const width = table.shape.at(-1) ?? 0;
    const values = toFloat32(table);
    const expected = semcom.positionTable(ROWS_COMPARED, width);
    for (let i = 0; i < Math.min(values.length, expected.length); i++) {
      if (Math.abs((values[i] as number) - (expected[i] as number)) <= POSITION_TOLERANCE) continue;
      const row = Math.floor(i / width);
      const message = `${name} is not the sinusoid of the reference (row ${row}); it is recomputed, so the model may behave otherwise here.`;
      notes.push({ code: 'no-sinusoid', message, values: { name, row } });
      break;
    }
  }
  return notes;
}
