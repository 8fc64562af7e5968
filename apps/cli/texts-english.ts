// The words of the command line in English; their keys and parameters are the pattern of every other language.
import type { ImportNote } from '#experiment';
import { analysisEnglish } from './texts-analysis-english.js';
import { fleetEnglish } from './texts-fleet-english.js';
import { storeEnglish } from './texts-store-english.js';

export type Kind = 'corpus' | 'teacher' | 'hybrid' | 'verification' | 'cross-decoding' | 'analysis';

export const english = {
  ...fleetEnglish,
  ...storeEnglish,
  ...analysisEnglish,
  language: 'en' as 'en' | 'zh',
  error: 'error:',
  interrupted: 'interrupted',
  unexpected: (message: string) => `unexpected: ${message} (please report this)`,
  wrongRequest: 'the request is not right:',
  commanderSays: (text: string) => text,
  wholeNumber: (low: number, high: number, got: string) =>
    `must be a whole number from ${low} to ${high}, not ${JSON.stringify(got)}`,
  oneOf: (choices: string, got: string) => `must be one of ${choices}, not ${JSON.stringify(got)}`,

  // state folder and processes
  stateFolderForeign: (path: string, names: string) =>
    `${path} is not a state folder: it holds other files (${names}); choose an empty or new folder with --state`,
  stateFolderNoPermission: (path: string) =>
    `no permission to write into the state folder ${path}; choose another with --state`,
  stateFolderIsFile: (path: string) =>
    `the state folder ${path} is a file or lies under one; choose another with --state`,
  stateFolderBad: (path: string, code: string) =>
    `the state folder ${path} cannot be used (${code}); choose another with --state`,
  stateFolderHeld: (path: string, pid: number, since: string) =>
    `the state folder ${path} is held by another semdistill: process ${pid}, running since ${since}; stop it (kill ${pid}) or choose another folder with --state`,
  diskFull: (path: string) => `the disk that holds ${path} is full; free some space and start again`,
  notSetUp: (missing: string, script: string) =>
    `semdistill is not set up here (${missing} is missing); run: node ${script}`,
  redisNotFound:
    'no Redis server found (redis-server or valkey-server); install it (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis) or set REDIS_URL to a running one',
  redisProgramMissing: (path: string) =>
    `REDIS_SERVER_BIN names ${path}, which is not a program that can be run; correct it or leave it out`,
  portInUse: (port: number) => `port ${port} on 127.0.0.1 is in use by another program; choose another with --port`,
  portForbidden: (port: number) =>
    `port ${port} needs more rights than this user has; choose one above 1023 with --port`,
  startingRedis: 'starting Redis',
  startingServices: (workers: number) =>
    `starting the API, the aggregator and ${workers} worker${workers === 1 ? '' : 's'}`,
  serviceDidNotStart: (name: string, words: string, log: string) =>
    `${name} did not start: ${words || 'it said nothing'} (log: ${log})`,
  serviceKeepsDying: (name: string, words: string, log: string) =>
    `${name} has ended again and again, so everything is stopped: ${words || 'it said nothing'} (log: ${log})`,
  serviceDied: (name: string, how: string, seconds: number) =>
    `${name} has ended (${how}); it is started again in ${seconds} s`,
  apiNotListening: 'the API is not listening yet',
  workersMissing: (there: number, wanted: number) => `${there} of ${wanted} workers are there`,
  notReadyInTime: (seconds: number, missing: string, logs: string) =>
    `the services were not ready after ${seconds} s: ${missing} (logs: ${logs})`,
  running: (facts: { url: string; keyFile: string; state: string; workers: number; command: string }) => [
    `semdistill is running with ${facts.workers} worker${facts.workers === 1 ? '' : 's'}; Ctrl-C stops it`,
    `  address  ${facts.url}  (API documentation: ${facts.url}/docs)`,
    `  key      ${facts.keyFile}`,
    `  state    ${facts.state}`,
    `  try      ${facts.command} sweep --temperature 1,2,4,8   (in this folder, in another terminal)`,
  ],
  stopping: 'stopping; Ctrl-C again kills',
  stopped: 'stopped',

  // connection
  noServer: (command: string) =>
    `no server is known here; start one with '${command} up', or name one with --server and --key or SEMDISTILL_URL and SEMDISTILL_API_KEY`,
  howToStart: (command: string) => `is it running? '${command} up' starts one on this machine`,
  badServerFlag: (value: string) => `--server must be an http(s) address, not ${JSON.stringify(value)}`,
  serverUnreachable: (url: string, reason: string, hint: string) =>
    `the server ${url} cannot be reached (${reason})${hint ? `; ${hint}` : ''}`,
  keyRefused: (url: string, had: boolean) =>
    had
      ? `${url} refuses this API key; check --key or SEMDISTILL_API_KEY`
      : `${url} asks for an API key; give it with --key or SEMDISTILL_API_KEY`,
  notOurServer: (url: string) => `${url} does not answer like a semdistill server; check the address`,
  strangeAnswer: (url: string, status: number) => `${url} answered with status ${status} and no reason`,

  // preparations
  preparing: (kind: Kind, name: string, fraction: number, message: string) =>
    `${kind} ${name}: ${message}${fraction > 0 ? ` (${Math.floor(fraction * 100)} %)` : ''}`,
  preparationFailed: (kind: Kind, name: string, reason: string) => `the ${kind} ${name} could not be made: ${reason}`,
  preparationQueued: (id: string) => `accepted as preparation ${id}`,
  corpusReady: (name: string, id: string) => `corpus ${name} is ready (${id})`,
  teacherReady: (name: string, id: string) => `teacher ${name} is ready (${id})`,

  // corpora
  readingText: (have: string, total: string, percent: number) => `reading ${have} of ${total} (${percent} %)`,
  sendingText: (have: string, total: string, percent: number) => `sending ${have} of ${total} (${percent} %)`,
  corpusSizes: (p: { name: string; train: number; test: number; words: number }) =>
    `corpus ${p.name}: ${p.train + p.test} sentences (${p.train} train, ${p.test} test), vocabulary of ${p.words}`,
  corpusText: (p: { lines: number; inLength: number; unique: number; kept: number; testLeftOut?: number }) =>
    `of ${p.lines} lines ${p.inLength} have the right length, ${p.unique} of them are different, ${p.kept} are kept${p.testLeftOut ? `; ${p.testLeftOut} were left out of the test, for training has them but for rare words` : ''}`,
  corpusLengths: (p: {
    tokensPerSentence: { min: number; mean: number; max: number };
    coverage: number;
    wordsUnseenInTraining: number;
    repeatedInTraining: number;
    testInTraining: number;
  }) =>
    `tokens in a sentence ${p.tokensPerSentence.min} to ${p.tokensPerSentence.max}, mean ${p.tokensPerSentence.mean.toFixed(1)}; the vocabulary covers ${(100 * p.coverage).toFixed(2)} % of them; ${p.wordsUnseenInTraining} words stand in test sentences or nowhere, ${p.repeatedInTraining} training sentences are repetitions, ${p.testInTraining} test sentences stand in training too`,
  corpusLeak: (count: number, all: number) =>
    `${count} of ${all} test sentences stand in training too: scores on them flatter the model`,

  // teacher import
  importRead: (p: { file: string; format: string; size: string; tensors: number; wrapper: string }) =>
    `${p.file}: ${p.format}, ${p.size}, ${p.tensors} tensors${p.wrapper ? ` (under ${p.wrapper})` : ''}`,
  importSizes: (p: {
    encoderLayers: number;
    decoderLayers: number;
    dModel: number;
    dff: number;
    heads?: number;
    vocabularySize: number;
    parameters: string;
    rows: { transmitter?: number; receiver?: number };
  }) =>
    `a DeepSC of ${p.encoderLayers}+${p.decoderLayers} layers, width ${p.dModel}, feed-forward ${p.dff}, ${p.heads ?? '?'} heads, ${p.vocabularySize} words, ${p.parameters} parameters; positions ${p.rows.transmitter ?? '-'}/${p.rows.receiver ?? '-'}`,
  importMissing: (count: number, names: string) => `missing (${count}): ${names}`,
  importExtra: (count: number, names: string) => `extra (${count}): ${names}`,
  importMismatched: (count: number, names: string) => `of another shape (${count}): ${names}`,
  hybridReady: (transmitter: string, receiver: string, id: string) =>
    `hybrid of ${transmitter} (transmitter) and ${receiver} (receiver) is ready (${id})`,
  exported: (model: string, files: string, folder: string) => `${model}: ${files} in ${folder}`,
  importUnfit: 'this file cannot be a teacher:',
  importWouldFit: (name: string) => `it fits; nothing was kept (without --dry-run it becomes the teacher ${name})`,
  importNeedsVocabulary: 'is required: the vocab.json the model was trained with; or name its corpus with --corpus',
  note: (message: string) => `note: ${message}`,
  importNote: (note: ImportNote) => note.message,
  untrained: (bleu1: string, snrDb: number) =>
    `BLEU-1 ${bleu1} at ${snrDb} dB: this is not a trained model for this vocabulary.`,
  unfrozenPair: (transmitter: string, receiver: string) =>
    `${receiver} did not learn behind the frozen transmitter of ${transmitter}, nor ${transmitter} before the frozen receiver of ${receiver}: an unfrozen pair is a broken link, whatever each model scores by itself.`,
  brokenLink: (bleu1: string, snrDb: number) =>
    `BLEU-1 ${bleu1} at ${snrDb} dB: the link is broken, these two sides do not understand each other.`,
  noHybrids: (command: string) => `no hybrids yet; '${command} hybrid --transmitter A --receiver B' makes one`,

  // sweeps
  sweepAccepted: (facts: { id: string; trials: number; bundles: number; reused: number }) =>
    `sweep ${facts.id}: ${facts.trials} trials in ${facts.bundles} bundle${facts.bundles === 1 ? '' : 's'}${facts.reused > 0 ? `, ${facts.reused} already done before` : ''}`,
  distillationAccepted: (id: string) => `trial ${id} accepted`,
  planned: (trials: number, bundles: number, reused: number) =>
    `${trials} trials in ${bundles} bundles, ${reused} of them already done; nothing was started`,
  costEstimate: (cost: { device: string; wall: string; workers: number; source: string }) =>
    `about ${cost.device} of device time, ${cost.wall} on ${cost.workers === 0 ? 'one worker (none is there yet)' : `${cost.workers} worker${cost.workers === 1 ? '' : 's'}`}; by ${cost.source}`,
  costSource: (source: 'same-shape' | 'same-device' | 'stated-rate') =>
    ({
      'same-shape': 'what trainings of the same shape took',
      'same-device': 'what other trainings took on such a device; within a factor of two',
      'stated-rate': 'a stated rate, for nothing was measured yet; a guess',
    })[source],
  costCompared: (spent: string, expected: string) => `device time: ${spent}, expected were ${expected}`,
  warning: (message: string) => `warning: ${message}`,
  notWaiting: (id: string, command: string) =>
    `it goes on by itself; '${command} watch ${id}' shows it, '${command} status ${id}' looks once`,
  sweepGoesOn: (id: string, command: string) =>
    `no longer watching; the sweep goes on ('${command} watch ${id}' shows it again, '${command} cancel ${id}' ends it)`,
  sweepWasCancelled: (id: string) => `sweep ${id} was cancelled`,
  trialsFailed: (failed: number, all: number) => `${failed} of ${all} trials did not complete`,
  trialCompleted: (label: string, loss: number | undefined, epoch: number | undefined) =>
    `${label}: completed${loss === undefined ? '' : `, best validation loss ${loss.toFixed(4)} in epoch ${epoch}`}`,
  trialFailed: (label: string, reason: string) => `${label}: failed: ${reason}`,
  trialPruned: (label: string, reason: string) => `${label}: pruned: ${reason}`,
  trialsPruned: (pruned: number, all: number) =>
    `${pruned} of ${all} trials were pruned (budget or early stopping); the report says why`,
  trialRunning: (label: string, worker: string) => `${label}: running${worker ? ` on ${worker}` : ''}`,
  trialNow: (label: string, state: string) => `${label}: ${state}`,
  sweepProgress: (p: {
    done: number;
    running: number;
    trials: number;
    percent: number;
    epoch: number;
    epochs: number;
    tokensPerSecond: number;
    elapsed: string;
    eta: string;
  }) =>
    `${p.done} of ${p.trials} done, ${p.running} running${p.epochs > 0 ? ` (epoch ${p.epoch}/${p.epochs}, ${Math.round(p.tokensPerSecond)} tokens/s)` : ''}, ${p.percent} % after ${p.elapsed}${p.eta ? `, about ${p.eta} left` : ''}`,
  trialsDone: (done: number, all: number) => `${done} of ${all} trials`,
  timeLeft: (eta: string) => ` · about ${eta} left`,
  andMore: (count: number) => `… and ${count} more`,
  seed: 'seed',
  status: (status: string) => status.replaceAll('_', ' '),
  phase: (phase: string) => phase,
  role: (role: string) => ({ baseline: 'no teacher', reference: 'reference', requested: 'requested' })[role] ?? role,
  readiness: (state: string) => state,
  workerState: (state: string) => state,
  outcome: (outcome: string) => outcome,
  columnSetting: 'setting',
  columnSeed: 'seed',
  columnSeeds: 'seeds',
  columnState: 'state',
  columnWorker: 'worker',
  columnEpoch: 'epoch',
  columnLoss: 'loss',
  columnRate: 'tokens/s',
  columnRole: 'role',
  columnFile: 'file',
  columnSize: 'size',
  columnHost: 'host',
  columnTrials: 'trials',
  columnTrial: 'trial',
  columnSweep: 'sweep',
  columnName: 'name',
  columnCreated: 'created (UTC)',
  columnSentences: 'sentences',
  columnVocabulary: 'vocabulary',
  columnLayers: 'layers',
  columnParameters: 'parameters',
  columnId: 'id',
  columnTransmitter: 'transmitter',
  columnReceiver: 'receiver',
  validationLoss: 'validation loss',
  bestLoss: 'best validation loss',
  compression: 'compression',
  withoutEmbeddings: 'without embeddings and output layer',
  divergence: 'distance to the teacher',
  student: 'student',
  hybrid: 'hybrid',
  teacher: 'teacher',
  verdict: 'verdict',
  anchors: (a: { at: string; bleu1: string; floor: string; ceiling: string }) =>
    `for comparison at ${a.at}: the teacher's BLEU-1 is ${a.bleu1}; JSD of the teacher to itself ${a.floor}, of an untrained student ${a.ceiling}; brackets are 95 % intervals over seeds`,
  whereResultsAre: (url: string, id: string, command: string, time: string) =>
    `after ${time}; report: ${url} (or '${command} report ${id}'); models: '${command} pull ${id}'`,
  reportHint: (id: string, command: string) =>
    `'${command} report ${id}' shows the comparison, '${command} pull ${id}' fetches the models`,
  workersTookPart: (workers: string[]) =>
    `workers that took part: ${workers.length > 0 ? workers.join(', ') : 'none, all results were there already'}`,
  teacherIsAFile: (name: string, command: string) =>
    `teachers are named, not read from files: ${name} is a file; '${command} teacher list' shows the names, '${command} teacher train' makes one`,
  demoTeacherMissing: (command: string) =>
    `a plan needs the teacher, and the built-in one is not made yet: '${command} teacher train --builtin demo' makes it`,
  noHybrid: 'the trial has no hybrid; ask for one with --create-hybrid and --distill-part encoder or decoder',
  filesAre: (count: number, folder: string) => `${count} file${count === 1 ? '' : 's'} in ${folder}`,
  pullHint: (id: string, command: string, names: string) => `files: ${names}; '${command} pull ${id}' fetches them`,
  cannotRead: (file: string, code: string) => `${file} cannot be read (${code})`,
  notJson: (file: string, reason: string) => `${file} is not a sweep request in JSON: ${reason}`,
  notAnObject: 'an object is expected',

  // pull
  neitherSweepNorTrial: (id: string) => `there is no sweep, no trial and no teacher ${id}`,
  nothingToPull: (id: string, only: string | undefined) =>
    only ? `${id} has no file named ${only}` : `${id} has no files yet`,
  notAFileName: (name: string) => `the server names a file ${JSON.stringify(name)}, which is not safe to write`,
  pulling: (have: string, total: string, percent: number, rate: string) =>
    `${have} of ${total} (${percent} %), ${rate}/s`,
  pulled: (count: number, size: string, folder: string) => `${count} files, ${size}, SHA-256 verified, in ${folder}`,
  downloadFailed: (file: string, reason: string) =>
    `${file} could not be fetched: ${reason}; what arrived is kept, the same command goes on from there`,
  wrongChecksum: (file: string, wanted: string, found: string) =>
    `${file}: the server sent other bytes than it promised (SHA-256 ${found.slice(0, 12)}…, not ${wanted.slice(0, 12)}…); nothing was kept`,
  cannotWrite: (file: string, code: string) => `${file} cannot be written (${code})`,

  // status and lists
  serverLine: (url: string, workers: number) => `${url}: ${workers} worker${workers === 1 ? '' : 's'}`,
  noSweeps: (command: string) => `no sweeps yet; '${command} sweep' starts one`,
  noTeachers: (command: string) => `no teachers yet; '${command} teacher train --builtin demo' makes the built-in one`,

  // demo
  demoBegins: (path: string) => `demo: a fleet of its own in ${path}`,
  demoPrepares: (corpus: string, teacher: string) => `preparing the corpus ${corpus} and the teacher ${teacher}`,
  demoPrepared: (time: string) => `corpus and teacher are ready after ${time}`,
  demoParts: (p: { setUp: string; preparation: string; training: string; evaluation: string; report: string }) => [
    `time: services ${p.setUp}, corpus and teacher ${p.preparation}, training ${p.training}, evaluation ${p.evaluation}, report ${p.report}`,
  ],
  demoReport: (path: string, url: string) => `report: ${path}  (${url})`,
  demoKept: (url: string, keyFile: string) => `still running at ${url} (key: ${keyFile}); Ctrl-C stops it`,
  demoEnded: (time: string, command: string) =>
    `demo ended after ${time}, nothing is left running; '${command} demo --keep' would leave it running`,

  // help
  about: 'A fleet for knowledge distillation of DeepSC: temperature sweeps, hybrids, comparisons.',
  fieldMeaning: (_name: string, meaning: string) =>
    meaning.replace(/^[A-Z](?=[a-z ])/, (letter) => letter.toLowerCase()) ||
    ({
      minWords: 'leave out sentences with fewer words (5)',
      maxWords: 'leave out sentences with more words (29)',
      minCount: 'words seen less often become the unknown word (1)',
      topWords: 'keep only sentences wholly inside so many commonest words',
      split: 'which sentences train: by a hash of the words, or the first, as in the reference (hash)',
    }[_name] ??
      ''),
  standardValue: (value: string) => `(default: ${value})`,
  opposite: (flag: string) => `the opposite of ${flag}`,
  helpVersion: 'print the version',
  helpHelp: 'show help',
  helpExamples:
    'Examples:\n  semdistill demo\n  semdistill up\n  semdistill sweep --temperature 1,2,4,8 --seeds 3\n  semdistill distill --temperature 4 --distill-weight 0.7 --student-layers 2 --output-path out',
  helpLanguage: 'language of messages',
  helpJson: 'data as JSON on stdout',
  helpServer: 'address of the API (default: SEMDISTILL_URL, else the fleet of the nearest .semdistill folder)',
  helpKey: 'API key (default: SEMDISTILL_API_KEY)',
  helpUp: 'start a whole fleet on this machine: Redis, API, workers, aggregator',
  helpWorkers: 'number of workers (default: 2, or 1 on a single core)',
  helpPort: 'port of the API on 127.0.0.1 (default: 8080)',
  helpState: 'folder that keeps everything (default: .semdistill)',
  helpDemo: 'run a temperature sweep on real text from start to report',
  helpKeep: 'leave the fleet running until Ctrl-C',
  helpSweep:
    'train students over all combinations of the given values; lists with commas vary; ranges (--lr log-uniform:1e-5..1e-2, --temperature uniform:1..16, --student-layers int:1..4) are drawn from, --trials times',
  helpSweepFile: 'a sweep request in JSON; flags go over it',
  helpTeacher: 'name or id of the teacher (default: demo, made when missing)',
  helpCorpus: "name or id of the corpus (default: the teacher's)",
  helpDryRun: 'show the plan and the warnings, start nothing',
  helpWait: 'wait for the end (default)',
  helpNoWait: 'return at once',
  helpIdempotencyKey: 'the same key never starts a second sweep',
  helpDistill: 'train one student (without flags: demo teacher, temperature 4, weight 0.7, 2 layers)',
  helpOutputPath: 'put all files of the trial there',
  helpHybridOutput: 'write the hybrid model there',
  helpWatch: 'follow a running sweep to its end',
  helpSweepId: 'id of the sweep',
  helpPull: 'fetch the files of a sweep, trial or teacher, SHA-256 verified; goes on where it stopped',
  helpPullId: 'id of a sweep or trial, id or name of a teacher',
  helpPullTo: 'folder (default: named by the id)',
  helpPullFormat: 'write each model for PyTorch code too, in a folder of its own',
  helpPullOnly: 'only these files, e.g. best_student_model,hybrid_model',
  helpStatus: 'workers and sweeps, or one sweep',
  helpReport: 'print the report of a finished sweep',
  helpReportFormat: 'format of the report',
  helpCorpora: 'corpora: text, split and vocabulary',
  helpCorpusList: 'list corpora',
  helpCorpusAdd: 'add your own text, a sentence or paragraph a line, or token ids of the reference',
  helpCorpusShow: 'sizes and statistics of a corpus',
  helpCorpusFile:
    'a text (also .gz), a .csv, .tsv or .jsonl table, a folder of .txt files (Europarl), or train_data.pkl beside test_data.pkl and vocab.json',
  helpCorpusEncoding: 'utf-8, utf-16le, utf-16be or latin1 (default: by the byte order mark, else utf-8)',
  helpCorpusColumn: 'name or number of the column with the text (default: text)',
  helpCorpusName: 'what the corpus is called',
  helpCorpusBuiltin: (names: string) => `make a built-in corpus: ${names}`,
  helpTeachers: 'teachers: trained DeepSC models',
  helpTeacherList: 'list teachers',
  helpTeacherTrain: 'train a teacher, or make the built-in one',
  helpHybrid: "join one model's transmitter with another's receiver, and score the pair",
  helpTransmitter: 'the model that sends: name or id of a teacher, or TRIAL/FILE',
  helpReceiver: 'the model that receives: name or id of a teacher, or TRIAL/FILE',
  helpHybridList: 'list hybrids with their scores',
  helpHybridName: 'what the hybrid is called',
  helpTeacherExport: 'write a model for PyTorch code, with config.json, vocab.json and a loader',
  helpModel: 'name or id of a teacher, or TRIAL/FILE, e.g. TRIAL/best_student_model',
  helpExportFormat: 'file format',
  helpExportTo: 'folder (default: named by the model)',
  helpTeacherImport: 'bring in a teacher trained elsewhere (PyTorch or safetensors) and measure it',
  helpTeacherImportFile: 'the model file: .pth, .pt, .ckpt or .safetensors',
  helpTeacherImportVocab: 'the vocab.json it was trained with',
  helpTeacherImportCorpus: 'name or id of its corpus (default: the stored one with that vocabulary)',
  helpTeacherImportHeads: "attention heads (default: what the file says, 8 for the reference's width)",
  helpTeacherImportDryRun: 'only tell what the file holds; nothing is kept',
  helpTeacherName: 'what the teacher is called',
  helpTeacherCorpus: 'name or id of the corpus it learns from',
  helpTeacherBuiltin: (names: string) => `make a built-in teacher: ${names}`,
};
