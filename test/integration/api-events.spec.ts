import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { FleetEvent, LiveTrial } from '#experiment';
import { EPOCH, putResult, putTeacher, settle } from './api-records.js';
import { API_KEY, type ApiServer, startTestApi } from './api-server.js';

let api: ApiServer;
let seed = 100;
let trialId: string;
let sweepId: string;

beforeAll(async () => {
  api = await startTestApi();
  await putTeacher(api.store, 'tutor');
});
afterAll(() => api.close());
beforeEach(async () => {
  seed += 1;
  ({ trialId, sweepId } = (await api.post('/v1/distillations', { teacher: 'tutor', seed })).body);
});

// biome-ignore lint/suspicious/noExplicitAny: events are read as a client without types would.
type Received = { event: string; data: any };

/** Reads a stream of server-sent events, one at a time. */
class Stream {
  private constructor(
    readonly response: Response,
    private readonly reader: ReadableStreamDefaultReader<string>,
    private buffer = '',
  ) {}

  static async open(path: string): Promise<Stream> {
    const response = await fetch(api.url + path, { headers: { authorization: `Bearer ${API_KEY}` } });
    if (!response.body) throw new Error('no body');
    return new Stream(response, response.body.pipeThrough(new TextDecoderStream()).getReader());
  }

  /** The next event; undefined when the stream has ended. */
  async next(): Promise<Received | undefined> {
    for (;;) {
      const end = this.buffer.indexOf('\n\n');
      if (end >= 0) {
        const block = this.buffer.slice(0, end);
        this.buffer = this.buffer.slice(end + 2);
        const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s)));
        if (fields.event) return { event: fields.event, data: JSON.parse(fields.data) };
        continue;
      }
      const { value, done } = await this.reader.read();
      if (done) return undefined;
      this.buffer += value;
    }
  }

  async rest(): Promise<Received[]> {
    const events: Received[] = [];
    for (let event = await this.next(); event !== undefined; event = await this.next()) events.push(event);
    return events;
  }
}

const progress = (): Extract<FleetEvent, { type: 'trial-progress' }> => {
  const trial: LiveTrial = {
    trialId,
    phase: 'training',
    workerId: 'w',
    epoch: 1,
    epochs: 2,
    step: 3,
    steps: 14,
    updatedAt: new Date().toISOString(),
  };
  return { type: 'trial-progress', trial };
};

describe('the stream of a trial', () => {
  it('begins with its state, passes on what happens, and ends with the trial', async () => {
    const stream = await Stream.open(`/v1/trials/${trialId}/events`);
    expect(stream.response.headers.get('content-type')).toContain('text/event-stream');
    expect(stream.response.headers.get('x-accel-buffering')).toBe('no');
    expect(await stream.next()).toMatchObject({ event: 'trial', data: { trialId, status: 'queued' } });
    await api.fleet.publish({ type: 'trial-ended', trialId: 'another', status: 'failed' });
    await api.fleet.publish(progress());
    expect(await stream.next()).toEqual({ event: 'trial-progress', data: progressData() });
    await api.fleet.publish({ type: 'trial-epoch', trialId, metrics: EPOCH });
    expect(await stream.next()).toMatchObject({ event: 'trial-epoch', data: { metrics: EPOCH } });
    await putResult(api.store, trialId);
    await api.fleet.publish({ type: 'trial-ended', trialId, status: 'completed' });
    expect((await stream.rest()).map(({ event, data }) => [event, data.status])).toEqual([
      ['trial-ended', 'completed'],
      ['trial', 'completed'],
    ]);
  });

  const progressData = () => expect.objectContaining({ trial: expect.objectContaining({ trialId, step: 3 }) });

  it('ends although no event came, because the record says so', async () => {
    const stream = await Stream.open(`/v1/trials/${trialId}/events`);
    await stream.next();
    await putResult(api.store, trialId);
    expect(await stream.rest()).toMatchObject([{ event: 'trial', data: { status: 'completed' } }]);
  });

  it('of a trial that is over is its state alone', async () => {
    await putResult(api.store, trialId, 'failed');
    const stream = await Stream.open(`/v1/trials/${trialId}/events`);
    expect(await stream.rest()).toMatchObject([{ event: 'trial', data: { status: 'failed' } }]);
  });
});

describe('the stream of a sweep', () => {
  it('follows its trials until the report is there', async () => {
    const stream = await Stream.open(`/v1/sweeps/${sweepId}/events`);
    expect(await stream.next()).toMatchObject({ event: 'sweep', data: { sweepId, status: 'queued' } });
    await putResult(api.store, trialId);
    await api.fleet.publish({ type: 'trial-ended', trialId, status: 'completed' });
    expect(await stream.next()).toMatchObject({ event: 'trial-ended', data: { trialId } });
    await settle(api.store, sweepId);
    await api.fleet.publish({ type: 'sweep-settled', sweepId, status: 'completed' });
    expect((await stream.rest()).map(({ event, data }) => [event, data.status])).toEqual([
      ['sweep-settled', 'completed'],
      ['sweep', 'completed'],
    ]);
  });

  it('goes on over a Redis that goes away and comes back', async () => {
    const stream = await Stream.open(`/v1/sweeps/${sweepId}/events`);
    await stream.next();
    await api.redis.stop('SIGKILL');
    await api.redis.start();
    await putResult(api.store, trialId);
    await settle(api.store, sweepId);
    const last = (await stream.rest()).at(-1);
    expect(last).toMatchObject({ event: 'sweep', data: { status: 'completed' } });
  });
});
