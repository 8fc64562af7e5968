// OpenAPI schemas of request bodies and queries, made from libs/experiment's table of fields, which validation reads too.
import { applyDecorators } from '@nestjs/common';
import { ApiQuery } from '@nestjs/swagger';
import {
  ANALYSIS_FIELDS,
  BUILTIN_CORPUS_FIELDS,
  CHANNELS,
  CORPUS_UPLOAD_FIELDS,
  DIALS,
  DISTILLATION_FIELDS,
  EARLY_STOPPING_FIELDS,
  EVALUATION_FIELDS,
  EXTENSION_FIELDS,
  type Field,
  HYBRID_FIELDS,
  HYPERPARAMETER_FIELDS,
  SWEEP_FIELDS,
  TEACHER_FIELDS,
  TEACHER_IMPORT_FIELDS,
  TEACHER_TRAINING_FIELDS,
  VERIFICATION_FIELDS,
} from '#experiment';

export interface JsonSchema {
  [keyword: string]: unknown;
}

type Fields = Record<string, Field>;

const LISTS: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  properties: Object.fromEntries(
    Object.entries(HYPERPARAMETER_FIELDS).map(([name, field]) => [
      name,
      { type: 'array', items: valueSchema(field), minItems: 1, maxItems: 1000 },
    ]),
  ),
};

/** What each hyperparameter may be drawn from. */
const SPACE: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  properties: Object.fromEntries(
    Object.entries(HYPERPARAMETER_FIELDS)
      .filter(([name]) => name !== 'seed')
      .map(([name, field]) => {
        const ends = { type: 'array', items: valueSchema(field), minItems: 2, maxItems: 2 };
        const range = (kind: string) => ({
          type: 'object',
          additionalProperties: false,
          required: [kind],
          properties: { [kind]: ends },
        });
        const ranges = { number: ['uniform', 'logUniform'], integer: ['int', 'logUniform'] } as Record<
          string,
          string[]
        >;
        const choice = { type: 'array', items: valueSchema(field), minItems: 1, maxItems: 1000 };
        return [name, { oneOf: [...(ranges[field.kind] ?? []).map(range), choice] }];
      }),
  ),
};

const SWEEP_PARTS = {
  base: ref('HyperparametersRequest'),
  vary: LISTS,
  trials: {
    oneOf: [
      { type: 'array', items: ref('HyperparametersRequest'), minItems: 1, maxItems: SWEEP_FIELDS.trials.maxItems },
      { type: 'integer', minimum: 1, maximum: SWEEP_FIELDS.trials.maxItems },
    ],
  },
  space: SPACE,
  evaluation: ref('EvaluationRequest'),
  earlyStopping: objectOf(EARLY_STOPPING_FIELDS),
} satisfies Record<string, JsonSchema>;

const { pool, requires } = TEACHER_FIELDS;

export const REQUEST_SCHEMAS = {
  HyperparametersRequest: objectOf(HYPERPARAMETER_FIELDS),
  EvaluationRequest: objectOf(EVALUATION_FIELDS),
  SweepRequest: objectOf(SWEEP_FIELDS, SWEEP_PARTS),
  SweepExtension: objectOf(EXTENSION_FIELDS, { vary: SWEEP_PARTS.vary }),
  DistillationRequest: objectOf({ ...DISTILLATION_FIELDS, ...HYPERPARAMETER_FIELDS }, SWEEP_PARTS),
  CorpusRequest: objectOf(BUILTIN_CORPUS_FIELDS),
  TeacherRequest: {
    oneOf: [
      objectOf({ builtin: { ...TEACHER_FIELDS.builtin, required: true }, pool, requires }),
      objectOf({
        name: { ...TEACHER_FIELDS.name, required: true },
        corpus: { ...TEACHER_FIELDS.corpus, required: true },
        ...TEACHER_TRAINING_FIELDS,
        pool,
        requires,
      }),
    ],
  },
  CorpusTokensForm: formOf(
    {
      train: "The reference's train_data.pkl: a pickled list of lists of token ids",
      test: "The reference's test_data.pkl",
      vocabulary: 'The vocab.json they were made with',
    },
    ['name', 'train', 'test', 'vocabulary'],
    { name: CORPUS_UPLOAD_FIELDS.name },
  ),
  HybridRequest: objectOf(HYBRID_FIELDS),
  VerificationRequest: objectOf(VERIFICATION_FIELDS),
  AnalysisRequest: objectOf(ANALYSIS_FIELDS, {
    channels: {
      type: 'array',
      items: { type: 'string', enum: [...CHANNELS] },
      minItems: 1,
      maxItems: CHANNELS.length,
      uniqueItems: true,
    },
  }),
  TeacherImportForm: formOf(
    { model: 'The tensors: .pth, .pt, .ckpt or .safetensors', vocabulary: 'The vocab.json it was trained with' },
    ['model'],
    TEACHER_IMPORT_FIELDS,
  ),
} satisfies Record<string, JsonSchema>;

/** Describes each field of a table as a query parameter. */
export function QueryFields(fields: Fields, note: string) {
  return applyDecorators(
    ...Object.entries(fields).map(([name, field]) =>
      ApiQuery({
        name,
        description: `${meaningOf(field)} (${note})`,
        required: false,
        schema: valueSchema(field) as NonNullable<Parameters<typeof ApiQuery>[0]>,
      } as Parameters<typeof ApiQuery>[0]),
    ),
  );
}

function ref(name: string): JsonSchema {
  return { $ref: `#/components/schemas/${name}` };
}

/** A form: files by name, and text fields. */
function formOf(files: Record<string, string>, required: string[], fields: Fields): JsonSchema {
  const { properties, ...rest } = objectOf(fields);
  const binary = Object.entries(files).map(
    ([name, description]) => [name, { type: 'string', format: 'binary', description }] as const,
  );
  return { ...rest, required, properties: { ...Object.fromEntries(binary), ...(properties as JsonSchema) } };
}

function objectOf(fields: Fields, parts: Record<string, JsonSchema> = {}): JsonSchema {
  const properties = Object.entries(fields).map(([name, field]) => [
    name,
    {
      ...(parts[name] ?? valueSchema(field)),
      description: meaningOf(field),
      ...(field.default === undefined ? {} : { default: field.default }),
      ...(field.example === undefined ? {} : { example: field.example }),
    },
  ]);
  const required = Object.keys(fields).filter((name) => fields[name]?.required);
  return {
    type: 'object',
    additionalProperties: false,
    ...(required.length > 0 ? { required } : {}),
    properties: Object.fromEntries(properties),
  };
}

function meaningOf({ meaning, unit, defaultMeaning }: Field): string {
  return `${meaning}${unit ? `, in ${unit}` : ''}${defaultMeaning ? `; default: ${defaultMeaning}` : ''}.`;
}

function valueSchema(field: Field): JsonSchema {
  const { minItems = 0, maxItems = 0 } = field;
  switch (field.kind) {
    case 'integer':
      return { type: 'integer', ...boundsOf(field) };
    case 'number':
      return { type: 'number', ...boundsOf(field) };
    case 'boolean':
      return { type: 'boolean' };
    case 'choice':
      return { type: 'string', enum: [...(field.choices ?? [])] };
    case 'range':
      return { type: 'array', items: { type: 'number', ...boundsOf(field) }, minItems: 2, maxItems: 2 };
    case 'numbers':
      return { type: 'array', items: { type: 'number', ...boundsOf(field) }, minItems, maxItems, uniqueItems: true };
    case 'name':
      return { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$' };
    case 'text':
      return { type: 'string', minLength: 1, maxLength: field.maxLength ?? 200 };
    case 'object':
      return { type: 'object' };
    case 'labels': {
      const label = { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' };
      return { type: 'array', items: label, minItems, maxItems, uniqueItems: true };
    }
    case 'list':
      return { type: 'array', items: { type: 'object' }, minItems, maxItems };
    case 'settings':
      return { oneOf: [{ type: 'array', items: { type: 'object' }, minItems, maxItems }, { type: 'integer' }] };
    case 'seeds': {
      const list = {
        type: 'array',
        items: { type: 'integer', ...boundsOf(field) },
        minItems: 1,
        maxItems,
        uniqueItems: true,
      };
      return { oneOf: [{ type: 'integer', minimum: 1, maximum: maxItems }, list] };
    }
  }
}

function boundsOf({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Field): JsonSchema {
  return {
    ...(minimum === undefined ? {} : { [exclusiveMinimum ? 'exclusiveMinimum' : 'minimum']: minimum }),
    ...(maximum === undefined ? {} : { [exclusiveMaximum ? 'exclusiveMaximum' : 'maximum']: maximum }),
  };
}

/** What a stored trial holds: the same fields, complete but for dials that are as usual. */
export const HYPERPARAMETERS_SCHEMA: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  required: Object.keys(HYPERPARAMETER_FIELDS).filter(
    (name) => ![...(DIALS as readonly string[]), 'studentDModel', 'studentDff', 'sentencesPerEpoch'].includes(name),
  ),
  properties: Object.fromEntries(
    Object.entries(HYPERPARAMETER_FIELDS as Fields).map(([name, field]) => [
      name,
      { ...valueSchema(field), description: meaningOf(field) },
    ]),
  ),
};
