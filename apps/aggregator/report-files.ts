// The files of a sweep's report, made by libs/experiment and stored under the sweep.
import { createHash } from 'node:crypto';
import {
  type Report,
  renderCsv,
  renderHtml,
  renderLatex,
  renderMarkdown,
  renderSvgs,
  renderTrialsCsv,
  type StoredFile,
  type SweepRecord,
} from '#experiment';
import { keys, type ObjectStore } from '#storage';

interface ReportFile {
  name: string;
  contentType: string;
  content: string | Buffer;
}

/** Every rendering of the report, charts included: each as SVG, and as PNG drawn by `png`. */
export function renderReport(report: Report, png: (svg: string) => Buffer): ReportFile[] {
  const charts = renderSvgs(report).flatMap(({ name, svg }) => {
    const stem = name.replace(/\.svg$/, '');
    return [
      { name: `${stem}.svg`, contentType: 'image/svg+xml', content: svg },
      { name: `${stem}.png`, contentType: 'image/png', content: png(svg) },
    ];
  });
  return [
    { name: 'report.json', contentType: 'application/json', content: `${JSON.stringify(report, null, 2)}\n` },
    { name: 'report.csv', contentType: 'text/csv; charset=utf-8', content: renderCsv(report) },
    { name: 'report.md', contentType: 'text/markdown; charset=utf-8', content: renderMarkdown(report, 'en') },
    { name: 'report.zh.md', contentType: 'text/markdown; charset=utf-8', content: renderMarkdown(report, 'zh') },
    { name: 'report.tex', contentType: 'application/x-tex', content: renderLatex(report, 'en') },
    { name: 'report.zh.tex', contentType: 'application/x-tex', content: renderLatex(report, 'zh') },
    { name: 'trials.csv', contentType: 'text/csv; charset=utf-8', content: renderTrialsCsv(report) },
    {
      name: 'request.json',
      contentType: 'application/json',
      content: `${JSON.stringify(report.reproduction.request, null, 2)}\n`,
    },
    { name: 'report.html', contentType: 'text/html; charset=utf-8', content: renderHtml(report) },
    ...charts,
  ];
}

/** Stores them; two aggregators at once write the same bytes, for the report is a function of the results. */
export async function storeReport(
  store: ObjectStore,
  { sweepId, version }: Pick<SweepRecord, 'sweepId' | 'version'>,
  files: ReportFile[],
): Promise<StoredFile[]> {
  const stored: StoredFile[] = [];
  for (const { name, contentType, content } of files) {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    const facts = { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    const key = keys.sweepReport(sweepId, name, version);
    await store.put(key, bytes, { ...facts, contentType });
    stored.push({ name, key, ...facts, contentType });
  }
  return stored;
}
