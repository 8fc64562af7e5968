// `semdistill verify --scores`: a worker measures one model once more, and the numbers must be the recorded ones.
import type { Verification } from '#experiment';
import type { ApiClient, PreparationView } from './api-client.js';
import type { Context } from './context.js';
import { waitForPreparation } from './prepare.js';
import type { Planned } from './pull.js';
import { EXIT_WRONG_REQUEST, Trouble } from './trouble.js';

/** Measured models, in the order in which one is chosen where none is named. */
const MODELS = ['final_student_model.safetensors', 'model.safetensors'];

/** Throws Trouble where no such model is among the files, and where it could not be measured. */
export async function verifyScores(
  context: Context,
  client: ApiClient,
  { planned, trial }: { planned: Planned[]; trial: string | undefined },
): Promise<Verification> {
  const model = chosenModel(context, planned, trial);
  const asked = await client.json<PreparationView>('/v1/verifications', {
    method: 'POST',
    body: { model },
    signal: context.interrupted,
  });
  const { verification } = await waitForPreparation(context, client, asked);
  if (!verification) throw new Trouble(context.texts.notMeasured(model));
  return verification;
}

/** TRIAL, the beginning of its id, or TRIAL/MODEL; else the first model there is. */
function chosenModel({ texts }: Context, planned: Planned[], trial: string | undefined): string {
  const measured = planned.filter(({ name }) => MODELS.includes(name));
  if (trial === undefined) {
    const [first] = measured;
    if (first) return first.ownerId;
    throw new Trouble(texts.noModelToMeasure, EXIT_WRONG_REQUEST);
  }
  const [start = '', ...rest] = trial.split('/');
  const owners = new Set(planned.map(({ ownerId }) => ownerId).filter((id) => start !== '' && id.startsWith(start)));
  const [owner] = owners;
  if (owner !== undefined && owners.size === 1) return [owner, ...rest].join('/');
  throw new Trouble(texts.notOneTrial(trial, owners.size), EXIT_WRONG_REQUEST);
}

/** What came out, in a sentence. Throws it as Trouble where the scores are not the recorded ones. */
export function tellScores({ texts, terminal }: Context, { holds, ...verification }: Verification): void {
  const { model, tolerance, largest, numerics, recordedNumerics, measured } = verification;
  const shown = ({ library, threads, device }: Verification['numerics']) =>
    texts.shownNumerics(library, threads, device);
  const facts = {
    model,
    tolerance,
    largest,
    points: measured.snrDb.length,
    now: shown(numerics),
    before: recordedNumerics ? shown(recordedNumerics) : texts.otherNumerics,
  };
  if (!holds) throw new Trouble(texts.scoresDiffer(facts));
  terminal.say(texts.scoresHold(facts));
}
