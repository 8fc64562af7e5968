// Run by `npm run openapi`: brings apps/api/openapi.json and docs/report.schema.json up to date.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPORT_SCHEMA } from '#experiment';
import { formatDocument } from './format-document.js';

const path = join(process.cwd(), 'apps', 'api', 'openapi.json');
writeFileSync(path, await formatDocument());
process.stdout.write(`${path} is up to date\n`);
const schema = join(process.cwd(), 'docs', 'report.schema.json');
writeFileSync(schema, `${JSON.stringify(REPORT_SCHEMA, null, 2)}\n`);
process.stdout.write(`${schema} is up to date\n`);
