/**
 * The source tree as a piece: imports, calls and contents of files, read from their syntax tree, so
 * that comments and strings cannot fool a specification. A twin is the same tree with one broken
 * file in it.
 */
import { globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { parseAst } from 'vitest/node';

/** Path relative to the repository → text. */
export type SourceTree = ReadonlyMap<string, string>;

export interface Import {
  specifier: string;
  /** Removed before the program runs. */
  typeOnly: boolean;
}

type Node = { type: string; start: number } & Record<string, unknown>;

/** Every file that matches, read now; throws if a pattern matches none. */
export function readTree(...patterns: string[]): SourceTree {
  const found = patterns.map((pattern) => globSync(pattern));
  const empty = patterns.filter((_, index) => found[index]!.length === 0);
  if (empty.length > 0) throw new Error(`no file matches ${empty.join(', ')}`);
  const paths = found.flat().sort();
  return new Map(paths.map((path) => [path, readFileSync(path, 'utf8')]));
}

/** The same tree with the file `from` standing at `path`. */
export function withFile(tree: SourceTree, path: string, from: string): SourceTree {
  return new Map(tree).set(path, readFileSync(from, 'utf8'));
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';
}

/** Every node of the syntax tree of a TypeScript or JavaScript file. */
export function* nodesOf(path: string, text: string): Generator<Node> {
  const waiting: unknown[] = [parseAst(text, { lang: path.endsWith('ts') ? 'ts' : 'js' })];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (Array.isArray(value)) waiting.push(...value);
    else if (isNode(value)) {
      yield value;
      waiting.push(...Object.values(value));
    }
  }
}

/** A dynamic import or require whose target is not a plain string. */
export const computedSpecifier = '(computed)';

function specifierText(value: unknown): string {
  return isNode(value) && typeof value.value === 'string' ? value.value : computedSpecifier;
}

/** By the text of the file: body and twins mostly see the same tree. */
const known = new Map<string, readonly Import[]>();

/**
 * What a file imports, statically or dynamically; `require` and `process.getBuiltinModule` count.
 */
export function importsOf(path: string, text: string): readonly Import[] {
  const before = known.get(text);
  if (before !== undefined) return before;
  const found: Import[] = [];
  for (const node of nodesOf(path, text)) {
    switch (node.type) {
      case 'ImportDeclaration':
      case 'ExportAllDeclaration':
      case 'ExportNamedDeclaration': {
        if (!isNode(node.source)) break;
        const typeOnly = node.importKind === 'type' || node.exportKind === 'type';
        found.push({ specifier: specifierText(node.source), typeOnly });
        break;
      }
      case 'ImportExpression':
        found.push({ specifier: specifierText(node.source), typeOnly: false });
        break;
      case 'CallExpression':
        if (loadsModule(node.callee)) {
          found.push({ specifier: specifierText((node.arguments as unknown[])[0]), typeOnly: false });
        }
    }
  }
  known.set(text, found);
  return found;
}

function loadsModule(callee: unknown): boolean {
  if (!isNode(callee)) return false;
  if (callee.type === 'Identifier') return callee.name === 'require';
  if (callee.type !== 'MemberExpression' || !isNode(callee.property)) return false;
  return callee.property.name === 'getBuiltinModule';
}

/** String methods that build a regular expression from their argument. */
const expressionMethods = new Set(['match', 'matchAll', 'search']);

/**
 * Places that make a regular expression: literals, RegExp, and string methods that build one; as
 * `path:line`.
 */
export function regularExpressionsIn(path: string, text: string): string[] {
  const places: string[] = [];
  for (const node of nodesOf(path, text)) {
    const isLiteral = node.type === 'Literal' && node.regex !== undefined && node.regex !== null;
    const isName = node.type === 'Identifier' && node.name === 'RegExp';
    if (isLiteral || isName || callsExpressionMethod(node)) places.push(placeOf(path, text, node));
  }
  return places;
}

function callsExpressionMethod(node: Node): boolean {
  if (node.type !== 'CallExpression' || !isNode(node.callee)) return false;
  const { type, property } = node.callee;
  return type === 'MemberExpression' && isNode(property) && expressionMethods.has(String(property.name));
}

/** `path:line` of a node. */
export function placeOf(path: string, text: string, node: { start: number }): string {
  return `${path}:${text.slice(0, node.start).split('\n').length}`;
}

/** The file of the tree that a relative import names. */
export function targetOf(importer: string, specifier: string): string {
  return posix.join(posix.dirname(importer), specifier);
}

export interface Reach {
  /** Files of the tree that run when `entry` runs. */
  files: Set<string>;
  /** `importer → specifier` of everything that is neither a file of the tree nor a part of Node. */
  packages: string[];
  /** Parts of Node that are loaded. */
  builtins: Set<string>;
}

/**
 * Everything that is loaded with `entry`, without type imports and JSON, which is data. `aliases`
 * maps specifiers such as #linear to files.
 */
export function reachOf(tree: SourceTree, entry: string, aliases: Readonly<Record<string, string>> = {}): Reach {
  const reach: Reach = { files: new Set(), packages: [], builtins: new Set() };
  const waiting = [entry];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (reach.files.has(path)) continue;
    const text = tree.get(path);
    if (text === undefined) throw new Error(`${path} is imported but not in the tree`);
    reach.files.add(path);
    for (const { specifier, typeOnly } of importsOf(path, text)) {
      if (typeOnly || specifier.endsWith('.json')) continue;
      const alias = aliases[specifier];
      if (specifier.startsWith('.')) waiting.push(targetOf(path, specifier));
      else if (alias !== undefined) waiting.push(alias);
      else if (specifier.startsWith('node:')) reach.builtins.add(specifier);
      else reach.packages.push(`${path} → ${specifier}`);
    }
  }
  return reach;
}

/** Whether `entry` or a file it imports, at any distance, is in `changed`. */
export function reaches(entry: string, changed: ReadonlySet<string>): boolean {
  const seen = new Set([entry]);
  for (const path of seen) {
    if (changed.has(path)) return true;
    if (!path.endsWith('.ts')) continue;
    for (const { specifier } of importsOf(path, readFileSync(path, 'utf8'))) {
      if (specifier === '#linear') seen.add('src/engine/linear.ts');
      else if (specifier.startsWith('.')) seen.add(targetOf(path, specifier));
    }
  }
  return false;
}
