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
