// How a preparation (a corpus or teacher being made) is shown.
export interface PreparationView {
  preparationId: string;
  kind: 'corpus' | 'teacher' | 'hybrid';
  name: string;
  status: 'queued' | 'running' | 'completed' | 'failed';
  progress?: { fraction: number; message: string };
  failure?: { reason: string };
  corpusId?: string;
  teacherId?: string;
  hybridId?: string;
  createdAt: string;
  finishedAt?: string;
}

/** In a list of corpora or teachers: one that is not ready. */
export type UnreadyItem =
  | ({ state: 'queued' | 'running' | 'failed' } & Omit<PreparationView, 'status'>)
  | { state: 'available'; name: string; builtin: string };
