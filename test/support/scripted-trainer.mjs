// A trainer that trains nothing: it speaks the trainer protocol as a script file says, so that a worker can be tested
// with a real process that finishes, crashes, hangs or ignores it. Started as `node scripted-trainer.mjs SCRIPT WORKFOLDER`.
//   SCRIPT.starts gets a line {pid, kind, trialIds, parts} for every start; SCRIPT.go ends a 'hold'.
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [scriptFile, workFolder] = process.argv.slice(2);
const script = JSON.parse(readFileSync(scriptFile, 'utf8'));
const job = JSON.parse(readFileSync(join(workFolder, 'job.json'), 'utf8'));
const trialIds = job.kind === 'bundle' ? job.trials.map((trial) => trial.trialId) : [];
const open = new Set(trialIds);

const say = (message) => new Promise((resolve) => process.send(message, resolve));
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

appendFileSync(
  `${scriptFile}.starts`,
  `${JSON.stringify({ pid: process.pid, kind: job.kind, trialIds, parts: job.parts, malloc: process.env.MALLOC_TOP_PAD_ })}\n`,
);
process.on('disconnect', () => process.exit(1));
process.on('message', (command) => {
  if (script.mode === 'deaf') return;
  if (command.type === 'stop') process.exit(0);
  for (const trialId of command.trialIds) open.delete(trialId);
});

function write(folder, name, text) {
  mkdirSync(join(workFolder, folder), { recursive: true });
  writeFileSync(join(workFolder, folder, name), text);
}

async function complete(trialId) {
  if (!open.delete(trialId)) return;
  const summary = script.summaries[trialId];
  for (const metrics of summary.epochs) await say({ type: 'epoch', trialId, metrics });
  write(trialId, 'final_student_model.safetensors', `weights of ${trialId}`);
  write(trialId, 'distillation_config.json', JSON.stringify({ trialId }));
  const files = [
    { name: 'final_student_model.safetensors', contentType: 'application/octet-stream' },
    { name: 'distillation_config.json', contentType: 'application/json' },
  ];
  await say({ type: 'trial-completed', trialId, summary, files });
}

async function progress(step = 12) {
  await say({
    type: 'progress',
    phase: 'training',
    fraction: 0.5,
    step,
    steps: 24,
    epoch: 1,
    epochs: 2,
    tokensPerSecond: 1000,
    trainLoss: Object.fromEntries([...open].map((trialId) => [trialId, 1.5])),
  });
}

async function hold() {
  while (!existsSync(`${scriptFile}.go`) && !(open.size === 0 && trialIds.length > 0)) {
    await progress();
    await wait(20);
  }
}

async function end(message) {
  if (message) await say(message);
  process.exit(0);
}

console.log('the scripted trainer is here');
await say({ type: 'ready', numerics: script.numerics });
if (script.mode === 'crash') {
  console.error('something broke');
  process.exit(3);
}
if (script.mode === 'silent') await wait(600_000);
if (script.mode === 'stuck') {
  for (let step = 1; ; step = Math.min(step + 1, 5)) {
    await progress(step);
    await wait(20);
  }
}
if (script.mode === 'impossible') await end({ type: 'impossible', reason: 'This cannot be done.' });
if (script.mode === 'quit') await end({ type: 'done' });
if (script.mode === 'hold' || script.mode === 'deaf') await hold();

if (job.kind === 'prepare-corpus') {
  const text = readFileSync(job.textFile, 'utf8');
  for (const name of ['vocab.json', 'train.json', 'test.json'])
    write('corpus', name, JSON.stringify({ name, text: text.length }));
  await progress();
  const { name, source, options } = job;
  await say({
    type: 'corpus-completed',
    corpus: { name, source, options, ...script.corpus },
    files: ['vocab.json', 'train.json', 'test.json'].map((file) => ({ name: file, contentType: 'application/json' })),
  });
} else if (job.kind === 'bundle') {
  await progress();
  let first = true;
  for (const trialId of trialIds) {
    if (script.failing?.includes(trialId)) {
      open.delete(trialId);
      await say({ type: 'trial-failed', trialId, reason: 'The loss is not a number.', step: 7 });
    } else await complete(trialId);
    if (script.mode === 'crash-after-first' && first) process.exit(3);
    first = false;
  }
} else if (job.kind === 'cross-decode') {
  await progress();
  // A number that depends on what the files hold, so that a wrong or missing one shows.
  const sizes = job.models.map(({ path }) => readFileSync(path).length);
  const bleu1 = sizes.map((sent) => sizes.map((heard) => (sent + heard) / 1000));
  await say({ type: 'cross-decoded', bleu1, numerics: script.numerics });
} else {
  write('teacher', 'model.safetensors', 'weights of a teacher');
  await say({
    type: 'teacher-completed',
    teacher: { ...script.teacher, name: job.name, corpusId: job.corpus.corpusId },
    files: [{ name: 'model.safetensors', contentType: 'application/octet-stream' }],
  });
}
await end({ type: 'done' });
