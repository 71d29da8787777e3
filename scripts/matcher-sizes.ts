/**
 * The size of matchers: bytes of the functions of each generated file in a built engine, read from
 * a build with function names (`asc --debug`), and that build without the names. Inlined functions
 * count where they were inlined. Format: WebAssembly core specification, binary format; the name
 * section of its appendix.
 */

const customSection = 0;
const importSection = 2;
const codeSection = 10;
const functionNames = 1;

interface Section {
  id: number;
  /** Of the whole section, including its head. */
  start: number;
  body: number;
  end: number;
}

class Reader {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  byte(): number {
    return this.bytes[this.at++] as number;
  }

  /** LEB128, unsigned. */
  number(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  }

  text(): string {
    const length = this.number();
    this.at += length;
    return Buffer.from(this.bytes.subarray(this.at - length, this.at)).toString('utf8');
  }
}

function sectionsOf(bytes: Uint8Array): Section[] {
  const sections: Section[] = [];
  const reader = new Reader(bytes, 8);
  while (reader.at < bytes.length) {
    const start = reader.at;
    const id = reader.byte();
    const length = reader.number();
    sections.push({ id, start, body: reader.at, end: reader.at + length });
    reader.at += length;
  }
  return sections;
}

/** Number of imported functions: they come first in the numbering and have no code. */
function importedFunctions(bytes: Uint8Array, section: Section | undefined): number {
  if (!section) return 0;
  const reader = new Reader(bytes, section.body);
  let functions = 0;
  for (let left = reader.number(); left > 0; left--) {
    reader.text();
    reader.text();
    const kind = reader.byte();
    if (kind === 0) {
      functions++;
      reader.number();
    } else if (kind === 2) {
      const limits = reader.byte();
      reader.number();
      if ((limits & 1) !== 0) reader.number();
    } else throw new Error(`an import of kind ${kind}: the engine has none`);
  }
  return functions;
}

/** Bytes of code by function number. */
function codeSizes(bytes: Uint8Array, section: Section, first: number): Map<number, number> {
  const reader = new Reader(bytes, section.body);
  const sizes = new Map<number, number>();
  const count = reader.number();
  for (let index = 0; index < count; index++) {
    const size = reader.number();
    sizes.set(first + index, size);
    reader.at += size;
  }
  return sizes;
}

/** Names by function number. */
function namesOf(bytes: Uint8Array, sections: Section[]): Map<number, string> {
  const names = new Map<number, string>();
  for (const section of sections) {
    const reader = new Reader(bytes, section.body);
    if (section.id !== customSection || reader.text() !== 'name') continue;
    while (reader.at < section.end) {
      const kind = reader.byte();
      const end = reader.number() + reader.at;
      if (kind === functionNames) {
        for (let left = reader.number(); left > 0; left--) names.set(reader.number(), reader.text());
      }
      reader.at = end;
    }
  }
  return names;
}

/**
 * Bytes of code of each file under src/engine/generated/, by the file's name without its ending.
 */
export function matcherSizes(bytes: Uint8Array): Record<string, number> {
  const sections = sectionsOf(bytes);
  const code = sections.find(({ id }) => id === codeSection);
  if (!code) throw new Error('no code in the engine');
  const imported = importedFunctions(
    bytes,
    sections.find(({ id }) => id === importSection),
  );
  const sizes = codeSizes(bytes, code, imported);
  const result: Record<string, number> = {};
  for (const [number, name] of namesOf(bytes, sections)) {
    const [, file] = name.match(/^src\/engine\/generated\/([^/]+)\//) ?? [];
    if (file !== undefined) result[file] = (result[file] ?? 0) + (sizes.get(number) ?? 0);
  }
  return result;
}

/** The same module without custom sections: the code does not change. */
export function withoutNames(bytes: Uint8Array): Uint8Array {
  const kept = sectionsOf(bytes).filter(({ id }) => id !== customSection);
  return Buffer.concat([bytes.subarray(0, 8), ...kept.map(({ start, end }) => bytes.subarray(start, end))]);
}
