/**
 * Ways to other hosts in the sources.
 */
import { importsOf, nodesOf, placeOf, type SourceTree } from '../source.ts';

/** Parts of Node and calls that reach other hosts. */
const outwardModules = new Set([
  'node:https',
  'node:http2',
  'node:tls',
  'node:dgram',
  'node:dns',
  'node:dns/promises',
  'node:quic',
]);
const outwardCalls = new Set(['fetch', 'WebSocket', 'EventSource', 'createConnection', 'connect']);

/** True for a call whose one argument is `{ path }`: a socket of this host's file system. */
function isUnixSocket(call: Record<string, unknown>): boolean {
  const [first, ...rest] = call.arguments as { type: string; properties?: { key?: { name?: string } }[] }[];
  const keys = first?.properties?.map(({ key }) => key?.name);
  return rest.length === 0 && first?.type === 'ObjectExpression' && keys?.join() === 'path';
}

/** Places that could open a connection to another host. */
export function outwardWays(tree: SourceTree): string[] {
  const ways: string[] = [];
  for (const [path, text] of tree) {
    for (const { specifier } of importsOf(path, text))
      if (outwardModules.has(specifier)) ways.push(`${path}: ${specifier}`);
    // Parsing takes long: only where a call can be.
    if (![...outwardCalls].some((name) => text.includes(name))) continue;
    for (const node of nodesOf(path, text)) {
      if (node.type !== 'CallExpression' && node.type !== 'NewExpression') continue;
      const callee = node.callee as { type: string; name?: string; property?: { name?: string } };
      const name = callee.type === 'MemberExpression' ? callee.property?.name : callee.name;
      if (name !== undefined && outwardCalls.has(name) && !isUnixSocket(node))
        ways.push(`${placeOf(path, text, node)}: ${name}`);
    }
  }
  return ways;
}

/** All but the one room that may reach other hosts. */
export function withoutFleet(tree: SourceTree): SourceTree {
  return new Map([...tree].filter(([path]) => !path.startsWith('src/fleet/')));
}
