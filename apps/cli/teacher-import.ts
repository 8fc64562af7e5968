// `semdistill teacher import`: a model file trained elsewhere, what it was found to hold, and what it scores once measured.
import { resolve } from 'node:path';
import { type Fault, InvalidRequest, type ModelInspection, parseTeacherImport, type TeacherRecord } from '#experiment';
import type { ApiClient, PreparationView } from './api-client.js';
import { openClient } from './connection.js';
import type { Context } from './context.js';
import { formBody } from './form-body.js';
import { waitForPreparation } from './prepare.js';
import { requireReadable } from './readable-file.js';
import { plainTable } from './sweep-table.js';
import { EXIT_WRONG_REQUEST, Trouble } from './trouble.js';
import { shownBytes, shownRate } from './wording.js';

export interface TeacherImportFlags {
  vocab?: string;
  corpus?: string;
  heads?: string;
  name?: string;
  dryRun?: boolean;
  wait?: boolean;
}

interface TeacherImport {
  name: string;
  corpusId?: string;
  inspection: ModelInspection;
  preparation?: PreparationView;
}

const NAMES_SHOWN = 12;

export async function importTeacher(context: Context, file: string, flags: TeacherImportFlags): Promise<void> {
  const { texts, terminal, workingFolder, interrupted } = context;
  const fields = {
    name: flags.name,
    corpus: flags.corpus,
    heads: flags.heads,
    ...(flags.dryRun ? { dryRun: true } : {}),
  };
  checkFlags(context, fields, flags);
  const model = resolve(workingFolder, file);
  await requireReadable(context, model, file);
  const vocabulary = flags.vocab === undefined ? undefined : resolve(workingFolder, flags.vocab);
  if (vocabulary !== undefined) await requireReadable(context, vocabulary, flags.vocab ?? '');
  const client = openClient(context);
  const raw = formBody({ fields, files: { vocabulary, model } });
  const answer = await client.json<TeacherImport>('/v1/teachers/import', { method: 'POST', raw, signal: interrupted });
  const { inspection, preparation } = answer;
  if (!context.json) for (const line of inspectionLines(context, inspection)) terminal.say(line);
  if (!preparation) {
    if (context.json) terminal.print(JSON.stringify(answer, null, 2));
    if (inspection.faults.length > 0) throw new Trouble(texts.importUnfit, EXIT_WRONG_REQUEST, inspection.faults);
    if (!context.json) terminal.say(texts.importWouldFit(answer.name));
    return;
  }
  const done = flags.wait === false ? preparation : await waitForPreparation(context, client, preparation);
  const teacher = done.teacherId === undefined ? undefined : await teacherOf(client, done.teacherId);
  if (context.json) terminal.print(JSON.stringify({ ...answer, preparation: done, teacher }, null, 2));
  else if (teacher === undefined) terminal.say(texts.preparationQueued(done.preparationId));
  else sayScores(context, teacher);
}

function checkFlags(context: Context, fields: Record<string, unknown>, flags: TeacherImportFlags): void {
  const { texts } = context;
  const faults: Fault[] = [];
  try {
    parseTeacherImport(Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)));
  } catch (error) {
    if (!(error instanceof InvalidRequest)) throw error;
    faults.push(...error.faults.map(({ path, message }) => ({ path: `--${path}`, message })));
  }
  if (flags.vocab === undefined && flags.corpus === undefined) {
    faults.push({ path: '--vocab', message: texts.importNeedsVocabulary });
  }
  if (faults.length > 0) throw new Trouble(texts.wrongRequest, EXIT_WRONG_REQUEST, faults);
}

function teacherOf(client: ApiClient, teacherId: string): Promise<TeacherRecord> {
  return client.json<TeacherRecord>(`/v1/teachers/${encodeURIComponent(teacherId)}`);
}

/** What the file holds, a line each; what does not fit is named, the first few of many. */
function inspectionLines({ texts }: Context, inspection: ModelInspection): string[] {
  const { architecture, wrapper, positions, missing, extra, mismatched } = inspection;
  const { stateDictAt, prefix } = wrapper;
  const some = (names: string[]) => {
    const rest = names.length > NAMES_SHOWN ? ` ${texts.andMore(names.length - NAMES_SHOWN)}` : '';
    return `${names.slice(0, NAMES_SHOWN).join(', ')}${rest}`;
  };
  const shape = (sizes: number[]) => `[${sizes.join(', ')}]`;
  return [
    texts.importRead({
      file: inspection.fileName,
      format: inspection.format,
      size: shownBytes(inspection.size),
      tensors: inspection.tensors,
      wrapper: [stateDictAt, prefix && `${prefix}*`].filter(Boolean).join(', '),
    }),
    ...(architecture
      ? [texts.importSizes({ ...architecture, parameters: shownRate(inspection.parameters), rows: positions })]
      : []),
    ...(missing.length > 0 ? [texts.importMissing(missing.length, some(missing))] : []),
    ...(extra.length > 0 ? [texts.importExtra(extra.length, some(extra))] : []),
    ...(mismatched.length > 0
      ? [
          texts.importMismatched(
            mismatched.length,
            some(mismatched.map(({ name, found, expected }) => `${name} ${shape(found)} ≠ ${shape(expected)}`)),
          ),
        ]
      : []),
    ...inspection.notes.map((note) => texts.note(texts.importNote(note))),
  ];
}

/** BLEU over SNR, and what it says against the teacher. */
function sayScores({ texts, terminal }: Context, teacher: TeacherRecord): void {
  const { scores, name, teacherId, warnings = [] } = teacher;
  terminal.print(scoreTable(scores));
  for (const { code, message } of warnings) {
    terminal.say(texts.warning(code === 'teacher-untrained' ? texts.untrained(...atBest(scores)) : message));
  }
  terminal.say(texts.teacherReady(name, teacherId));
}

/** BLEU-1 at the cleanest channel measured, and that SNR. */
export function atBest({ snrDb, bleu1 }: TeacherRecord['scores']): [bleu1: string, snrDb: number] {
  return [(bleu1.at(-1) ?? 0).toFixed(3), snrDb.at(-1) ?? 0];
}

export function scoreTable({ snrDb, bleu1, bleu4 }: TeacherRecord['scores']): string {
  const table = plainTable(['SNR (dB)', ...snrDb.map(String)]);
  table.push(['BLEU-1', ...bleu1.map((score) => score.toFixed(4))]);
  table.push(['BLEU-4', ...bleu4.map((score) => score.toFixed(4))]);
  return table.toString();
}
