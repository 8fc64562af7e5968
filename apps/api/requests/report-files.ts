// Report files as clients ask for them: by a suffix in the path or by Accept; and how they are sent.
import type { Request, Response } from 'express';
import type { StoredFile } from '#experiment';
import { HttpProblem } from '../problems/problem.js';
import { REPORT_POLICY } from './security-headers.js';

const TYPES = {
  json: 'application/json',
  html: 'text/html',
  md: 'text/markdown',
  csv: 'text/csv',
  tex: 'application/x-tex',
} as const;
export type ReportSuffix = keyof typeof TYPES;

/** The first of these formats that the client accepts best. Throws 406 with what there is. */
export function acceptedSuffix(request: Request, suffixes: readonly ReportSuffix[]): ReportSuffix {
  const types = suffixes.map((suffix) => TYPES[suffix]);
  const found = request.accepts(types);
  const suffix = suffixes.find((name) => TYPES[name] === found);
  if (suffix !== undefined) return suffix;
  throw new HttpProblem(406, `The report is there as ${types.join(', ')}.`);
}

/** Cut off from this origin's rights; the file's own hash tells a browser whether it has it. */
export function sendReportFile(response: Response, { file, bytes }: { file: StoredFile; bytes: Buffer }): void {
  response.set({
    'Content-Type': file.contentType,
    'Content-Security-Policy': REPORT_POLICY,
    'Cache-Control': 'private, no-cache',
    ETag: `"${file.sha256}"`,
  });
  response.send(bytes);
}
