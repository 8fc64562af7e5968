// The reference pipeline's train_data.pkl and test_data.pkl: a pickled list of lists of token ids, read by the same
// machine and the same rules as a checkpoint, with not one name allowed.
import { CheckpointError } from './checkpoint-error.js';
import { type CheckpointLimits, defaultLimits, withDefaults } from './limits.js';
import { readPickle } from './pickle-machine.js';
import { describe } from './pickle-values.js';
import { plainVocabulary } from './pytorch-vocabulary.js';

/** Ceilings for about a million sentences; memory stays under a few hundred MB. */
const corpusLimits: Partial<CheckpointLimits> = {
  pickleBytes: 16 * defaultLimits.pickleBytes,
  objects: 4 * defaultLimits.objects,
  memoSlots: 4 * defaultLimits.memoSlots,
};

/** Reads a pickled list of lists of whole numbers from 0 up. Throws CheckpointError for anything else. */
export function readPickledLists(bytes: Uint8Array, limits?: Partial<CheckpointLimits>): number[][] {
  const ceilings = withDefaults({ ...corpusLimits, ...limits });
  const { value, end } = readPickle({ bytes, start: 0, label: 'The pickle' }, plainVocabulary, ceilings);
  if (!Array.isArray(value)) throw notLists(describe(value));
  if (end !== bytes.length) throw notLists(`${bytes.length - end} bytes after its end`);
  for (const [i, list] of value.entries()) {
    if (!Array.isArray(list)) throw notLists(`${describe(list)} in place ${i}`);
    const wrong = list.find((item) => typeof item !== 'number' || item < 0);
    if (wrong !== undefined) throw notLists(`${typeof wrong === 'number' ? wrong : describe(wrong)} in list ${i}`);
  }
  return value as number[][];
}

function notLists(found: string): CheckpointError {
  return new CheckpointError(
    `The pickle holds ${found} instead of a list of lists of token ids: give the train_data.pkl or test_data.pkl of the reference pipeline, or plain text.`,
  );
}
