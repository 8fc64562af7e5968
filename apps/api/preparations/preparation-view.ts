// How a preparation (a corpus, teacher or hybrid being made, models being measured) is shown.
import type { PreparationRequest, PreparationResult } from '#experiment';

export interface PreparationView extends Omit<PreparationResult, 'status' | 'finishedAt'> {
  kind: PreparationRequest['kind'];
  name: string;
  status: 'queued' | 'running' | PreparationResult['status'];
  /** What the workers of now lack for it; absent: nothing. */
  waitsFor?: string[];
  progress?: { fraction: number; message: string };
  createdAt: string;
  finishedAt?: string;
}

/** In a list of corpora or teachers: one that is not ready. */
export type UnreadyItem =
  | ({ state: 'queued' | 'running' | 'failed' } & Omit<PreparationView, 'status'>)
  | { state: 'available'; name: string; builtin: string };
