// What a worker and its trainer process say to each other: one job file before the start, small JSON messages after.
// The trainer knows files and TensorFlow; it knows neither the queue nor the object store.
import type {
  AnalysisPreparation,
  Architecture,
  BleuCurve,
  Channel,
  ChannelProfile,
  CorpusOptions,
  CorpusRecord,
  EpochMetrics,
  HybridRecord,
  Numerics,
  PrunedFacts,
  RecordedScores,
  StoppingMeasure,
  TeacherRecord,
  TeacherTraining,
  TrialSpec,
  TrialSummary,
} from '#experiment';

/** Written as <workFolder>/job.json; the trainer is started as `node …/apps/worker/trainer.js <workFolder>`. */
export type TrainerJob =
  | {
      kind: 'bundle';
      /** In the order of the checkpoint, when there is one in <workFolder>/checkpoints/; it may hold trials nobody wants any more. */
      trials: { trialId: string; spec: TrialSpec }[];
      /** Those of the trials that have ended or were cancelled; they are not trained on. */
      unwanted?: string[];
      /** Where students are held against others of their sweep, and which of them may be stopped there. */
      rungs?: { measure: StoppingMeasure; epochs: number[]; trialIds: string[] };
      /** Batches took more memory than there is: from now on they are computed in so many times as many parts. */
      parts?: number;
      teacher: TeacherRecord;
      /** model.safetensors of the teacher */
      teacherFile: string;
      corpus: CorpusRecord;
      /** holds vocab.json, train.json, test.json */
      corpusFolder: string;
      /** holds the sentence encoder, where the trials ask for sentence similarity */
      encoderFolder?: string;
    }
  | {
      kind: 'train-teacher';
      name: string;
      training: TeacherTraining;
      /** As in a bundle. */
      parts?: number;
      corpus: CorpusRecord;
      corpusFolder: string;
    }
  | {
      kind: 'measure-teacher';
      name: string;
      builtin: string;
      teacherFile: string;
      corpus: CorpusRecord;
      corpusFolder: string;
    }
  | {
      kind: 'import-teacher';
      name: string;
      origin: Extract<TeacherRecord['origin'], { kind: 'imported' }>;
      architecture: Architecture;
      /** PyTorch or safetensors */
      modelFile: string;
      corpus: CorpusRecord;
      corpusFolder: string;
    }
  | {
      kind: 'score-hybrid';
      transmitter: GivenModel;
      receiver: GivenModel;
      corpus: CorpusRecord;
      corpusFolder: string;
    }
  | {
      kind: 'measure-scores';
      model: GivenModel;
      recorded: RecordedScores;
      corpus: CorpusRecord;
      corpusFolder: string;
    }
  | {
      kind: 'cross-decode';
      models: GivenModel[];
      channel: Channel;
      channelProfile: ChannelProfile;
      snrDb: number;
      sentences: number;
      corpus: CorpusRecord;
      corpusFolder: string;
    }
  | {
      kind: 'analyze';
      request: AnalysisPreparation;
      reference: GivenModel;
      other: GivenModel;
      corpus: CorpusRecord;
      corpusFolder: string;
      /** as in a bundle */
      encoderFolder?: string;
    }
  | {
      kind: 'prepare-corpus';
      name: string;
      source: CorpusRecord['source'];
      options: CorpusOptions;
      /** UTF-8 text, one sentence or paragraph a line */
      textFile: string;
    }
  | {
      kind: 'import-corpus';
      name: string;
      source: Extract<CorpusRecord['source'], { kind: 'tokens' }>;
      /** train_data.pkl, test_data.pkl and vocab.json of the reference */
      files: { train: GivenFile; test: GivenFile; vocabulary: GivenFile };
    };

/** A model to be read, whole or for one of its sides. */
interface GivenModel {
  path: string;
  architecture: Architecture;
}

/** What a student had when it was stopped. */
export type StoppedTraining = Required<
  Pick<PrunedFacts, 'epochs' | 'step' | 'bestLoss' | 'bestEpoch' | 'trainingSeconds' | 'numerics'>
>;

/** A file as its user calls it, and where it lies now. */
interface GivenFile {
  path: string;
  fileName: string;
}

/** Trainer to worker. Every message counts as a heartbeat. */
export type TrainerMessage =
  | { type: 'ready'; numerics: Numerics }
  /** Everything is loaded, a job may come; only from a trainer started with --wait. */
  | { type: 'waiting'; isGpu: boolean }
  /** Something without steps has begun or goes on. */
  | { type: 'busy'; doing: 'validating' | 'evaluating' }
  | {
      type: 'progress';
      phase: 'training' | 'evaluating';
      /** Of the whole job, 0 to 1. */
      fraction: number;
      step: number;
      steps: number;
      epoch: number;
      epochs: number;
      tokensPerSecond: number;
      /** Latest loss of each trial (bundle) or of the teacher (key 'teacher'). */
      trainLoss: Record<string, number>;
    }
  /** A text is being read; of all of it, 0 to 1. */
  | { type: 'reading'; fraction: number }
  /** `trialId` is 'teacher' when a teacher trains. */
  | { type: 'epoch'; trialId: string; metrics: EpochMetrics }
  /** The students have come to a rung with these values and wait for what is decided of them. */
  | { type: 'rung'; epoch: number; values: Record<string, number | null> }
  /** It was stopped at a rung; the files lie in <workFolder>/<trialId>/ and are complete. */
  | { type: 'trial-pruned'; trialId: string; had: StoppedTraining; files: { name: string; contentType: string }[] }
  /** A checkpoint is whole on disk, in <workFolder>/checkpoints/. */
  | { type: 'checkpoint'; step: number }
  /** The files lie in <workFolder>/<trialId>/ and are complete. */
  | { type: 'trial-completed'; trialId: string; summary: TrialSummary; files: { name: string; contentType: string }[] }
  | { type: 'trial-failed'; trialId: string; reason: string; step?: number }
  /** Files in <workFolder>/teacher/; `teacher` lacks only what the worker adds (id, files, createdAt). */
  | {
      type: 'teacher-completed';
      teacher: Omit<TeacherRecord, 'teacherId' | 'files' | 'createdAt'>;
      files: { name: string; contentType: string }[];
    }
  /** Files in <workFolder>/hybrid/; the warnings are those of its score. */
  | {
      type: 'hybrid-completed';
      hybrid: Pick<HybridRecord, 'architecture' | 'scores' | 'parameters' | 'numerics' | 'warnings'>;
      files: { name: string; contentType: string }[];
    }
  | { type: 'scores-measured'; scores: BleuCurve; numerics: Numerics }
  /** [transmitter][receiver] */
  | { type: 'cross-decoded'; bleu1: number[][]; numerics: Numerics }
  /** Files in <workFolder>/analysis/. */
  | { type: 'analysis-completed'; contentSha256: string; files: { name: string; contentType: string }[] }
  /** Files in <workFolder>/corpus/. */
  | {
      type: 'corpus-completed';
      corpus: Omit<CorpusRecord, 'corpusId' | 'files' | 'createdAt'>;
      files: { name: string; contentType: string }[];
    }
  /** The job as asked cannot be done; the sentence is for the user. The process then exits 0. */
  | { type: 'impossible'; reason: string }
  /** The last message; the process then exits 0. */
  | { type: 'done' };

/** Worker to trainer. 'begin': the one job of a trainer started with --wait. 'stop': write a checkpoint, end. */
export type TrainerCommand =
  | { type: 'begin'; workFolder: string }
  | { type: 'cancel'; trialIds: string[] }
  /** Of the students that wait at this rung these are stopped, the others go on. */
  | { type: 'rung-decided'; epoch: number; stopped: string[] }
  | { type: 'stop' };
