// Every file of an analysis, as text.
import type { AnalysisReport } from './analysis.js';
import { renderMeasuresCsv, renderSentencesCsv } from './analysis-csv.js';
import { renderAnalysisHtml, renderAnalysisSvgs } from './analysis-html.js';
import { renderAnalysisMarkdown } from './analysis-markdown.js';

export interface AnalysisFile {
  name: string;
  contentType: string;
  text: string;
}

export function renderAnalysis(report: AnalysisReport): AnalysisFile[] {
  return [
    { name: 'report.json', contentType: 'application/json', text: `${JSON.stringify(report, null, 2)}\n` },
    { name: 'report.csv', contentType: 'text/csv; charset=utf-8', text: renderSentencesCsv(report) },
    { name: 'measures.csv', contentType: 'text/csv; charset=utf-8', text: renderMeasuresCsv(report) },
    { name: 'report.md', contentType: 'text/markdown; charset=utf-8', text: renderAnalysisMarkdown(report, 'en') },
    { name: 'report.zh.md', contentType: 'text/markdown; charset=utf-8', text: renderAnalysisMarkdown(report, 'zh') },
    { name: 'report.html', contentType: 'text/html; charset=utf-8', text: renderAnalysisHtml(report) },
    ...renderAnalysisSvgs(report).map(({ name, svg }) => ({ name, contentType: 'image/svg+xml', text: svg })),
  ];
}
