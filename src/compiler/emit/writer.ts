/**
 * The source text of one generated file while it is written, and its imports.
 */

export class Writer {
  readonly functions: string[] = [];
  /** helper -> the engine file it is imported from */
  readonly imports = new Map<string, string>();
  readonly runs = new Map<string, string>();
  /** literal -> the function that finds its last occurrence */
  readonly lasts = new Map<string, string>();
  /** usual end of a line -> the function that finds it */
  readonly usual = new Map<string, string>();
  /** body of a part -> its name: the patterns of one filter share equal parts */
  readonly parts = new Map<string, string>();

  use(name: string, from: string): string {
    this.imports.set(name, from);
    return name;
  }
}

export const memory = '#linear';
export const scans = '../scan.ts';
export const captures = '../capture.ts';

/** Text that cannot end the comment it stands in. */
export function comment(text: string): string {
  return text.replaceAll('*/', '*\\/');
}

export function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}
