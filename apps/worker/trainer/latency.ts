// How long a link takes for one sentence by itself, from tokens to decoded tokens.
import { decodeAlone, type EvaluationRequest, type Link } from '#distillation';

/** Enough for a median; the last of them are what the 95th percentile shows. */
const MOST_SENTENCES = 20;

export function latencySentences(request: EvaluationRequest): number {
  return Math.min(MOST_SENTENCES, request.sentences.length);
}

/** Sends and decodes the first sentences one by one; the first of all, which pays for what is made once, is not counted. */
export function latencyOf(link: Link, request: EvaluationRequest): { medianMs: number; p95Ms: number } {
  const sentences = latencySentences(request);
  decodeAlone(link, request, 0);
  const times = Array.from({ length: sentences }, (_, sentence) => {
    const start = performance.now();
    decodeAlone(link, request, sentence);
    return performance.now() - start;
  }).sort((a, b) => a - b);
  const at = (share: number) => Number((times[Math.ceil(share * sentences) - 1] as number).toFixed(3));
  return { medianMs: at(0.5), p95Ms: at(0.95) };
}
