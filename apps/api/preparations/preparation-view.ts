// How a preparation (a corpus, teacher or hybrid being made, models being measured) is shown.
import type { AnalysisResult, CrossDecoding, PreparationRequest, Verification } from '#experiment';

export interface PreparationView {
  preparationId: string;
  kind: PreparationRequest['kind'];
  name: string;
  status: 'queued' | 'running' | 'completed' | 'failed' | 'cancelled';
  /** What the workers of now lack for it; absent: nothing. */
  waitsFor?: string[];
  progress?: { fraction: number; message: string };
  failure?: { reason: string };
  corpusId?: string;
  teacherId?: string;
  hybridId?: string;
  verification?: Verification;
  crossDecoding?: CrossDecoding;
  analysis?: AnalysisResult;
  createdAt: string;
  finishedAt?: string;
}

/** In a list of corpora or teachers: one that is not ready. */
export type UnreadyItem =
  | ({ state: 'queued' | 'running' | 'failed' } & Omit<PreparationView, 'status'>)
  | { state: 'available'; name: string; builtin: string };
