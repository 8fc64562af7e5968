// The few XML documents of S3 that the store reads. They are flat and written by machines, so tags are taken by name;
// a document that is cut or of another kind has no such tags and fails where it is read.

/** The text of the first `tag`, with entities resolved. */
export function tagIn(xml: string, tag: string): string | undefined {
  const text = new RegExp(`<${tag}(?:\\s[^>]*)?>([^<]*)</${tag}>`).exec(xml)?.[1];
  return text === undefined ? undefined : unescapeXml(text);
}

/** Every element `tag`, as the XML inside it. */
export function elementsIn(xml: string, tag: string): string[] {
  return Array.from(xml.matchAll(new RegExp(`<${tag}(?:\\s[^>]*)?>(.*?)</${tag}>`, 'gs')), (match) => match[1] ?? '');
}

/**
 * The objects that a listing names, and whether there are more. Undefined when it is not a whole listing of this prefix: an
 * answer that was cut or damaged must not say that there is nothing.
 */
export function listingIn(
  xml: string,
  prefix: string,
): { objects: { key: string; size: number }[]; isTruncated: boolean } | undefined {
  const isWhole = /<ListBucketResult[\s>]/.test(xml) && /<\/ListBucketResult>\s*$/.test(xml);
  const more = tagIn(xml, 'IsTruncated');
  if (!isWhole || (more !== 'true' && more !== 'false')) return undefined;
  const objects = elementsIn(xml, 'Contents').map((item) => ({
    key: tagIn(item, 'Key') ?? '',
    size: Number(tagIn(item, 'Size') || Number.NaN),
  }));
  const isOurs = objects.every(({ key, size }) => key.startsWith(prefix) && Number.isInteger(size));
  const isAll = objects.length === (xml.match(/<\/?Contents[\s>]/g)?.length ?? 0) / 2;
  return isOurs && isAll ? { objects, isTruncated: more === 'true' } : undefined;
}

/** Code and message of an error document; some servers send one with status 200. */
export function errorIn(xml: string): { code: string; message: string } | undefined {
  if (!/<Error[\s>]/.test(xml)) return undefined;
  return { code: tagIn(xml, 'Code') ?? 'Error', message: tagIn(xml, 'Message') ?? 'no explanation' };
}

export function escapeXml(text: string): string {
  return text.replace(/[<>&"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function unescapeXml(text: string): string {
  const named: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex?: string, decimal?: string, name?: string) => {
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal) return String.fromCodePoint(Number(decimal));
    return named[name ?? ''] ?? whole;
  });
}
