import { describe, expect, it } from 'vitest';
import { asFailure, isRetriable, S3Failure, storeTrouble } from './s3-failure.js';

const server = { address: 'http://host:9000', bucket: 'semdistill' };

describe('failures of an S3 server', () => {
  it.each([
    [503, 'SlowDown', true],
    [500, 'InternalError', true],
    [429, 'TooManyRequests', true],
    [400, 'RequestTimeout', true],
    [409, 'ConditionalRequestConflict', true],
    [0, 'ECONNRESET', true],
    [0, 'ETIMEDOUT', true],
    [403, 'AccessDenied', false],
    [403, 'RequestTimeTooSkewed', false],
    [404, 'NoSuchBucket', false],
    [507, 'XMinioStorageFull', false],
    [501, 'NotImplemented', false],
    [0, 'DEPTH_ZERO_SELF_SIGNED_CERT', false],
  ])('%i %s: waiting may help: %s', (status, code, expected) => {
    const failure = new S3Failure(status, code, 'message');
    expect(isRetriable(failure)).toBe(expected);
    const trouble = storeTrouble(failure, server);
    expect(trouble.retriable).toBe(expected);
    expect(trouble.message).toMatch(/^The S3 server at http:\/\/host:9000 [^\n]+[.?]$/);
  });

  it('are told apart from those of local files and of the program', () => {
    const coded = (code: string) => Object.assign(new Error('x'), { code });
    expect(asFailure(coded('EPIPE'))).toBeInstanceOf(S3Failure);
    expect(asFailure(coded('CERT_HAS_EXPIRED'))).toBeInstanceOf(S3Failure);
    for (const error of [coded('ENOSPC'), coded('ENOENT'), new TypeError('x'), 'text']) {
      expect(asFailure(error)).toBe(error);
    }
  });
});
