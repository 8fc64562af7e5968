// The one ordered colour scale of all charts (viridis), cut so that both ends stay readable on the page's background:
// without its yellow on white, without its violet on black. Charts name steps; the page or a stand-alone file defines them.

export const STEPS = 11;

const VIRIDIS = [
  '#440154',
  '#482878',
  '#3e4a89',
  '#31688e',
  '#26828e',
  '#1f9e89',
  '#35b779',
  '#6dcd59',
  '#b4de2c',
  '#fde725',
];

export const LIGHT = { ink: '#1f2328', muted: '#59636e', paper: '#ffffff', line: '#d1d9e0', range: [0, 0.62] } as const;
export const DARK = { ink: '#e6e8eb', muted: '#9aa4af', paper: '#14171a', line: '#353b42', range: [0.36, 1] } as const;
type Theme = typeof LIGHT | typeof DARK;

/** The CSS variable of the index-th of `count` ordered settings; the middle one when there is a single setting. */
export function stepOf(index: number, count: number): string {
  const step = count < 2 ? Math.floor(STEPS / 2) : Math.round(((STEPS - 1) * index) / (count - 1));
  return `var(--step-${step})`;
}

/** The declarations of every colour a chart names. */
export function declarations(theme: Theme): string {
  return Object.entries(valuesOf(theme))
    .map(([name, value]) => `--${name}:${value};`)
    .join('');
}

/** The chart with literal colours of the light theme, for files that no page's style reaches. */
export function withLiteralColours(svg: string): string {
  const values = valuesOf(LIGHT);
  return svg
    .replace(/var\(--([a-z]+(?:-\d+)?)\)/g, (all, name: string) => values[name] ?? all)
    .replaceAll('currentColor', LIGHT.ink);
}

/** Viridis at t in [0, 1] as '#rrggbb'. */
export function viridis(t: number): string {
  const place = Math.min(1, Math.max(0, t)) * (VIRIDIS.length - 1);
  const at = Math.min(VIRIDIS.length - 2, Math.floor(place));
  const [low, high] = [channelsOf(VIRIDIS[at] ?? ''), channelsOf(VIRIDIS[at + 1] ?? '')];
  const mixed = low.map((value, index) => Math.round(value + (place - at) * ((high[index] ?? 0) - value)));
  return `#${mixed.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}

/** Black or white, whichever contrasts more with the colour (WCAG relative luminance). */
export function inkOn(colour: string): string {
  const [red = 0, green = 0, blue = 0] = channelsOf(colour).map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? '#000000' : '#ffffff';
}

function valuesOf(theme: Theme): Record<string, string> {
  const [low, high] = theme.range;
  const steps = Array.from({ length: STEPS }, (_, step): [string, string] => [
    `step-${step}`,
    viridis(low + ((high - low) * step) / (STEPS - 1)),
  ]);
  return { ink: theme.ink, muted: theme.muted, paper: theme.paper, line: theme.line, ...Object.fromEntries(steps) };
}

function channelsOf(colour: string): number[] {
  return [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
}
