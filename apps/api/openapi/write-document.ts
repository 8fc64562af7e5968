// Run by `npm run openapi`: brings apps/api/openapi.json up to date.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatDocument } from './format-document.js';

const path = join(process.cwd(), 'apps', 'api', 'openapi.json');
writeFileSync(path, await formatDocument());
process.stdout.write(`${path} is up to date\n`);
