// The words the command line says, by language. Numbers and names go in as they are; a missing translation does not
// compile.
import { chinese } from './texts-chinese.js';
import { english } from './texts-english.js';

export type { Kind } from './texts-english.js';
export type Texts = typeof english;

/** The texts of a language. */
export function textsIn(language: 'en' | 'zh'): Texts {
  return language === 'zh' ? chinese : english;
}
