// The learning benchmarks, from the command line to the table: who takes part on which sentences, the machine's facts and peak,
// the rounds, and what came out. Ctrl-C ends the run under way and shows what there is.
import { writeFileSync } from 'node:fs';
import { DataProblem, findData } from './data.mjs';
import { megaflopsPerToken } from './flops.mjs';
import { learningContestants } from './learning-contestants.mjs';
import { LEARNING_HELP, OptionProblem, parseLearningOptions } from './learning-options.mjs';
import { machineFacts, measureGemm } from './machine.mjs';
import { findPeers } from './peers.mjs';
import { runRounds } from './rounds.mjs';
import { summarize } from './summary.mjs';
import { tableLines } from './table.mjs';

/** Resolves to the exit status. */
export async function runLearning(args) {
  try {
    const options = parseLearningOptions(args);
    if (options.help) {
      console.log(LEARNING_HELP);
      return 0;
    }
    return await run(options);
  } catch (error) {
    if (!(error instanceof OptionProblem) && !(error instanceof DataProblem)) throw error;
    console.error(error.message);
    return 2;
  }
}

async function run(options) {
  const stopping = new AbortController();
  const { signal } = stopping;
  const stop = () => {
    // Whoever asks twice does not want the table either.
    if (signal.aborted) process.exit(130);
    stopping.abort();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  const notes = [];
  const say = (line) => console.error(line);
  const note = (line) => {
    notes.push(line);
    say(line);
  };
  const record = { bench: 'learning', started: new Date().toISOString(), options: described(options), notes, runs: [] };
  let contestants = [];
  let hasFailed = false;
  try {
    const { sets, peers } = await findContest({ ...options, signal, say, note });
    contestants = learningContestants({ sets, peers, options });
    if (options.list) {
      for (const { name } of contestants) console.log(name);
      return 0;
    }
    record.machine = machineFacts(peers);
    record.data = sets.map(describeSet);
    for (const line of headLines(record)) console.log(line);
    record.gemm = options.peak ? {} : await measureGemm({ ...options, peers, data: sets[0], signal, say: note });
    record.peakGflops = options.peak ?? Math.max(0, ...Object.values(record.gemm).map(({ best }) => best));
    console.log(peakLine(record));
    const failed = await runRounds(contestants, { ...options, signal, say: note }, (run) => {
      record.runs.push(run);
      say(runLine(run));
    });
    hasFailed = failed.some(({ isOurs }) => isOurs);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (signal.aborted) note('Stopped before the end: medians of the rounds there are.');
  const summary = summarize(contestants, record.runs, record.peakGflops);
  for (const line of [...tableLines(summary), '', ...legend(summary)]) console.log(line);
  if (options.out) writeFileSync(options.out, `${JSON.stringify(asJson(record, summary), null, 2)}\n`);
  return signal.aborted ? 130 : hasFailed || record.runs.length === 0 ? 1 : 0;
}

/** The sentences and the peers; each thing that is missing is one note. */
async function findContest(options) {
  const { withPeers, vocabularies, note } = options;
  const peers = withPeers
    ? await findPeers(options)
    : { missing: 'The PyTorch peers are left out, as asked (--no-peers).' };
  if (peers.missing) note(peers.missing);
  const data = await findData({ ...options, vocabularies, peers });
  if (data.note) note(data.note);
  return { sets: data.sets, peers };
}

function described({ only, ...options }) {
  return { ...options, only: only.source };
}

function describeSet({ name, vocabularySize, lengths, folder }) {
  const megaflops = megaflopsPerToken(lengths, vocabularySize);
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  return {
    name,
    source: folder === undefined ? 'generated' : 'token files',
    vocabularySize,
    sentences: lengths.length,
    tokensPerSentence: Number((tokens / lengths.length).toFixed(3)),
    megaflopsPerTargetToken: Object.fromEntries(
      Object.entries(megaflops).map(([part, value]) => [part, Number(value.toFixed(2))]),
    ),
  };
}

function headLines({ machine, data }) {
  const { cpu, cores, memoryGb, vectorUnits, kernel, node, tensorflow, torch } = machine;
  return [
    `${cpu}, ${cores} cores, ${memoryGb} GB, ${vectorUnits.join(' ') || 'no known vector units'}; kernel ${kernel}`,
    `Node ${node}, TensorFlow ${tensorflow ?? 'not there'}, torch ${torch ?? 'not there'}; commit ${machine.commit ?? 'unknown'}`,
    ...data.map(
      ({ name, source, sentences, vocabularySize, tokensPerSentence }) =>
        `${name}: ${sentences} sentences of ${tokensPerSentence} tokens, vocabulary ${vocabularySize} (${source})`,
    ),
  ];
}

function peakLine({ gemm, peakGflops }) {
  const parts = Object.entries(gemm).map(([name, { median, best }]) => `${name} ${median} (best ${best})`);
  return `GEMM peak: ${peakGflops || 'unknown'} GFLOP/s${parts.length > 0 ? `; measured by ${parts.join(', ')}` : ''}`;
}

function runLine({ contestant, round, result, load, isNoisy }) {
  const rate = `${result.target_tokens_per_s} target tokens/s, ${result.peak_rss_mb} MB`;
  const others = load ? `, others ${(100 * load.foreign).toFixed(1)} %, host ${(100 * load.stolen).toFixed(1)} %` : '';
  return `round ${round + 1} ${contestant.name}: ${rate}${others}${isNoisy ? ' (noisy)' : ''}`;
}

function legend(summary) {
  const has = (test) => summary.some(test);
  return [
    'Medians of the rounds (lowest-highest): non-pad target tokens, summed over the students.',
    ...(has(({ memoryRatio }) => memoryRatio !== undefined)
      ? ['Ratios are of medians; behind the memory in brackets: against the first of the columns of ratios.']
      : []),
    ...(has(({ noisyRounds }) => noisyRounds > 0)
      ? ['Noisy rounds shared the machine with other programs: measure again before you conclude anything.']
      : []),
  ];
}

function asJson({ runs, ...record }, summary) {
  return {
    ...record,
    summary: summary.map(({ against, ...entry }) => entry),
    runs: runs.map(({ contestant, ...run }) => ({ name: contestant.name, ...run })),
  };
}
