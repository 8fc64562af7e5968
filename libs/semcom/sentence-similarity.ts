// How close in meaning what arrived is to what was sent, as a sentence encoder sees it, and what the same encoder says of sentences
// that have nothing to do with each other: without that floor a similarity says little (encoders rate any two speeches as akin).

/** Vectors of texts, in their order. */
export type SentenceEncoder = (texts: readonly string[]) => Promise<readonly Float32Array[]>;

export interface SentenceSimilarity {
  /** Mean over sentences of cos(e(sent), e(received)), -1 … 1; a sentence that arrived empty counts 0. */
  similarity: number;
  /** The same with each received sentence beside one that was sent half the list away: the shuffled floor. */
  floor: number;
}

/**
 * Similarity of each list of received sentences to what was sent (the sentence similarity of Xie et al. 2021, there with BERT).
 * Equal texts are encoded once. Throws RangeError when a list has another length, or there are fewer than two sentences.
 */
export async function sentenceSimilarities(
  encode: SentenceEncoder,
  sent: readonly string[],
  received: readonly (readonly string[])[],
): Promise<SentenceSimilarity[]> {
  if (sent.length < 2 || received.some((list) => list.length !== sent.length)) {
    throw new RangeError('sentence similarity needs two or more sentences, and as many received as sent');
  }
  const texts = [...new Set([...sent, ...received.flat()])].filter((text) => text !== '').sort();
  const vectors = await encode(texts);
  const byText = new Map(texts.map((text, i) => [text, vectors[i] as Float32Array]));
  const apart = Math.floor(sent.length / 2);
  return received.map((list) => {
    let [similarity, floor] = [0, 0];
    for (const [i, text] of list.entries()) {
      const vector = byText.get(text);
      if (vector === undefined) continue;
      similarity += cosine(byText.get(sent[i] as string), vector);
      floor += cosine(byText.get(sent[(i + apart) % sent.length] as string), vector);
    }
    return { similarity: similarity / list.length, floor: floor / list.length };
  });
}

function cosine(a: Float32Array | undefined, b: Float32Array): number {
  if (a === undefined) return 0;
  let [dot, left, right] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    dot += x * y;
    left += x * x;
    right += y * y;
  }
  return left === 0 || right === 0 ? 0 : dot / Math.sqrt(left * right);
}
