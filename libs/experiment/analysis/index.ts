// Analyses of any two models: what may be asked, what is measured, the report and its files.

export { alignWords, wordsOf } from './align-words.js';
export * from './analysis.js';
export { type AnalysisFile, renderAnalysis } from './analysis-files.js';
export { differenceTable, linesOf } from './analysis-tables.js';
export { buildAnalysis, contentHashOf } from './build-analysis.js';
export * from './request.js';
