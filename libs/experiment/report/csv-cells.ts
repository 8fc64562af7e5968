// Rows of cells as CSV (RFC 4180, LF line ends) that a spreadsheet shows and does not execute.

export type Cell = string | number | null;

export function csvOf(rows: readonly (readonly Cell[])[]): string {
  return rows.map((row) => `${row.map(quoted).join(',')}\n`).join('');
}

/** What spreadsheets take for the beginning of a formula (OWASP, "CSV injection"). Numbers are numbers. */
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

function quoted(cell: Cell): string {
  if (cell === null) return '';
  const text = typeof cell === 'string' && FORMULA.test(cell) ? `'${cell}` : String(cell);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
