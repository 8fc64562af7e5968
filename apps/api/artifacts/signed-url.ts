// Signs and checks URLs that fetch one stored object without the API key, for stores that cannot sign their own: an HMAC
// over method, object key, saved name and expiry, with a key derived from the API key (so every copy of the API agrees).
import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';

export const SIGNED_PATH = '/v1/artifacts';

export interface SignedObject {
  key: string;
  /** What the client saves it as. */
  fileName: string;
  /** Unix time in seconds after which the URL is no longer good. */
  expires: number;
}

export class UrlSigner {
  private readonly secret: Buffer;

  constructor(apiKey: string) {
    this.secret = Buffer.from(hkdfSync('sha256', apiKey, '', 'semdistill signed artifact urls', 32));
  }

  /** Path and query, to be put behind the address of the API. */
  sign(object: SignedObject): string {
    const query = new URLSearchParams({
      key: object.key,
      name: object.fileName,
      expires: String(object.expires),
      signature: this.signature(object).toString('base64url'),
    });
    return `${SIGNED_PATH}?${query}`;
  }

  isSignatureOf(object: SignedObject, signature: string): boolean {
    const expected = this.signature(object);
    const given = Buffer.from(signature, 'base64url');
    return given.length === expected.length && timingSafeEqual(given, expected);
  }

  private signature(object: SignedObject): Buffer {
    const signed = JSON.stringify(['GET', object.key, object.fileName, object.expires]);
    return createHmac('sha256', this.secret).update(signed).digest();
  }
}
