// The options of the learning benchmarks, parsed and checked; all faults in one sentence.
import { parseArgs } from 'node:util';

export const LEARNING_HELP = `npm run bench -- learning [options]

Target tokens a second of our trainer beside PyTorch, in interleaved rounds on a quiet machine. About a quarter of an hour for three rounds.

  --rounds N            rounds; each contestant runs once in each (3)
  --steps N             measured steps of a run, over all sentence lengths (8)
  --warmup N            steps of a peer before those that count (2); ours goes through all its batches once
  --students K,K        sizes of our bundles (5,1)
  --vocabulary LIST     full, small (full,small)
  --batch N,N           sentences a batch (128)
  --only PATTERN        contestants whose name matches, such as 'full .*(ours|plain)'
  --wasm                on WebAssembly too: our loss against the textbook's, batch 32
  --threads N           CPU threads of every contestant (all cores)
  --seed N              of the first round; the next rounds count on (42)
  --quick               one round of few steps, whatever the machine does: to see that it works
  --list                print the contestants and end

  --no-peers            ours alone
  --peers-folder DIR    the peers' scripts (SEMDISTILL_PEERS, else ../shared/peers beside the checkout)
  --data DIR            token files in DIR/full and DIR/small (else made by the peers' prepare.py)
  --paragraphs FILE     what prepare.py reads (data/europarl/paragraphs.txt.gz beside the peers' folder)
  PEER_PYTHON           a Python that has torch and numpy (python3)

  --peak GFLOPS         the machine's GEMM peak (else measured: the best of ours and PyTorch's)
  --max-foreign SHARE   a run counts when other programs used less than this share of the machine (0.08)
  --retries N           how often a disturbed run is repeated before it is kept and marked (3)
  --quiet-wait SECONDS  longest wait for a quiet machine before a run (60)
  --timeout SECONDS     longest time of a run (600)
  --out FILE            everything as JSON`;

const text = (fallback) => ({ type: 'string', ...(fallback === undefined ? {} : { default: fallback }) });
const flag = { type: 'boolean', default: false };

const OPTIONS = {
  rounds: text(),
  steps: text(),
  warmup: text(),
  students: text('5,1'),
  vocabulary: text('full,small'),
  batch: text('128'),
  only: text(''),
  threads: text(),
  seed: text('42'),
  wasm: flag,
  quick: flag,
  list: flag,
  help: flag,
  'no-peers': flag,
  'peers-folder': text(),
  data: text(),
  paragraphs: text(),
  peak: text(),
  'max-foreign': text('0.08'),
  retries: text(),
  'quiet-wait': text(),
  timeout: text('600'),
  out: text(),
};

const THOROUGH = { rounds: 3, steps: 8, warmup: 2, retries: 3, 'quiet-wait': 60 };
const QUICK = { rounds: 1, steps: 2, warmup: 1, retries: 0, 'quiet-wait': 4 };

/** A mistake on the command line; the message says all of them. */
export class OptionProblem extends Error {}

/** Throws OptionProblem. */
export function parseLearningOptions(args) {
  const values = parse(args);
  const problems = [];
  const defaults = values.quick ? QUICK : THOROUGH;
  const number = (name, { least = 1, integer = true } = {}) => {
    const value = Number(values[name] ?? defaults[name]);
    if (!(value >= least) || (integer && !Number.isInteger(value)))
      problems.push(`--${name} must be ${integer ? 'a whole number' : 'a number'} from ${least} on`);
    return value;
  };
  const list = (name, isAllowed, wanted) => {
    const items = values[name].split(',').map((item) => item.trim());
    if (!items.every(isAllowed)) problems.push(`--${name} must be ${wanted}`);
    return [...new Set(items)];
  };
  const isCount = (item) => /^[1-9]\d*$/.test(item);
  const options = {
    rounds: number('rounds'),
    steps: number('steps'),
    warmup: number('warmup'),
    students: list('students', isCount, 'whole numbers').map(Number),
    vocabularies: list('vocabulary', (item) => item === 'full' || item === 'small', 'full, small or both'),
    batches: list('batch', isCount, 'whole numbers').map(Number),
    only: pattern(values.only, problems),
    threads: values.threads === undefined ? undefined : number('threads'),
    seed: number('seed', { least: 0 }),
    wasm: values.wasm,
    list: values.list,
    help: values.help,
    withPeers: !values['no-peers'],
    peersFolder: values['peers-folder'],
    dataFolder: values.data,
    paragraphs: values.paragraphs,
    peak: values.peak === undefined ? undefined : number('peak', { integer: false }),
    maxForeign: number('max-foreign', { least: 0, integer: false }),
    retries: number('retries', { least: 0 }),
    quietWaitMs: 1000 * number('quiet-wait', { least: 0, integer: false }),
    timeoutMs: 1000 * number('timeout', { integer: false }),
    out: values.out,
  };
  if (problems.length > 0) throw new OptionProblem(`${problems.join('; ')}.`);
  return options;
}

function parse(args) {
  try {
    return parseArgs({ args, options: OPTIONS }).values;
  } catch (error) {
    throw new OptionProblem(error.message);
  }
}

function pattern(source, problems) {
  try {
    return new RegExp(source);
  } catch {
    problems.push('--only must be a regular expression');
    return /^/;
  }
}
