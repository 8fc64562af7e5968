// A hybrid of any two stored models: what may be asked, which models fit together, and when a pair is a broken link.
import type { Fault } from './errors.js';
import type { Field } from './fields.js';
import type { Architecture, BleuCurve, Warning } from './records.js';
import { Described, readFields, refuse } from './validation.js';

const MODEL = { kind: 'text', required: true, maxLength: 300 } as const;

export const HYBRID_FIELDS = {
  transmitter: { ...MODEL, meaning: 'The model that sends: name or id of a teacher, or TRIAL/FILE' },
  receiver: { ...MODEL, meaning: 'The model that receives: name or id of a teacher, or TRIAL/FILE' },
  name: { kind: 'name', meaning: 'What the hybrid is called', defaultMeaning: 'hybrid' },
} as const satisfies Record<string, Field>;

class HybridBody {
  @Described(HYBRID_FIELDS.transmitter) transmitter!: string;
  @Described(HYBRID_FIELDS.receiver) receiver!: string;
  @Described(HYBRID_FIELDS.name) name?: string;
}

export interface HybridRequest {
  transmitter: string;
  receiver: string;
  name: string;
}

/** Parses the body of POST /v1/hybrids. Throws InvalidRequest with all faults. */
export function parseHybridRequest(body: unknown): HybridRequest {
  const faults: Fault[] = [];
  const { transmitter, receiver, name } = readFields(HybridBody, HYBRID_FIELDS, body, '', faults);
  refuse(faults);
  return { transmitter, receiver, name: name ?? 'hybrid' };
}

/** What keeps two models apart; layers may differ, for each side has its own. */
export function hybridFaults(
  transmitter: { label: string; architecture: Architecture; vocabularySha256: string },
  receiver: { label: string; architecture: Architecture; vocabularySha256: string },
): Fault[] {
  const faults: Fault[] = [];
  const [a, b] = [transmitter.architecture, receiver.architecture];
  const sizes = [
    ['vocabularySize', 'words'],
    ['dModel', 'as width'],
    ['dff', 'as feed-forward width'],
    ['heads', 'attention heads'],
  ] as const;
  for (const [size, words] of sizes) {
    if (a[size] === b[size]) continue;
    const message = `${receiver.label} has ${b[size]} ${words}, ${transmitter.label} has ${a[size]}`;
    faults.push({ path: 'receiver', message: `${message}: one model cannot hold both sides` });
  }
  if (faults.length === 0 && transmitter.vocabularySha256 !== receiver.vocabularySha256) {
    const message = `${receiver.label} and ${transmitter.label} were trained on other vocabularies: the same id is another word`;
    faults.push({ path: 'receiver', message });
  }
  return faults;
}

/** Of two sides that never met in training. */
export function unfrozenPairWarning(transmitter: string, receiver: string): Warning {
  return {
    code: 'unfrozen-pair',
    message: `${receiver} did not learn behind the frozen transmitter of ${transmitter}, nor ${transmitter} before the frozen receiver of ${receiver}: an unfrozen pair is a broken link, whatever each model scores by itself.`,
  };
}

const BROKEN_BLEU = 0.2;

/** What the score of a hybrid says against it. */
export function linkWarnings({ snrDb, bleu1 }: BleuCurve): Warning[] {
  const score = bleu1.at(-1);
  if (score === undefined || score >= BROKEN_BLEU) return [];
  const message = `BLEU-1 ${score.toFixed(3)} at ${snrDb.at(-1)} dB: the link is broken, these two sides do not understand each other.`;
  return [{ code: 'broken-link', message }];
}
