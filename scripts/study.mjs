// Runs a study of docs/studies again, from nothing to its numbers: `npm run study -- temperature`. Starts a fleet of its own, makes
// teacher and corpus, runs the sweeps, keeps the reports, and says which hashes and means equal those of NAME.results.json.
// With --server URL (and SEMDISTILL_API_KEY) it uses a fleet that is there; with --record it writes NAME.results.json.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const CLI = join(root, 'dist', 'apps', 'cli', 'main.js');
const HELP = `npm run study -- NAME [options]
  NAME            a study of docs/studies, such as temperature
  --state FOLDER  what the fleet keeps, and the reports; a run that was stopped goes on from it (.semdistill/study-NAME)
  --workers N     workers of the fleet (1)
  --server URL    use the fleet at this address, with the key of SEMDISTILL_API_KEY
  --record        write the results beside the study instead of comparing them`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    state: { type: 'string' },
    workers: { type: 'string', default: '1' },
    server: { type: 'string' },
    record: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const [name] = positionals;
if (values.help || name === undefined || !/^[a-z-]+$/.test(name)) {
  console.log(HELP);
  process.exit(values.help ? 0 : 2);
}
const study = JSON.parse(readFileSync(join(root, 'docs', 'studies', `${name}.json`), 'utf8'));
const resultsFile = join(root, 'docs', 'studies', `${name}.results.json`);
const state = resolve(values.state ?? join('.semdistill', `study-${name}`));
mkdirSync(state, { recursive: true });

const fleet =
  values.server === undefined ? await startFleet() : { url: values.server, key: process.env.SEMDISTILL_API_KEY };
try {
  const results = await run();
  if (values.record) {
    writeFileSync(resultsFile, `${JSON.stringify(results, null, 1)}\n`);
    console.log(`written: ${resultsFile}`);
  } else process.exitCode = compare(JSON.parse(readFileSync(resultsFile, 'utf8')), results);
} finally {
  await fleet.stop?.();
}

async function run() {
  await cli('teacher', 'train', '--builtin', study.teacher.builtin);
  const sweeps = {};
  // All are asked for before the first is waited for, so that no worker is idle between them.
  const ids = [];
  for (const [part, request] of Object.entries(study.sweeps)) ids.push([part, await submit(part, request)]);
  for (const [part, id] of ids) {
    console.log(await cli('watch', id));
    for (const format of ['html', 'md', 'csv', 'json']) {
      writeFileSync(join(state, `report-${part}.${format}`), await get(`/v1/sweeps/${id}/report.${format}`));
    }
    const report = JSON.parse(readFileSync(join(state, `report-${part}.json`), 'utf8'));
    sweeps[part] = { sweepId: id, ...(await digest(report)) };
    console.log(`${part}: ${join(state, `report-${part}.html`)}`);
  }
  return { sweeps };
}

async function submit(part, request) {
  const file = join(state, `sweep-${part}.json`);
  writeFileSync(file, JSON.stringify(request));
  const printed = await cli('sweep', file, '--no-wait', '--json', '--idempotency-key', `study-${name}-${part}`);
  return JSON.parse(printed).sweepId;
}

/** What must be equal for the study to hold: the models' hashes, and the means that its text speaks of. */
async function digest(report) {
  const at = report.evaluation.snrDb.indexOf(report.headlineSnrDb);
  const settings = {};
  for (const { label, trialIds, validationLoss, curves } of report.settings) {
    const models = [];
    for (const trialId of trialIds) models.push(await modelHash(trialId));
    const mean = (measure) => rounded(curves[measure]?.mean[at]);
    settings[label] = {
      validationLoss: rounded(validationLoss.mean),
      bleu1: mean('bleu1'),
      jsd: mean('jsd'),
      kl: mean('kl'),
      models,
    };
  }
  return { teacher: report.teacher.teacherId, corpus: report.corpus.corpusId, settings };
}

async function modelHash(trialId) {
  const { items } = JSON.parse(await get(`/v1/trials/${trialId}/artifacts`));
  return items.find((one) => one.name.startsWith('final_student_model'))?.sha256 ?? null;
}

async function get(path) {
  const response = await fetch(`${fleet.url}${path}`, { headers: { authorization: `Bearer ${fleet.key}` } });
  if (!response.ok) throw new Error(`${path} answers ${response.status}: ${(await response.text()).slice(0, 300)}`);
  return response.text();
}

/** 0 when all means agree to 2 %, whatever the hashes; bits are equal only on the same library, threads and kind of processor. */
function compare(recorded, found) {
  let status = 0;
  for (const [part, sweep] of Object.entries(recorded.sweeps)) {
    for (const [label, setting] of Object.entries(sweep.settings)) {
      const now = found.sweeps[part]?.settings[label];
      const same = setting.models.filter((hash, i) => hash === now?.models[i]).length;
      const apart = ['validationLoss', 'bleu1', 'jsd'].filter((key) => !isNear(setting[key], now?.[key]));
      if (apart.length > 0) status = 1;
      const verdict =
        apart.length === 0
          ? 'means agree'
          : `apart: ${apart.map((key) => `${key} ${now?.[key]} (${setting[key]})`).join(', ')}`;
      console.log(`${part} ${label}: ${same} of ${setting.models.length} models byte for byte; ${verdict}`);
    }
  }
  return status;
}

function isNear(recorded, found) {
  if (recorded === null || found === null) return recorded === found;
  return Math.abs(recorded - found) <= 0.02 * Math.abs(recorded);
}

function rounded(value) {
  return value === undefined ? null : Number(value.toPrecision(6));
}

/** What a command of semdistill prints; what it says on the way is shown. */
async function cli(...args) {
  const env = { ...process.env, SEMDISTILL_URL: fleet.url, SEMDISTILL_API_KEY: fleet.key };
  const child = spawn(process.execPath, [CLI, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    printed += text;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`semdistill ${args[0]} ended with ${code}`);
  return printed;
}

async function startFleet() {
  const port = await freePort();
  const child = spawn(
    process.execPath,
    [CLI, 'up', '--state', state, '--port', String(port), '--workers', values.workers],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  const ended = new Promise((done) => child.once('exit', done));
  const stop = () => {
    child.kill('SIGTERM');
    return ended;
  };
  process.once('SIGINT', stop);
  const url = `http://127.0.0.1:${port}`;
  while (
    !(await fetch(`${url}/v1/health/ready`).then(
      (answer) => answer.ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null) throw new Error('the fleet did not start');
    await new Promise((done) => setTimeout(done, 300));
  }
  return { url, key: readFileSync(join(state, 'key'), 'utf8').trim(), stop };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}
