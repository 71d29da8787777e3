/**
 * A strict reader of the Prometheus text format 0.0.4, written from its description. It shares
 * nothing with src/observe/metrics.ts. What the description does not allow is an error that names
 * the line. https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export interface Family {
  help: string;
  type: string;
  samples: { labels: Record<string, string>; value: number }[];
}

const nameStart = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_';
const digits = '0123456789';

class Line {
  readonly text: string;
  readonly number: number;
  at = 0;

  constructor(text: string, number: number) {
    this.text = text;
    this.number = number;
  }

  fail(why: string): never {
    throw new Error(`line ${this.number}: ${why}: ${JSON.stringify(this.text)} at ${this.at}`);
  }

  take(expected: string): void {
    if (!this.text.startsWith(expected, this.at)) this.fail(`expected ${JSON.stringify(expected)}`);
    this.at += expected.length;
  }

  name(colons: boolean): string {
    const from = this.at;
    const allowed = colons ? `${nameStart}:` : nameStart;
    while (this.at < this.text.length) {
      const character = this.text[this.at] as string;
      if (!allowed.includes(character) && (this.at === from || !digits.includes(character))) break;
      this.at += 1;
    }
    if (this.at === from) this.fail('expected a name');
    return this.text.slice(from, this.at);
  }

  /**
   * Text up to `end`, with its escapes undone: `\\` and `\n`, and `\"` if a quote ends the text.
   */
  escaped(end: '"' | ''): string {
    let out = '';
    for (;;) {
      const character = this.text[this.at];
      if (character === undefined) {
        if (end === '') return out;
        this.fail('a label value without its end');
      }
      if (character === end) return out;
      this.at += 1;
      if (character !== '\\') {
        out += character;
        continue;
      }
      const next = this.text[this.at];
      this.at += 1;
      if (next === '\\') out += '\\';
      else if (next === 'n') out += '\n';
      else if (next === '"' && end === '"') out += '"';
      else this.fail('an unknown escape');
    }
  }

  value(): number {
    const text = this.text.slice(this.at);
    if (text === '+Inf') return Number.POSITIVE_INFINITY;
    if (text === '-Inf') return Number.NEGATIVE_INFINITY;
    if (text === 'NaN') return Number.NaN;
    if (!/^-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?$/.test(text)) this.fail('not a value');
    return Number(text);
  }
}

/** Families by name. Throws on the first line that breaks the format. */
export function readExposition(bytes: Uint8Array): Map<string, Family> {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let current = '';
  for (const [index, content] of text.split('\n').slice(0, -1).entries()) {
    const line = new Line(content, index + 1);
    if (content.startsWith('# HELP ')) {
      line.take('# HELP ');
      current = line.name(true);
      line.take(' ');
      if (families.has(current)) line.fail('a second HELP, or samples of one family in two places');
      families.set(current, { help: line.escaped(''), type: '', samples: [] });
      continue;
    }
    const family = families.get(current) as Family;
    if (content.startsWith('# TYPE ')) {
      line.take('# TYPE ');
      if (line.name(true) !== current) line.fail('TYPE without its HELP before it');
      line.take(' ');
      if (family.type !== '' || family.samples.length > 0) line.fail('TYPE must come once, before the samples');
      family.type = line.text.slice(line.at);
      if (!['counter', 'gauge', 'histogram'].includes(family.type)) line.fail('an unknown type');
      continue;
    }
    const name = line.name(true);
    const parts = family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    if (family.type === '' || !parts.some((part) => name === current + part))
      line.fail('a sample without its TYPE before it');
    const labels: Record<string, string> = {};
    if (content[line.at] === '{') {
      do {
        line.at += 1;
        const label = line.name(false);
        if (label.startsWith('__') || Object.hasOwn(labels, label)) line.fail('a reserved or repeated label');
        line.take('="');
        labels[label] = line.escaped('"');
        line.take('"');
      } while (content[line.at] === ',');
      line.take('}');
    }
    line.take(' ');
    const value = line.value();
    const key = `${name}${JSON.stringify(Object.entries(labels).sort())}`;
    if (seen.has(key)) line.fail('the same sample twice');
    seen.add(key);
    if (family.type === 'counter' && (!(value >= 0) || !current.endsWith('_total'))) line.fail('not a counter');
    family.samples.push({ labels, value });
  }
  return families;
}
