// The OpenAPI document of the API as it stands, and the page that shows it. It is committed as openapi.json, from which the
// typed client is generated; a spec says when that file is stale.
import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { packageVersion } from '../version/package-version.js';
import { SCHEMAS } from './schemas.js';

const DESCRIPTION = `Knowledge distillation of DeepSC on a fleet of workers: corpora, teachers, sweeps of students, comparison reports.

Every error is application/problem+json and names all faults of the request at once. Unknown fields and query parameters are refused by name. Lists are paged by an opaque cursor. Times are ISO 8601 in UTC.`;

/** The document as it is now. Needs no Redis and no store. */
export function createDocument(app: NestExpressApplication): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('semdistill')
    .setDescription(DESCRIPTION)
    .setVersion(packageVersion())
    .addBearerAuth({ type: 'http', scheme: 'bearer' }, 'bearer')
    .addApiKey({ type: 'apiKey', in: 'header', name: 'X-API-Key' }, 'apiKey')
    .addSecurityRequirements('bearer')
    .addSecurityRequirements('apiKey');
  const document = SwaggerModule.createDocument(app, builder.build());
  for (const [path, operations] of Object.entries(document.paths)) {
    // The same as under /v1, for probes that know no versions.
    if (path.startsWith('/health')) delete document.paths[path];
    for (const operation of Object.values(operations) as { operationId?: string }[]) {
      operation.operationId = nameOf(operation.operationId ?? '');
    }
  }
  return { ...document, components: { ...document.components, schemas: SCHEMAS } } as OpenAPIObject;
}

/** Serves /openapi.json and the page /docs, both without the API key and with nothing fetched from elsewhere. */
export function serveDocument(app: NestExpressApplication): void {
  SwaggerModule.setup('docs', app, () => createDocument(app), {
    jsonDocumentUrl: 'openapi.json',
    raw: ['json'],
    customSiteTitle: 'semdistill API',
    swaggerOptions: { validatorUrl: null, persistAuthorization: false, tryItOutEnabled: true },
  });
}

/** 'SweepsController_submit_v1' becomes 'sweeps.submit'. */
function nameOf(nestId: string): string {
  const [, noun = '', verb = ''] = /^(\w+)Controller_([A-Za-z]+)/.exec(nestId) ?? [];
  return `${noun.charAt(0).toLowerCase()}${noun.slice(1)}.${verb}`;
}
