// A settled sweep's report files: which one a client wants, by suffix or by Accept, and its bytes.
import { Inject, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { NotFound, NotReady, type StoredFile } from '#experiment';
import type { ObjectStore } from '#storage';
import { STORE } from '../connections.js';
import { RecordsService } from '../records/records.service.js';
import { acceptedSuffix } from '../requests/report-files.js';

export const REPORT_SUFFIXES = ['json', 'html', 'md', 'csv', 'tex'] as const;

@Injectable()
export class SweepReportsService {
  constructor(
    @Inject(STORE) private readonly store: ObjectStore,
    private readonly records: RecordsService,
  ) {}

  /** The report in the format named by suffix, else the one the client accepts. */
  async report(sweepId: string, request: Request, suffix?: string): Promise<{ file: StoredFile; bytes: Buffer }> {
    return this.file(sweepId, `report.${suffix ?? acceptedSuffix(request, REPORT_SUFFIXES)}`);
  }

  /** A report file by name (a chart, say). */
  async file(sweepId: string, name: string): Promise<{ file: StoredFile; bytes: Buffer }> {
    const standing = await this.records.sweepStanding(sweepId);
    if (standing === undefined) throw new NotFound(`There is no sweep ${JSON.stringify(sweepId)}.`);
    const settled = await this.records.settled(sweepId, standing.state.version);
    if (settled === undefined) {
      throw new NotReady(
        `Sweep ${sweepId} has no report yet; GET /v1/sweeps/${sweepId} tells how far it is, /v1/sweeps/${sweepId}/events when it is done.`,
      );
    }
    const file = settled.reportFiles.find((candidate) => candidate.name === name);
    if (file === undefined) {
      const names = settled.reportFiles.map((candidate) => candidate.name).join(', ');
      throw new NotFound(
        names === ''
          ? `Sweep ${sweepId} ended as ${settled.status} without a completed trial, so there is no report.`
          : `Sweep ${sweepId} has no report file ${JSON.stringify(name)}; it has: ${names}.`,
      );
    }
    return { file, bytes: await this.store.get(file.key) };
  }
}
