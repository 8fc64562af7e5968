// Short forms of Nest's OpenAPI decorators: what an operation is for, what it takes, what it answers, how it refuses.
// Schemas are named here and defined in schemas.ts.
import { applyDecorators, HttpCode, Post } from '@nestjs/common';
import {
  ApiBody,
  ApiHeader,
  ApiOperation,
  ApiParam,
  ApiQuery,
  ApiResponse,
  type ApiResponseSchemaHost,
} from '@nestjs/swagger';
import { titleOf, typeOf } from '../problems/problem.js';
import type { SchemaName } from './schemas.js';

type Schema = ApiResponseSchemaHost['schema'];

interface OperationFacts {
  tag: string;
  summary: string;
  description?: string;
  /** Needs no API key. */
  isOpen?: boolean;
  /** Bodies by media type, where there is more than JSON. */
  bodies?: Record<string, { schema: Schema; example: unknown }>;
}

export function Operation({ tag, summary, description, isOpen, bodies }: OperationFacts) {
  return ApiOperation({
    tags: [tag],
    summary,
    ...(description ? { description } : {}),
    ...(isOpen ? { security: [] } : {}),
    ...(bodies ? { requestBody: { required: true, content: bodies } } : {}),
  });
}

export const refTo = (name: SchemaName) => ({ $ref: `#/components/schemas/${name}` });

/** A JSON answer by schema name, or bytes. */
export function Answers(status: number, description: string, body: SchemaName | 'binary' | 'none', example?: unknown) {
  if (body === 'none') return ApiResponse({ status, description });
  if (body === 'binary') {
    const schema: Schema = { type: 'string', format: 'binary' };
    return ApiResponse({ status, description, content: { 'application/octet-stream': { schema } } });
  }
  const media = { schema: refTo(body), ...(example === undefined ? {} : { example }) };
  return ApiResponse({ status, description, content: { 'application/json': media } });
}

/** A stream of server-sent events. */
export function AnswersEvents(description: string) {
  const schema: Schema = { type: 'string' };
  return ApiResponse({ status: 200, description, content: { 'text/event-stream': { schema } } });
}

const WHEN: Record<number, string> = {
  400: 'The request is wrong; every fault is named with its path.',
  401: 'No API key, or a wrong one.',
  403: 'The signature of the URL is wrong or has expired.',
  410: 'It was there and has been removed.',
  404: 'There is no such thing; the sentence says what there is.',
  406: 'None of the accepted media types can be given.',
  409: 'Not now: something is not ready, or contradicts what is stored.',
  413: 'The body is too large.',
  415: 'The body has another media type than this takes.',
  416: 'The range lies outside the file.',
  429: "More of this owner's trials would wait than may.",
  503: 'Redis or the object store is away; try again after Retry-After seconds.',
};

/** The ways in which the operation refuses, all as application/problem+json. */
export function Problems(...statuses: number[]) {
  return applyDecorators(
    ...statuses.map((status) =>
      ApiResponse({
        status,
        description: WHEN[status] ?? titleOf(status),
        ...(status === 503 ? { headers: { 'Retry-After': { schema: { type: 'integer' as const } } } } : {}),
        content: { 'application/problem+json': { schema: refTo('Problem'), example: exampleOf(status) } },
      }),
    ),
  );
}

function exampleOf(status: number) {
  const isInvalid = status === 400;
  const fault = { path: 'temperature', message: 'must be a number greater than 0 and at most 100, got 0' };
  return {
    type: typeOf(status),
    title: titleOf(status),
    status,
    detail: isInvalid ? `${fault.path}: ${fault.message}` : WHEN[status],
    ...(isInvalid ? { errors: [fault] } : {}),
    requestId: '2f1c1f0e-6c1f-4a52-9f6e-0d8f3c1f7a10',
  };
}

/** A JSON body by schema name. */
export function Takes(name: SchemaName, example: unknown) {
  return ApiBody({ required: true, schema: refTo(name), examples: { example: { value: example } } });
}

export function PathId(name: string, description: string) {
  return ApiParam({ name, description, schema: { type: 'string' } });
}

/** POST :id/cancel and its like: what steers a trial or sweep, answers with it as it is now, and refuses in the same ways. */
export function Steers(
  id: { name: string; description: string },
  facts: OperationFacts & { path: string; answer: string; schema: SchemaName },
) {
  const { path, answer, schema, ...operation } = facts;
  return applyDecorators(
    Post(`:${id.name}/${path}`),
    HttpCode(202),
    Operation(operation),
    PathId(id.name, id.description),
    Answers(202, answer, schema),
    Problems(400, 401, 404, 409, 503),
  );
}

export function QueryText(
  name: string,
  description: string,
  { required = false, choices = [] as readonly string[] } = {},
) {
  const schema: Schema = choices.length > 0 ? { type: 'string', enum: [...choices] } : { type: 'string' };
  return ApiQuery({ name, description, required, schema });
}

/** limit and cursor of a list. */
export function Paged() {
  return applyDecorators(
    ApiQuery({
      name: 'limit',
      description: 'At most so many items',
      required: false,
      schema: { type: 'integer', minimum: 1, maximum: 500, default: 50 },
    }),
    QueryText('cursor', 'nextCursor of the page before'),
  );
}

export function IdempotencyKey() {
  return ApiHeader({
    name: 'Idempotency-Key',
    description: 'Sent again with the same body it gives the same answer and starts nothing new.',
    required: false,
    schema: { type: 'string', maxLength: 255 },
  });
}
