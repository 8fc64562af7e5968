// Text as the pieces of a unigram vocabulary, as sentence encoders want it: of all ways to cut a text into known pieces the one
// whose log probabilities sum highest (Kudo 2018, "Subword regularization", section 3.2; the Viterbi best path).

/** Stands for a space in pieces. */
const SPACE = '\u2581';
/** A character that no piece covers costs more than any piece. */
const UNKNOWN_PENALTY = 10;
const UNKNOWN = 0;

export class SentencePieces {
  private readonly pieces = new Map<string, { id: number; score: number }>();
  private readonly longest: number;
  private readonly unknownScore: number;

  /**
   * vocabulary: [piece, natural logarithm of its probability], ids are positions; null is a piece that is always cut out (0). The
   * `reserved` first ids are never found in text, the first is the unknown piece. Throws RangeError for an empty or malformed vocabulary.
   */
  constructor(vocabulary: readonly (readonly [string, number | null])[], reserved = 6) {
    let [longest, least] = [0, 0];
    for (const [id, entry] of vocabulary.entries()) {
      const [piece, score] = [entry[0], entry[1] ?? 0];
      if (typeof piece !== 'string' || !Number.isFinite(score)) {
        throw new RangeError(`entry ${id} of the vocabulary of pieces is not a text and a number`);
      }
      if (id < reserved) continue;
      this.pieces.set(piece, { id, score });
      longest = Math.max(longest, [...piece].length);
      least = Math.min(least, score);
    }
    if (this.pieces.size === 0) throw new RangeError('the vocabulary of pieces is empty');
    this.longest = longest;
    this.unknownScore = least - UNKNOWN_PENALTY;
  }

  /** Ids of the best pieces; [] for an empty text. Unknown characters that follow each other are one unknown piece. */
  encode(text: string): number[] {
    const normal = text.normalize('NFKC').trim().replace(/\s+/g, ' ');
    if (normal === '') return [];
    const characters = [...(SPACE + normal.replaceAll(' ', SPACE))];
    const best: { score: number; from: number; id: number }[] = [{ score: 0, from: 0, id: UNKNOWN }];
    for (let end = 1; end <= characters.length; end++) best.push(this.bestEnd(characters, end, best));
    const ids: number[] = [];
    for (let end = characters.length; end > 0; end = (best[end] as { from: number }).from) {
      const { id } = best[end] as { id: number };
      if (id !== UNKNOWN || ids.at(-1) !== UNKNOWN) ids.push(id);
    }
    return ids.reverse();
  }

  /** The best last piece of a text that ends here. */
  private bestEnd(characters: string[], end: number, best: { score: number }[]) {
    const before = best[end - 1] as { score: number };
    let found = { score: before.score + this.unknownScore, from: end - 1, id: UNKNOWN };
    let piece = '';
    for (let from = end - 1; from >= Math.max(0, end - this.longest); from--) {
      piece = characters[from] + piece;
      const known = this.pieces.get(piece);
      if (known === undefined) continue;
      const score = (best[from] as { score: number }).score + known.score;
      if (score > found.score) found = { score, from, id: known.id };
    }
    return found;
  }
}
