import { describe, expect, it } from 'vitest';
import { elementsIn, errorIn, escapeXml, listingIn, tagIn } from './s3-xml.js';

const LISTING = `<?xml version="1.0"?><ListBucketResult xmlns="http://s3"><IsTruncated>true</IsTruncated>
<Contents><Key>a&amp;b</Key><Size>5</Size></Contents><Contents><Key>1e5&#x41;&#66;</Key><Size>0</Size></Contents>
<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes></ListBucketResult>`;

describe('documents of S3 servers', () => {
  it('are read by tag, with entities resolved and numbers left alone', () => {
    expect(tagIn(LISTING, 'IsTruncated')).toBe('true');
    expect(elementsIn(LISTING, 'Contents').map((item) => tagIn(item, 'Key'))).toEqual(['a&b', '1e5AB']);
    expect(tagIn(LISTING, 'NextContinuationToken')).toBeUndefined();
  });

  it('give code and message of an error, whatever its status was', () => {
    const xml = '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>less &lt;please&gt;</Message></Error>';
    expect(errorIn(xml)).toEqual({ code: 'SlowDown', message: 'less <please>' });
    expect(errorIn('<html>Bad Gateway</html>')).toBeUndefined();
    expect(errorIn(LISTING)).toBeUndefined();
  });

  it('come back from escaping as they were', () => {
    const text = `"a" & <b> 'c'`;
    expect(tagIn(`<ETag>${escapeXml(text)}</ETag>`, 'ETag')).toBe(text);
  });
});

it('a listing is taken whole or not at all', () => {
  const item = (key: string) => `<Contents><Key>${key}</Key><Size>7</Size></Contents>`;
  const end = '<IsTruncated>false</IsTruncated></ListBucketResult>';
  const whole = `<?xml version="1.0"?><ListBucketResult xmlns="x"><Prefix>a/</Prefix>${item('a/b')}${item('a/c')}${end}`;
  expect(listingIn(whole, 'a/')).toEqual({
    objects: [
      { key: 'a/b', size: 7 },
      { key: 'a/c', size: 7 },
    ],
    isTruncated: false,
  });
  expect(listingIn(`<ListBucketResult>${end}\n`, 'a/')).toEqual({ objects: [], isTruncated: false });
  for (let length = 0; length < whole.length; length++)
    expect(listingIn(whole.slice(0, length), 'a/'), `${length}`).toBeUndefined();
  for (const [from, to] of [
    ['<Contents>', '<Contfnts>'],
    ['</Contents>', '</Contfnts>'],
    ['>a/b<', '>`/b<'],
    ['<Key>', '<Kex>'],
    ['<Size>7', '<Size>x'],
    ['IsTruncated>f', 'IsTruncated>g'],
  ] as const)
    expect(listingIn(whole.replace(from, to), 'a/'), to).toBeUndefined();
  expect(listingIn('', 'a/')).toBeUndefined();
});
