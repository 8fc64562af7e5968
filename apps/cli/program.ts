// The commands and flags of `semdistill`: which there are and which function each calls.
import { Command, CommanderError, Option } from 'commander';
import { BUILTIN_CORPORA, BUILTIN_TEACHERS } from '#experiment';
import { analyze, listAnalyses } from './analyze.js';
import { openClient } from './connection.js';
import type { Context } from './context.js';
import { type Action, control, extend, repair } from './controls.js';
import { addCorpus, showCorpus } from './corpus-add.js';
import { demo } from './demo.js';
import { hybrid, listHybrids } from './hybrid.js';
import { pull } from './pull.js';
import { listCorpora, listTeachers, makeBuiltinCorpus, report, status, trainTeacher } from './queries.js';
import {
  addAnalysisFlags,
  addExtensionFlags,
  addHyperparameterFlags,
  addPlacementFlags,
  addSweepFlags,
  addTeacherTrainingFlags,
} from './request-flags.js';
import { distill, sweep, watchSweep } from './sweep.js';
import { EXPORT_FORMATS, exportModel } from './teacher-export.js';
import { importTeacher } from './teacher-import.js';
import type { Texts } from './texts.js';
import { up } from './up.js';
import { verify } from './verify.js';
import { drainWorker, listWorkers, runWorker } from './workers.js';

export interface GlobalFlags {
  server?: string;
  key?: string;
  json?: boolean;
}

export interface ProgramOptions {
  texts: Texts;
  version: string;
  /** The context of one run, made when its flags are known. */
  contextFor: (flags: GlobalFlags) => Context;
  writeOut: (text: string) => void;
  writeErr: (text: string) => void;
}

export function buildProgram({ texts, version, contextFor, writeOut, writeErr }: ProgramOptions): Command {
  const program = new Command('semdistill');
  const output = { writeOut, writeErr, outputError: (text: string) => writeErr(texts.commanderSays(text)) };
  program
    .exitOverride()
    .configureOutput(output)
    .description(texts.about)
    .version(version, '-V, --version', texts.helpVersion)
    .helpOption('-h, --help', texts.helpHelp);
  program.helpCommand('help [command]', texts.helpHelp).addHelpText('after', `\n${texts.helpExamples}`);
  const add = (parent: Command, name: string, about: string) => {
    const command = parent
      .command(name)
      .description(about)
      .exitOverride()
      .configureOutput(output)
      .helpOption('-h, --help', texts.helpHelp);
    return command.option('--language <en|zh>', texts.helpLanguage).option('--json', texts.helpJson);
  };
  const addRemote = (parent: Command, name: string, about: string) =>
    add(parent, name, about).option('--server <url>', texts.helpServer).option('--key <key>', texts.helpKey);
  program.addOption(new Option('--language <en|zh>', texts.helpLanguage));
  addFleetCommands(program, texts, contextFor, add);
  addTrainingCommands(program, texts, contextFor, addRemote);
  addQueryCommands(program, texts, contextFor, addRemote);
  addControlCommands(program, texts, contextFor, addRemote);
  addStoreCommands(program, texts, contextFor, add);
  return program;
}

type Add = (parent: Command, name: string, about: string) => Command;
type ContextFor = ProgramOptions['contextFor'];

function addFleetCommands(program: Command, texts: Texts, contextFor: ContextFor, add: Add): void {
  add(program, 'up', texts.helpUp)
    .option('--workers <n>', texts.helpWorkers)
    .option('--port <n>', texts.helpPort)
    .option('--state <folder>', texts.helpState)
    .action((flags) => up(contextFor(flags), flags));
  add(program, 'worker', texts.helpWorker)
    .option('--pool <name>', texts.helpWorkerPool)
    .option('--labels <label,…>', texts.helpWorkerLabels)
    .option('--name <name>', texts.helpWorkerName)
    .action((flags) => runWorker(contextFor(flags), flags));
  add(program, 'demo', texts.helpDemo)
    .option('--keep', texts.helpKeep)
    .option('--state <folder>', texts.helpState)
    .action((flags) => demo(contextFor(flags), flags));
}

function addTrainingCommands(program: Command, texts: Texts, contextFor: ContextFor, add: Add): void {
  const sweepCommand = add(program, 'sweep', texts.helpSweep)
    .argument('[file]', texts.helpSweepFile)
    .option('--teacher <name>', texts.helpTeacher)
    .option('--corpus <name>', texts.helpCorpus)
    .option('--dry-run', texts.helpDryRun)
    .option('--wait', texts.helpWait)
    .option('--no-wait', texts.helpNoWait)
    .option('--idempotency-key <text>', texts.helpIdempotencyKey);
  addSweepFlags(sweepCommand, texts);
  addHyperparameterFlags(sweepCommand, texts, true);
  sweepCommand.action((file, flags) => sweep(contextFor(flags), file, flags));

  const distillCommand = add(program, 'distill', texts.helpDistill)
    .option('--teacher <name>', texts.helpTeacher)
    .option('--teacher-checkpoint <name>', texts.helpTeacher)
    .option('--output-path <folder>', texts.helpOutputPath)
    .option('--hybrid-output <file>', texts.helpHybridOutput)
    .option('--wait', texts.helpWait)
    .option('--no-wait', texts.helpNoWait);
  addHyperparameterFlags(distillCommand, texts, false);
  addPlacementFlags(distillCommand, texts);
  distillCommand.action((flags) => distill(contextFor(flags), flags));

  const hybridCommand = add(program, 'hybrid', texts.helpHybrid)
    .option('--transmitter <model>', texts.helpTransmitter)
    .option('--receiver <model>', texts.helpReceiver)
    .option('--name <name>', texts.helpHybridName)
    .option('--no-wait', texts.helpNoWait)
    .action((flags) => hybrid(contextFor(flags), flags));
  // The parent's flags (--json, --server) are known to both; commander gives those typed after 'list' to either.
  add(hybridCommand, 'list', texts.helpHybridList).action((_flags, command) =>
    listHybrids(contextFor(command.optsWithGlobals())),
  );

  const analyzeCommand = add(program, 'analyze', texts.helpAnalyze)
    .argument('[A]', texts.helpAnalyzeModel('A'))
    .argument('[B]', texts.helpAnalyzeModel('B'))
    .option('--corpus <name>', texts.helpAnalyzeCorpus);
  addAnalysisFlags(analyzeCommand, texts);
  analyzeCommand
    .option('--worst <n>', texts.helpAnalyzeWorst)
    .option('--output <file>', texts.helpAnalyzeOutput)
    .option('--list', texts.helpAnalyzeList)
    .option('--no-wait', texts.helpNoWait)
    .action((a, b, flags) =>
      flags.list ? listAnalyses(contextFor(flags)) : analyze(contextFor(flags), [a, b], flags),
    );

  add(program, 'watch', texts.helpWatch)
    .argument('<sweep>', texts.helpSweepId)
    .action((id, flags) => {
      const context = contextFor(flags);
      return watchSweep(context, openClient(context), id);
    });
}

function addQueryCommands(program: Command, texts: Texts, contextFor: ContextFor, add: Add): void {
  add(program, 'pull', texts.helpPull)
    .argument('<id>', texts.helpPullId)
    .option('--to <folder>', texts.helpPullTo)
    .option('--only <names>', texts.helpPullOnly)
    .option(`--format <${EXPORT_FORMATS.join('|')}>`, texts.helpPullFormat)
    .action((id, flags) => pull(contextFor(flags), id, flags));
  add(program, 'verify', texts.helpVerify)
    .argument('<id>', texts.helpVerifyId)
    .option('--scores [trial]', texts.helpVerifyScores)
    .action((id, flags) => verify(contextFor(flags), id, flags));
  add(program, 'status', texts.helpStatus)
    .argument('[sweep]', texts.helpSweepId)
    .action((id, flags) => status(contextFor(flags), id));
  add(program, 'report', texts.helpReport)
    .argument('<sweep>', texts.helpSweepId)
    .option('--format <md|csv|json|html>', texts.helpReportFormat, 'md')
    .action((id, flags) => report(contextFor(flags), id, flags.format));

  const corpus = program
    .command('corpus')
    .description(texts.helpCorpora)
    .exitOverride()
    .helpOption('-h, --help', texts.helpHelp);
  add(corpus, 'list', texts.helpCorpusList).action((flags) => listCorpora(contextFor(flags)));
  add(corpus, 'add', texts.helpCorpusAdd)
    .argument('<file>', texts.helpCorpusFile)
    .option('--name <name>', texts.helpCorpusName)
    .option('--encoding <name>', texts.helpCorpusEncoding)
    .option('--column <name>', texts.helpCorpusColumn)
    .option('--min-words <n>', texts.fieldMeaning('minWords', ''))
    .option('--max-words <n>', texts.fieldMeaning('maxWords', ''))
    .option('--min-count <n>', texts.fieldMeaning('minCount', ''))
    .option('--top-words <n>', texts.fieldMeaning('topWords', ''))
    .option('--split <hash|order>', texts.fieldMeaning('split', ''))
    .option('--no-wait', texts.helpNoWait)
    .action((file, flags) => addCorpus(contextFor(flags), file, flags));
  add(corpus, 'show', texts.helpCorpusShow)
    .argument('<corpus>', texts.helpCorpus)
    .action((id, flags) => showCorpus(contextFor(flags), id));
  add(corpus, 'builtin', texts.helpCorpusBuiltin(BUILTIN_CORPORA.join(', ')))
    .addArgument(program.createArgument('<name>', BUILTIN_CORPORA.join(' | ')).choices(BUILTIN_CORPORA))
    .action((name, flags) => makeBuiltinCorpus(contextFor(flags), name));

  const teacher = program
    .command('teacher')
    .description(texts.helpTeachers)
    .exitOverride()
    .helpOption('-h, --help', texts.helpHelp);
  add(teacher, 'list', texts.helpTeacherList).action((flags) => listTeachers(contextFor(flags)));
  const train = add(teacher, 'train', texts.helpTeacherTrain)
    .option('--name <name>', texts.helpTeacherName)
    .option('--corpus <name>', texts.helpTeacherCorpus)
    .option('--builtin <name>', texts.helpTeacherBuiltin(BUILTIN_TEACHERS.join(', ')))
    .option('--no-wait', texts.helpNoWait);
  addTeacherTrainingFlags(train, texts);
  train.action((flags) => trainTeacher(contextFor(flags), flags));
  add(teacher, 'export', texts.helpTeacherExport)
    .argument('<model>', texts.helpModel)
    .option(`--format <${EXPORT_FORMATS.join('|')}>`, texts.helpExportFormat, 'pytorch')
    .option('--to <folder>', texts.helpExportTo)
    .action((model, flags) => exportModel(contextFor(flags), model, flags));
  add(teacher, 'import', texts.helpTeacherImport)
    .argument('<file>', texts.helpTeacherImportFile)
    .option('--vocab <file>', texts.helpTeacherImportVocab)
    .option('--corpus <name>', texts.helpTeacherImportCorpus)
    .option('--heads <n>', texts.helpTeacherImportHeads)
    .option('--name <name>', texts.helpTeacherName)
    .option('--dry-run', texts.helpTeacherImportDryRun)
    .option('--no-wait', texts.helpNoWait)
    .action((file, flags) => importTeacher(contextFor(flags), file, flags));
}

function addControlCommands(program: Command, texts: Texts, contextFor: ContextFor, add: Add): void {
  const actions: [Action, string][] = [
    ['cancel', texts.helpCancel],
    ['pause', texts.helpPause],
    ['resume', texts.helpResume],
    ['retry', texts.helpRetry],
  ];
  for (const [action, about] of actions) {
    add(program, action, about)
      .argument('<id>', texts.helpControlId)
      .action((id, flags) => control(contextFor(flags), action, id));
  }
  const extendCommand = add(program, 'extend', texts.helpExtend)
    .argument('<sweep>', texts.helpSweepId)
    .option('--dry-run', texts.helpDryRun);
  addExtensionFlags(extendCommand, texts);
  extendCommand.action((id, flags) => extend(contextFor(flags), id, flags));

  add(program, 'repair', texts.helpRepair)
    .option('--dry-run', texts.helpRepairDryRun)
    .action((flags) => repair(contextFor(flags), flags));

  const workers = add(program, 'workers', texts.helpWorkersCommand).action((flags) => listWorkers(contextFor(flags)));
  // The parent's flags (--json, --server) are known to both; commander gives those typed after 'list' to either.
  add(workers, 'list', texts.helpWorkersList).action((_flags, command) =>
    listWorkers(contextFor(command.optsWithGlobals())),
  );
  add(workers, 'drain', texts.helpDrain)
    .argument('<worker>', texts.helpWorkerId)
    .action((id, _flags, command) => drainWorker(contextFor(command.optsWithGlobals()), id));
}

/** These open the object store themselves; its client is loaded only for them. */
function addStoreCommands(program: Command, texts: Texts, contextFor: ContextFor, add: Add): void {
  add(program, 'gc', texts.helpGc)
    .option('--store <name>', texts.helpStore)
    .option('--checkpoints-after <days>', texts.helpGcDays, '30')
    .option('--delete', texts.helpGcDelete)
    .action(async (flags) => (await import('./gc.js')).gc(contextFor(flags), flags));
  add(program, 'keep', texts.helpKeepSweep)
    .argument('<sweep>', texts.helpSweepId)
    .option('--store <name>', texts.helpStore)
    .option('--undo', texts.helpKeepUndo)
    .action(async (id, flags) => (await import('./gc.js')).keep(contextFor(flags), id, flags));
  add(program, 'copy-store', texts.helpCopyStore)
    .argument('<from>', texts.helpCopyFrom)
    .argument('<to>', texts.helpCopyFrom)
    .option('--overwrite', texts.helpCopyOverwrite)
    .action(async (from, to, flags) =>
      (await import('./copy-store.js')).copyStore(contextFor(flags), [from, to], flags),
    );
}

/** commander ends help and version this way too. */
export function isHelp(error: unknown): boolean {
  return error instanceof CommanderError && error.exitCode === 0;
}
