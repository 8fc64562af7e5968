// The summary as a table in Markdown, one a block, for the terminal and for docs/performance.md.

/** Lines of all tables. `summary` as summarize() gives it. */
export function tableLines(summary) {
  const blocks = [...new Set(summary.map(({ block }) => block))];
  return blocks.flatMap((block) =>
    blockLines(
      block,
      summary.filter((entry) => entry.block === block),
    ),
  );
}

function blockLines(block, entries) {
  const roles = [...new Set(entries.flatMap(({ ratios }) => Object.keys(ratios)))];
  const head = [
    'target tokens/s',
    'rounds',
    'of GEMM peak',
    ...roles.map((role) => `against ${role}`),
    'peak memory',
    'others',
  ];
  const rows = entries.map((entry) => {
    const { median, lowest, highest } = entry.tokensPerSecond;
    const memory = `${(entry.peakMemoryMb / 1024).toFixed(2)} GB`;
    return [
      entry.label,
      `${whole(median)} (${whole(lowest)}-${whole(highest)})`,
      `${entry.rounds}${entry.noisyRounds > 0 ? `, ${entry.noisyRounds} noisy` : ''}`,
      percent(entry.shareOfPeak),
      ...roles.map((role) => times(entry.ratios[role])),
      entry.memoryRatio === undefined ? memory : `${memory} (${times(entry.memoryRatio)})`,
      percent(entry.foreignShare),
    ];
  });
  return ['', ...markdown([[block, ...head], ...rows])];
}

/** Rows as a Markdown table with aligned columns; the first row is its head. */
function markdown(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`;
  return [line(rows[0]), line(widths.map((width) => '-'.repeat(width))), ...rows.slice(1).map(line)];
}

function whole(x) {
  return x.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

function percent(share) {
  return share === undefined ? '' : `${(100 * share).toFixed(0)} %`;
}

function times(ratio) {
  return ratio === undefined ? '' : `${ratio.toFixed(2)}x`;
}
