// Whether a JSON value is what a schema of the OpenAPI document says: the part of JSON Schema that the document uses.

export interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  oneOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean;
  items?: Schema;
  pattern?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
}

/** Where and how the value differs from the schema; undefined when it does not. */
export function findMismatch(
  value: unknown,
  schema: Schema,
  named: Record<string, Schema>,
  path = '$',
): string | undefined {
  if (schema.$ref !== undefined) {
    const target = named[schema.$ref.split('/').at(-1) ?? ''];
    if (target === undefined) return `${path}: no schema ${schema.$ref}`;
    return findMismatch(value, target, named, path);
  }
  if (schema.oneOf !== undefined) {
    const mismatches = schema.oneOf.map((option) => findMismatch(value, option, named, path));
    const fitting = mismatches.filter((mismatch) => mismatch === undefined).length;
    return fitting === 1
      ? undefined
      : `${path}: fits ${fitting} of ${mismatches.length} options (${mismatches.join(' | ')})`;
  }
  if (schema.enum !== undefined && !schema.enum.includes(value)) return `${path}: ${String(value)} is not in the enum`;
  if (Array.isArray(schema.type)) {
    const { type: types, ...rest } = schema;
    if (value === null) return types.includes('null') ? undefined : `${path}: null`;
    const mismatches = types
      .filter((type) => type !== 'null')
      .map((type) => findMismatch(value, { ...rest, type }, named, path));
    return mismatches.includes(undefined) ? undefined : mismatches.join(' | ');
  }
  switch (schema.type) {
    case 'object':
      return objectMismatch(value, schema, named, path);
    case 'array': {
      if (!Array.isArray(value)) return `${path}: not an array`;
      const { items = {} } = schema;
      return firstOf(value.map((item, index) => findMismatch(item, items, named, `${path}[${index}]`)));
    }
    case 'string': {
      if (typeof value !== 'string') return `${path}: not a string`;
      if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(value))
        return `${path}: ${value} breaks the pattern`;
      if (schema.format === 'date-time' && new Date(value).toISOString() !== value)
        return `${path}: ${value} is no UTC time`;
      if (schema.format === 'uri' && !URL.canParse(value)) return `${path}: ${value} is no URI`;
      return undefined;
    }
    case 'integer':
    case 'number': {
      if (typeof value !== 'number' || (schema.type === 'integer' && !Number.isInteger(value)))
        return `${path}: not a ${schema.type}`;
      const { minimum = -Infinity, maximum = Infinity } = schema;
      return value >= minimum && value <= maximum ? undefined : `${path}: ${value} is outside`;
    }
    case 'boolean':
      return typeof value === 'boolean' ? undefined : `${path}: not a boolean`;
    default:
      return undefined;
  }
}

function objectMismatch(
  value: unknown,
  schema: Schema,
  named: Record<string, Schema>,
  path: string,
): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return `${path}: not an object`;
  const { properties = {}, required = [] } = schema;
  const missing = required.filter((name) => !Object.hasOwn(value, name));
  if (missing.length > 0) return `${path}: lacks ${missing.join(', ')}`;
  return firstOf(
    Object.entries(value).map(([name, item]) => {
      const property = properties[name];
      if (property !== undefined) return findMismatch(item, property, named, `${path}.${name}`);
      return schema.additionalProperties === false ? `${path}: has ${name}, which is not documented` : undefined;
    }),
  );
}

function firstOf(mismatches: (string | undefined)[]): string | undefined {
  return mismatches.find((mismatch) => mismatch !== undefined);
}
