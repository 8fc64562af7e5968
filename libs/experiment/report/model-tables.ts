// Tables beside the charts of models: pairs, learning, importances, hashes.
import { MEASURES } from './measure-names.js';
import { partyLabel } from './model-charts.js';
import { formatEstimate, formatNumber } from './numbers.js';
import type { CrossSection, Report } from './report.js';
import { MAX_TABLE_ROWS, type Table } from './tables.js';
import { type Language, say, settingLabel, type Word } from './texts.js';

const MAX_EPOCH_COLUMNS = 12;

/** A row a pair: BLEU-1, what the receiver loses against its own transmitter, and the mean over models of other seeds. */
export function matrixTable(report: Report, section: CrossSection, language: Language): Table {
  const word = (name: Word) => say(name, language);
  const rows = section.parties.flatMap((transmitter, i) =>
    section.parties.map((receiver, j) => {
      const [bleu1, mismatch, others] = [section.bleu1[i]?.[j], section.mismatch[i]?.[j], section.otherSeeds[i]?.[j]];
      return [
        partyLabel(report, transmitter, language),
        partyLabel(report, receiver, language),
        bleu1 ? formatEstimate(bleu1) : '–',
        mismatch ? formatEstimate(mismatch) : '–',
        typeof others === 'number' ? formatNumber(others) : '–',
      ];
    }),
  );
  const columns = [
    word('transmitter'),
    word('receiver'),
    MEASURES.bleu1[language],
    word('mismatch'),
    word('otherSeeds'),
  ];
  return { caption: say('matrix', language, section.snrDb), columns, rows, textColumns: [0, 1] };
}

/** Validation loss at some epochs, the first and the last among them. */
export function learningTable(report: Report, language: Language): Table {
  const last = Math.max(...report.settings.map(({ learning }) => learning.length));
  const step = (last - 1) / (MAX_EPOCH_COLUMNS - 1);
  const epochs =
    last <= MAX_EPOCH_COLUMNS
      ? Array.from({ length: last }, (_, index) => index + 1)
      : Array.from({ length: MAX_EPOCH_COLUMNS }, (_, index) => 1 + Math.round(index * step));
  const rows = report.settings.slice(0, MAX_TABLE_ROWS).map(({ label, learning }) => [
    settingLabel(label, language),
    ...epochs.map((epoch) => {
      const point = learning[epoch - 1];
      return point ? formatEstimate(point) : '–';
    }),
  ]);
  const columns = [say('setting', language), ...epochs.map((epoch) => `${say('epoch', language)} ${epoch}`)];
  return { caption: MEASURES.validationLoss[language], columns, rows };
}

/** What each varied hyperparameter accounts for. */
export function importanceTable(report: Report, language: Language): Table {
  const rows = report.importances.map(({ name, levels, share }) => [name, String(levels), formatNumber(share)]);
  const columns = [say('hyperparameter', language), say('levels', language), say('shareOfVariance', language)];
  return { caption: say('importances', language, MEASURES.jsd[language]), columns, rows };
}

/** SHA-256 of every file that went in or came out. */
export function hashTable(report: Report, language: Language): Table {
  const of = (owner: string, files: { name: string; sha256: string }[]) =>
    files.map(({ name, sha256 }) => [owner, name, sha256]);
  const rows = [
    ...of(`${say('teacher', language)} ${report.teacher.teacherId}`, report.hashes.teacher),
    ...of(`${say('corpus', language)} ${report.corpus.corpusId}`, report.hashes.corpus),
    ...report.run.trials.flatMap(({ trialId, files }) => of(`${say('trial', language)} ${trialId}`, files)),
  ].slice(0, MAX_TABLE_ROWS);
  const columns = [say('of', language), say('file', language), 'SHA-256'];
  return { caption: say('hashes', language), columns, rows, textColumns: [0, 1, 2] };
}
