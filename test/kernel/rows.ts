/**
 * The guest's result of each check, and the table of results.
 */

export interface Row {
  name: string;
  ok: boolean;
  says: string;
  seconds: number;
}

export function table(rows: readonly Row[]): string {
  const width = Math.max(...rows.map(({ name }) => name.length));
  return rows
    .map(
      ({ name, ok, says, seconds }) =>
        `${ok ? 'ok    ' : 'FAILED'} ${name.padEnd(width)} ${seconds.toFixed(1).padStart(6)} s  ${says}`,
    )
    .join('\n');
}
