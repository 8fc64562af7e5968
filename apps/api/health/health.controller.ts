// /v1/health: whether the process lives, and whether what it needs (Redis, the object store) answers.
import { Controller, Get, Inject, VERSION_NEUTRAL } from '@nestjs/common';
import type { RedisFleet } from '#queue';
import { type ObjectStore, StoreUnavailable } from '#storage';
import { Open } from '../authentication/api-key.guard.js';
import { FLEET, STORE } from '../connections.js';
import { Answers, Operation, Problems } from '../openapi/decorators.js';

const CHECK_TIMEOUT_MS = 1500;
/** Whoever asks more often gets the last answer again: anyone may ask, and asking costs a look at the store. */
const KEPT_MS = 1000;

export interface HealthView {
  status: 'ok';
}

@Controller({ path: ['health', 'v1/health'], version: VERSION_NEUTRAL })
@Open()
export class HealthController {
  private last: { at: number; answer: Promise<void> } | undefined;

  constructor(
    @Inject(FLEET) private readonly fleet: RedisFleet,
    @Inject(STORE) private readonly store: ObjectStore,
  ) {}

  @Get('live')
  @Operation({ tag: 'health', summary: 'The process lives', isOpen: true })
  @Answers(200, 'It does', 'Health')
  live(): HealthView {
    return { status: 'ok' };
  }

  @Get('ready')
  @Operation({ tag: 'health', summary: 'Redis and the object store answer', isOpen: true })
  @Answers(200, 'They do', 'Health')
  @Problems(503)
  async ready(): Promise<HealthView> {
    const now = performance.now();
    if (this.last === undefined || now - this.last.at > KEPT_MS) this.last = { at: now, answer: this.check() };
    await this.last.answer;
    return { status: 'ok' };
  }

  private async check(): Promise<void> {
    const checks = await Promise.allSettled([
      this.fleet.check(CHECK_TIMEOUT_MS),
      within(CHECK_TIMEOUT_MS, this.store.check(), this.store.description),
    ]);
    const missing = checks.filter((check) => check.status === 'rejected').map(({ reason }) => reason as Error);
    if (missing.length > 0) throw new StoreUnavailable(missing.map((error) => error.message).join(' '), true);
  }
}

async function within(ms: number, check: Promise<void>, description: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new StoreUnavailable(`The object store (${description}) does not answer within ${ms} ms.`, true)),
      ms,
    );
  });
  try {
    await Promise.race([check, late]);
  } finally {
    clearTimeout(timer);
  }
}
