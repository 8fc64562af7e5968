// Running prose (speeches, articles) to one sentence a line, which is what the corpus pipeline takes. English only, by two
// patterns: fast and good enough to train on, no linguistics.

// Counted quantifiers, so that a megabyte of full stops costs no more than other text.
const SENTENCE_END = /[.!?]{1,8}["'”’)\]]{0,4} (?=["'“‘([]{0,4}[A-Z0-9])/g;
// Ends that are none: titles, initials (but not "I") and abbreviations, with the character that follows.
const NO_END =
  /(?:^|[^A-Za-z])(?:(?:[A-HJ-Z]|Mr|Mrs|Ms|Messrs|Dr|Prof|Hon|Gen|Col|Capt|Lt|Maj|Sgt|Adm|Sen|Rep|Gov|Pres|Rev|St|Jr|Sr|vs|viz|Jan|Feb|Aug|Sept?|Oct|Nov|Dec)\. .|(?:Nos?|Art|Sec|Ch|Vol|pp?)\. \d)$/;

/** Nobody wraps lines this long: such a line is a paragraph of its own. */
const WRAPPED_AT_MOST = 200;
const PARAGRAPH_LINE = new RegExp(`^.{${WRAPPED_AT_MOST + 1},}$`, 'gm');

/**
 * Running prose to sentences: wrapped lines are joined (an empty line, and the end of a line of more than 200 characters, end
 * a paragraph), a paragraph is cut after `.`, `!` or `?` before a capital or a digit, and not after titles, initials and
 * common abbreviations. Linear in the length of the text.
 */
export function splitSentences(text: string): string[] {
  const sentences: string[] = [];
  const unix = text.replace(/\r\n?/g, '\n').replace(PARAGRAPH_LINE, '\n$&\n');
  for (const block of unix.split(/\n[ \t]*(?:\n[ \t]*)+/)) {
    const paragraph = block.replace(/\s+/g, ' ').trim();
    let start = 0;
    for (const end of paragraph.matchAll(SENTENCE_END)) {
      const stop = end.index + end[0].length;
      // No abbreviation is longer than the look back.
      if (NO_END.test(paragraph.slice(Math.max(start, end.index - 8), stop + 1))) continue;
      sentences.push(paragraph.slice(start, stop).trimEnd());
      start = stop;
    }
    if (start < paragraph.length) sentences.push(paragraph.slice(start));
  }
  return sentences;
}
