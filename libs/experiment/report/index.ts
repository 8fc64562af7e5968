// Reports of sweeps: built from results, rendered as CSV, Markdown, HTML and SVG.
export { buildReport, type SweepResult } from './build-report.js';
export { renderCsv, renderTrialsCsv } from './csv.js';
export { renderHtml, renderSvgs } from './html.js';
export { renderLatex } from './latex.js';
export { renderMarkdown } from './markdown.js';
export { formatEstimate, formatNumber, formatProbability } from './numbers.js';
export * from './report.js';
export { REPORT_SCHEMA } from './report-schema.js';
export { LANGUAGES, type Language, settingLabel } from './texts.js';
