// A received sentence laid beside the one that was sent: which words are the same, which are others or too many, which are missing.

export interface AlignedWord {
  kind: 'same' | 'other' | 'extra' | 'missing';
  /** As received; as sent where it is missing. */
  word: string;
}

/**
 * The fewest edits (Levenshtein on words) that turn `sent` into `received`, in the order of the sentence. Of equally short ways the one with
 * replaced words rather than missing and extra ones. Quadratic in the length; for sentences.
 */
export function alignWords(sent: readonly string[], received: readonly string[]): AlignedWord[] {
  const width = received.length + 1;
  const costs = new Int32Array((sent.length + 1) * width);
  const at = (i: number, j: number) => costs[i * width + j] as number;
  for (let i = 0; i <= sent.length; i++)
    for (let j = 0; j <= received.length; j++) {
      if (i === 0 || j === 0) costs[i * width + j] = i + j;
      else {
        const replaced = at(i - 1, j - 1) + (sent[i - 1] === received[j - 1] ? 0 : 1);
        costs[i * width + j] = Math.min(replaced, at(i - 1, j) + 1, at(i, j - 1) + 1);
      }
    }
  const aligned: AlignedWord[] = [];
  let [i, j] = [sent.length, received.length];
  while (i > 0 || j > 0) {
    const isSame = i > 0 && j > 0 && sent[i - 1] === received[j - 1];
    if (i > 0 && j > 0 && at(i, j) === at(i - 1, j - 1) + (isSame ? 0 : 1)) {
      aligned.push({ kind: isSame ? 'same' : 'other', word: received[j - 1] as string });
      i--;
      j--;
    } else if (j > 0 && at(i, j) === at(i, j - 1) + 1) {
      aligned.push({ kind: 'extra', word: received[j - 1] as string });
      j--;
    } else {
      aligned.push({ kind: 'missing', word: sent[i - 1] as string });
      i--;
    }
  }
  return aligned.reverse();
}

/** The words of a text as the table of sentences holds it. */
export function wordsOf(text: string): string[] {
  return text.split(' ').filter((word) => word !== '');
}
