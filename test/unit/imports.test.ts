/**
 * The rule of one-way imports, as a test. `rooms` says for each room which others it may import. If
 * a file needs more, then the file is in the wrong room or the table is wrong: change the one that
 * is.
 */
import { describe, expect, test } from 'vitest';
import { importsOf, readTree, type SourceTree, targetOf } from '../../spec/source.ts';

/** The ground that every room of the core stands on. */
const ground = [
  ...[
    'limits',
    'native',
    'text',
    'log',
    'backoff',
    'bucket',
    'turns',
    'clock',
    'version',
    'parts',
    'places',
    'host',
    'uncaught',
  ],
];

/**
 * `src/` folder or top-level file → what its files may import besides their own room, `types` and
 * parts of Node. The lowest floor comes first: every room that may import a room comes after it.
 */
const rooms: Readonly<Record<string, readonly string[]>> = {
  limits: [],
  /** The records that rooms pass to one another. */
  types: ['limits'],
  /** The version, out of package.json. */
  version: [],
  /** Numbers of jails and filters that stay the same. */
  places: [],
  backoff: [],
  bucket: [],
  turns: [],
  /** Engine and addon: beside the program or inside it. */
  parts: [],
  /** How a program ends after an error of ours. */
  uncaught: [],
  native: ['parts'],
  clock: ['limits', 'native'],
  text: ['limits'],
  log: ['limits', 'text', 'bucket', 'native'],
  engine: [],
  /**
   * The engine's host: the one class that owns the wasm boundary, and the types that it returns.
   */
  host: ['engine', 'limits', 'text', 'parts', 'places'],
  compiler: ['engine', 'limits'],
  filters: ['compiler', 'limits'],
  memory: ['limits', 'native'],
  backends: ['limits', 'native', 'text', 'log', 'backoff', 'turns'],
  /** One daemon per table, per state file and per socket. */
  sole: ['native'],
  /** What the service manager is told. */
  service: ['limits', 'native', 'text'],
  /** Who could replace the file at a path. */
  components: ['limits'],
  /** The core's side of its confinement. */
  confined: ['limits', 'native'],
  sources: ground,
  /** Lists of addresses: the launch stage reads them, the core watches them. */
  lists: [...ground, 'components', 'sources'],
  state: ground,
  control: [...ground, 'sole', 'components'],
  /** The file of records. */
  history: [...ground],
  enforcer: [...ground, 'backends', 'state'],
  observe: [...ground, 'memory', 'lists'],
  operator: [...ground, 'lists', 'history', 'sources', 'backends', 'state', 'control', 'enforcer', 'memory', 'observe'],
  /** Replaces the running configuration by another one. */
  reload: [...ground, 'control', 'enforcer', 'lists', 'sources', 'state'],
  /**
   * The composition root. It reads the record that the launch stage passes on, and no npm package
   * (LP-02).
   */
  daemon: [
    ...[
      'sources',
      'backends',
      'state',
      'control',
      'sole',
      'enforcer',
      'memory',
      'observe',
      'operator',
      'reload',
      'history',
      'service',
      'lists',
    ],
    ...ground,
    'confined',
  ],
  /** The launch stage's side. */
  confinement: [...ground, 'control', 'sources'],
  config: ['components', 'limits', 'text', 'native', 'filters', 'compiler', 'engine', 'host', 'lists'],
  /** A fail2ban tree as a configuration of ours. */
  import: ['config', 'limits', 'text', 'compiler', 'engine', 'host', 'sources'],
  /** A configuration for a host, and those that packages bring. */
  suggest: ['config', 'import', 'sources', 'filters', 'host', 'text'],
  /** `check` looks for firewall rules of others that a jail's hooks miss. */
  commands: [
    ...ground,
    ...[
      'sole',
      'service',
      'history',
      'engine',
      'config',
      'import',
      'suggest',
      'filters',
      'compiler',
      'sources',
      'backends',
      'control',
      'confinement',
    ],
  ],
  /** Reads durations as the configuration does. */
  client: [
    ...['control', 'history', 'limits', 'text', 'config', 'version', 'uncaught'],
    // What `doctor` looks at, and what `reload` passes on.
    ...['native', 'backends', 'commands', 'compiler', 'engine', 'filters', 'host'],
  ],
  /** fail2zig-fleet: a process of its own, which no other room imports. */
  fleet: ['client', 'control', 'history', 'config', 'observe', ...ground],
  /** The start of the single executable. */
  single: ['parts'],
  main: ['config', 'commands', 'limits', 'text', 'version', 'uncaught'],
};

const engineOnlyImports = new Set(['#linear', '#access']);
const hostFiles = new Set([
  'src/engine/examiner.ts',
  'src/engine/host.ts',
  'src/engine/records.ts',
  'src/engine/start.ts',
  'src/engine/saved-table.ts',
  'src/engine/generated/names.ts',
]);
/** Numbers of the engine that every room with the host may know: which counter is which. */
const engineFacts = new Set(['src/engine/counters.ts']);
/**
 * Rooms that may know one another's records, as types only: one returns what the other shows or
 * stores.
 */
const exchanging = new Set([
  'sources',
  'backends',
  'state',
  'control',
  'enforcer',
  'memory',
  'observe',
  'operator',
  'history',
  ...ground,
]);

function roomOf(path: string): string {
  if (hostFiles.has(path)) return 'host';
  const [, first = ''] = path.split('/');
  return first.replace(/\.ts$/, '');
}

/** Every import that the table does not allow, as `file → target`. */
function violations(tree: SourceTree): string[] {
  const found: string[] = [];
  for (const [path, text] of tree) {
    const room = roomOf(path);
    for (const { specifier, typeOnly } of importsOf(path, text)) {
      if (!allowed(path, room, specifier, typeOnly)) found.push(`${path} → ${specifier}`);
    }
  }
  return found;
}

function allowed(path: string, room: string, specifier: string, typeOnly: boolean): boolean {
  if (specifier.startsWith('.')) {
    const target = targetOf(path, specifier);
    if (!target.startsWith('src/')) return room === 'version' && target === 'package.json';
    const known = rooms[room] ?? [];
    if (engineFacts.has(target) && known.includes('host')) return true;
    const other = roomOf(target);
    if (typeOnly && exchanging.has(room) && exchanging.has(other)) return true;
    return other === room || other === 'types' || known.includes(other);
  }
  if (room === 'engine') return engineOnlyImports.has(specifier);
  if (specifier === '#linear') return room === 'host';
  return true;
}

describe('import directions', () => {
  const tree = readTree('src/**/*.ts');

  test('every file is in a room of the table', () => {
    expect([...tree.keys()].filter((path) => rooms[roomOf(path)] === undefined)).toEqual([]);
  });

  test('nobody imports against the directions', () => {
    expect(violations(tree)).toEqual([]);
  });

  test('no room imports one of a higher floor: there is no circle', () => {
    const floors = Object.keys(rooms);
    const upwards = floors.flatMap((room, floor) =>
      (rooms[room] ?? []).filter((other) => floors.indexOf(other) > floor).map((other) => `${room} → ${other}`),
    );
    expect(upwards).toEqual([]);
  });

  test('a file of the engine that reads a file is caught', () => {
    const broken = new Map([['src/engine/table.ts', "import { readFileSync } from 'node:fs';"]]);
    expect(violations(broken)).toEqual(['src/engine/table.ts → node:fs']);
  });

  test('a backend that knows the daemon, and source that knows a test, are caught', () => {
    const broken = new Map([
      ['src/backends/nftables/nftables.ts', "import '../../daemon.ts';"],
      ['src/sources/file.ts', "import { until } from '../../test/support/until.ts';"],
    ]);
    expect(violations(broken)).toEqual([
      'src/backends/nftables/nftables.ts → ../../daemon.ts',
      'src/sources/file.ts → ../../test/support/until.ts',
    ]);
  });
});
