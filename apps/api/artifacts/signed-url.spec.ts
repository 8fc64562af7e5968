import { describe, expect, it } from 'vitest';
import { type SignedObject, UrlSigner } from './signed-url.js';

const object: SignedObject = { key: 'trials/a/attempts/1-ff/x.bin', fileName: 'x.bin', expires: 2_000_000_000 };

function partsOf(url: string): URLSearchParams {
  return new URL(url, 'http://localhost').searchParams;
}

describe('UrlSigner', () => {
  it('accepts what it signed, also in another process with the same API key', () => {
    const signature = partsOf(new UrlSigner('secret').sign(object)).get('signature') ?? '';
    expect(new UrlSigner('secret').isSignatureOf(object, signature)).toBe(true);
  });

  it('refuses another key, name, expiry, API key, or signature', () => {
    const signer = new UrlSigner('secret');
    const signature = partsOf(signer.sign(object)).get('signature') ?? '';
    expect(signer.isSignatureOf({ ...object, key: 'trials/b' }, signature)).toBe(false);
    expect(signer.isSignatureOf({ ...object, fileName: 'y.bin' }, signature)).toBe(false);
    expect(signer.isSignatureOf({ ...object, expires: object.expires + 1 }, signature)).toBe(false);
    expect(new UrlSigner('other').isSignatureOf(object, signature)).toBe(false);
    expect(signer.isSignatureOf(object, '')).toBe(false);
    expect(signer.isSignatureOf(object, `${signature.slice(0, -2)}AA`)).toBe(false);
  });

  it('does not carry the API key', () => {
    expect(new UrlSigner('secret').sign(object)).not.toContain('secret');
  });
});
