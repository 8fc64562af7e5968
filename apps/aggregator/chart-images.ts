// Charts as PNG, for slides and word processors: the SVG of the report drawn by resvg with a font that comes along, so that a chart
// has the same bytes on every machine, with fonts or without.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

/** Pixels for one unit of the SVG. */
const ZOOM = 2;
const FONT = 'DejaVu Sans';
const require = createRequire(import.meta.url);

type Draw = (svg: string) => Buffer;
let drawing: Promise<Draw> | undefined;

/** Loads the renderer at the first call, once. */
export function chartImages(): Promise<Draw> {
  drawing ??= loadRenderer();
  return drawing;
}

async function loadRenderer(): Promise<Draw> {
  const { initWasm, Resvg } = await import('@resvg/resvg-wasm');
  await initWasm(await readFile(require.resolve('@resvg/resvg-wasm/index_bg.wasm')));
  const fontBuffers: Uint8Array[] = [];
  for (const face of ['DejaVuSans', 'DejaVuSans-Bold'])
    fontBuffers.push(await readFile(require.resolve(`dejavu-fonts-ttf/ttf/${face}.ttf`)));
  const font = { fontBuffers, loadSystemFonts: false, defaultFontFamily: FONT, sansSerifFamily: FONT };
  return (svg) => {
    const image = new Resvg(svg, { fitTo: { mode: 'zoom', value: ZOOM }, background: 'white', font });
    try {
      return Buffer.from(image.render().asPng());
    } finally {
      image.free();
    }
  };
}
