// GET /v1/version: which semdistill answers, and which numerics its trials stand for.
import { Controller, Get } from '@nestjs/common';
import { NUMERICS_VERSION } from '#experiment';
import { Answers, Operation, Problems } from '../openapi/decorators.js';
import { packageVersion } from './package-version.js';

export interface VersionView {
  version: string;
  numericsVersion: number;
  node: string;
}

@Controller({ path: 'version', version: '1' })
export class VersionController {
  private readonly version = packageVersion();

  @Get()
  @Operation({ tag: 'version', summary: 'Which version answers' })
  @Answers(200, 'The version', 'Version')
  @Problems(401)
  get(): VersionView {
    return { version: this.version, numericsVersion: NUMERICS_VERSION, node: process.version };
  }
}
