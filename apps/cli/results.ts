// What a finished sweep says: a table of means with 95 % intervals and the verdict in words, both from report.json.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Estimate, Report } from '#experiment';
import type { ApiClient } from './api-client.js';
import type { Context } from './context.js';
import { plainTable } from './sweep-table.js';
import { EXIT_WRONG_REQUEST, Trouble } from './trouble.js';

export const REPORT_FORMATS = {
  html: 'text/html',
  md: 'text/markdown',
  csv: 'text/csv',
  json: 'application/json',
  tex: 'application/x-tex',
} as const;
export type ReportFormat = keyof typeof REPORT_FORMATS;

export async function fetchReportText(client: ApiClient, sweepId: string, format: ReportFormat): Promise<string> {
  const response = await client.send(`/v1/sweeps/${encodeURIComponent(sweepId)}/report.${format}`, {
    accept: REPORT_FORMATS[format],
  });
  return await response.text();
}

/** Undefined when nothing completed, so that there is no report. */
export async function fetchReport(client: ApiClient, sweepId: string): Promise<Report | undefined> {
  try {
    return JSON.parse(await fetchReportText(client, sweepId, 'json')) as Report;
  } catch (error) {
    if (error instanceof Trouble && error.exitCode === EXIT_WRONG_REQUEST) return undefined;
    throw error;
  }
}

/** Writes the report in all its formats; returns the paths, the one to look at first in front. */
export async function saveReport(client: ApiClient, sweepId: string, folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const files: string[] = [];
  for (const format of Object.keys(REPORT_FORMATS) as ReportFormat[]) {
    try {
      const text = await fetchReportText(client, sweepId, format);
      const file = join(folder, `report.${format}`);
      await writeFile(file, text);
      files.push(file);
    } catch (error) {
      if (!(error instanceof Trouble) || error.exitCode !== EXIT_WRONG_REQUEST) throw error;
    }
  }
  return files;
}

/** Table and verdict, on stdout. */
export function sayVerdict(context: Context, report: Report): void {
  const { terminal, texts } = context;
  const { settings, headlineSnrDb } = report;
  const hasHybrid = settings.some((setting) => setting.atHeadline.hybridBleu1 !== undefined);
  const at = `${headlineSnrDb} dB`;
  const head = [texts.columnSetting, texts.columnSeeds, texts.validationLoss, `BLEU-1 ${at}`, `JSD ${at}`, `KL ${at}`];
  if (hasHybrid) head.splice(4, 0, `${texts.hybrid} BLEU-1 ${at}`);
  const table = plainTable(head);
  for (const setting of settings) {
    const { bleu1, hybridBleu1, jsd, kl } = setting.atHeadline;
    const label =
      setting.kind === 'baseline' ? setting.label.replace('no teacher', texts.role('baseline')) : setting.label;
    const row = [
      label,
      String(setting.seeds.length),
      shownEstimate(setting.validationLoss),
      shownEstimate(bleu1),
      shownEstimate(jsd),
      shownEstimate(kl),
    ];
    if (hasHybrid) row.splice(4, 0, shownEstimate(hybridBleu1));
    table.push(row);
  }
  terminal.print('');
  terminal.print(table.toString());
  if (report.anchors) {
    const index = report.evaluation.snrDb.indexOf(headlineSnrDb);
    const { teacher, floor, ceiling } = report.anchors;
    terminal.print(
      texts.anchors({
        at,
        bleu1: shown(teacher.bleu1?.[index]),
        floor: shown(floor.jsd?.[index]),
        ceiling: shown(ceiling.jsd?.[index]),
      }),
    );
  }
  terminal.print('');
  for (const verdict of report.verdicts) {
    const sentences = verdict.text.map((text) => text[texts.language]).join(texts.language === 'zh' ? '' : ' ');
    terminal.print(
      terminal.colour('bold', `${texts.verdict}${verdict.series ? ` (${verdict.series})` : ''}: `, 'out') + sentences,
    );
  }
  for (const failure of report.failures)
    terminal.print(texts.trialFailed(`${failure.label} ${texts.seed} ${failure.seed}`, failure.reason));
}

/** '0.9312 [0.9290, 0.9334]'; no interval with one seed. */
function shownEstimate(estimate: Estimate | undefined): string {
  if (estimate === undefined) return '-';
  if (estimate.low === null || estimate.high === null) return shown(estimate.mean);
  return `${shown(estimate.mean)} [${shown(estimate.low)}, ${shown(estimate.high)}]`;
}

/** Four decimals, or three significant digits where those would show nothing but zeros. */
function shown(value: number | undefined): string {
  if (value === undefined) return '-';
  return value === 0 || Math.abs(value) >= 0.01 ? value.toFixed(4) : value.toPrecision(3);
}
