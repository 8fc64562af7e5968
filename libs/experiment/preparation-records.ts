// What is made once and kept: corpora, teachers, hybrids, verifications and joined models, as they are asked for and as they ended.
import type { BleuCurve } from './measurements.js';
import type { Architecture, CorpusOptions, Numerics, StoredFile, TeacherTraining, Warning } from './records.js';
import type { Channel, ChannelProfile } from './terms.js';

/** A corpus or teacher being made; its id is the hash of what is asked, so asking twice makes it once. */
export type PreparationRequest =
  | { kind: 'corpus'; name: string; builtin: string }
  | { kind: 'corpus'; name: string; text: StoredFile; options: CorpusOptions }
  | { kind: 'corpus'; name: string; tokens: { train: StoredFile; test: StoredFile; vocabulary: StoredFile } }
  | { kind: 'teacher'; name: string; builtin: string }
  | { kind: 'teacher'; name: string; corpusId: string; training: TeacherTraining }
  | { kind: 'teacher'; name: string; corpusId: string; model: StoredFile; architecture: Architecture }
  | {
      kind: 'hybrid';
      name: string;
      corpusId: string;
      transmitter: HybridSide;
      receiver: HybridSide;
      /** What spoke against the pair when it was asked for. */
      warnings: Warning[];
    }
  | {
      kind: 'cross-decoding';
      /** of the sweep */
      name: string;
      corpusId: string;
      models: CrossDecodingModel[];
      channel: Channel;
      channelProfile: ChannelProfile;
      snrDb: number;
      /** The first this many test sentences. */
      sentences: number;
    }
  | {
      kind: 'verification';
      /** The model as a user would call it. */
      name: string;
      corpusId: string;
      model: StoredFile;
      architecture: Architecture;
      recorded: RecordedScores;
      /** Each time anew: a file may have changed since. */
      askedAt: string;
    };

/** Scores as they stand in a record, with all that is needed to compute them again. */
export interface RecordedScores {
  scores: BleuCurve;
  /** The first this many test sentences. */
  sentences: number;
  channel: Channel;
  channelProfile: ChannelProfile;
  /** Absent where the record was made by another version of our own arithmetic. */
  numerics?: Numerics;
  /** So many models were measured side by side, and which side they had in common: it decides the last bits. */
  together: number;
  kept: 'transmitter' | 'receiver' | null;
}

/** A stored model's scores as they were recorded and as a worker has measured them once more. */
export interface Verification {
  model: string;
  /** Of the file that was measured. */
  sha256: string;
  holds: boolean;
  /** Largest difference allowed: 0 on the same numerics. */
  tolerance: number;
  /** Where the two lie furthest apart. */
  largest: { order: number; snrDb: number; recorded: number; measured: number };
  sentences: number;
  recorded: BleuCurve;
  measured: BleuCurve;
  recordedNumerics?: Numerics;
  numerics: Numerics;
}

/** A model that sends to all others and receives from all others. */
export interface CrossDecodingModel {
  /** 'teacher', or the id of the trial whose final student it is */
  label: string;
  file: StoredFile;
  architecture: Architecture;
}

/** BLEU-1 of every transmitter with every receiver on common sentences and noise. */
export interface CrossDecoding {
  channel: Channel;
  channelProfile: ChannelProfile;
  snrDb: number;
  sentences: number;
  models: { label: string; sha256: string }[];
  /** [transmitter][receiver], in the order of the models */
  bleu1: number[][];
  numerics: Numerics;
}

/** Which preparation joins the models of a sweep; written once, so that it stays the same when models are removed later. */
export interface CrossDecodingPointer {
  preparationId: string;
}

export interface HybridSide {
  label: string;
  file: StoredFile;
  architecture: Architecture;
}

export interface PreparationRecord {
  preparationId: string;
  request: PreparationRequest;
  owner: string;
  createdAt: string;
}

export interface PreparationResult {
  preparationId: string;
  status: 'completed' | 'failed';
  failure?: { reason: string };
  corpusId?: string;
  teacherId?: string;
  hybridId?: string;
  verification?: Verification;
  crossDecoding?: CrossDecoding;
  finishedAt: string;
}
