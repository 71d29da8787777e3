/** Broken on purpose: takes whatever looks like an address first, wherever it stands. */
export function firstAddress(line: string): string | undefined {
  return /\d{1,3}(?:\.\d{1,3}){3}/.exec(line)?.[0];
}

/** Broken on purpose: takes what follows the last " from ". */
export function lastFrom(line: string): string | undefined {
  return / from (\d{1,3}(?:\.\d{1,3}){3})/.exec(line.slice(line.lastIndexOf(' from ')))?.[1];
}
