import { describe, expect, it } from 'vitest';
import { elementsIn, errorIn, escapeXml, tagIn } from './s3-xml.js';

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
