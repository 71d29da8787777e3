/**
 * The parser engine, third part: where the bytes of a line are, what is taken from it, and its cost
 * at worst.
 */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import type { Filter, Pattern, Token } from '../src/compiler/pattern.ts';
import { DECISIONS, FILTER_BAD_ADDRESS, FILTER_HOST_NAME, LINES } from '../src/engine/counters.ts';
import type { Verdict } from '../src/engine/examiner.ts';
import type { Engine, LineSink } from '../src/engine/host.ts';
import { filters } from '../src/filters/index.ts';
import { fingerprintBytesMax } from '../src/limits.ts';
import type { Decision } from '../src/types.ts';
import { bind, loadEmitted, type Match, outcome } from '../test/support/matchers.ts';
import { oracleMatch, oracleMessages, type Range, walkPattern } from '../test/support/oracle.ts';
import { assertNone } from './assertions.ts';
import { claim, given, type Supply, sabotaged, twin } from './claim.ts';
import { importsOf, readTree, type SourceTree, targetOf, withFile } from './source.ts';
import { occurrences, type Read, readsOf } from './support/reads.ts';
import { addressText, engineOf, epoch, failureLine, feedText, sourceAddress } from './support/tracker.ts';
import { firstAddress, lastFrom } from './twins/first-address.ts';

/** A log of `count` failures, each with a user name found nowhere else. */
function log(count: number): { text: string; names: string[] } {
  const names = Array.from({ length: count }, (_, i) => `user-${i}-zebra`);
  const now = Math.floor(Date.now() / 1000);
  const lines = names.map((name, i) => failureLine(sourceAddress(i), now, i).replace('root', name));
  return { text: lines.join(''), names };
}

/** What reading a log left: the reads, and all memory in which the reader keeps lines. */
interface Reading {
  engine: Engine;
  reads: Read[];
  /** Copies of more than a fingerprint that were made meanwhile. */
  copies: number;
  /** Everything that could hold a line. */
  memories: () => Uint8Array[];
  written: { text: string; names: string[] };
}

/** Reads 300 lines; `around` is what a twin puts between source and engine. */
function reading(around: (engine: Engine) => { sink: LineSink; kept: Uint8Array[] }): Supply<Reading> {
  return {
    async make() {
      const engine = await engineOf({ maxretry: [1] });
      const { sink, kept } = around(engine);
      const written = log(300);
      const { reads, copies } = readsOf(written.text, engine, sink);
      const memories = () => [new Uint8Array(engine.buffer.buffer), ...kept];
      return { engine, reads, copies, memories, written };
    },
  };
}

/** A source's buffer of its own, copied into the engine afterwards. */
function copying(engine: Engine): { sink: LineSink; kept: Uint8Array[] } {
  const buffer = Buffer.alloc(engine.buffer.length);
  const feed: LineSink['feed'] = (source, length, ...rest) => {
    engine.buffer.set(buffer.subarray(0, length));
    return engine.feed(source, length, ...rest);
  };
  return { sink: { buffer, feed }, kept: [buffer] };
}

const count = (memories: Uint8Array[], name: string): number =>
  memories.reduce((sum, memory) => sum + occurrences(memory, name), 0);

claim(
  ['MM-23', 'PE-16'],
  reading((engine) => ({ sink: engine, kept: [] })),
  ({ engine, reads, memories, written }) => {
    assert.equal(engine.counter(LINES), 300, 'lines that the engine examined');
    assert.equal(engine.counter(DECISIONS), 300, 'decisions');
    const inside = reads.filter(({ memory }) => memory === engine.buffer.buffer);
    const bytes = inside.reduce((sum, read) => sum + read.count, 0);
    assert.equal(bytes, written.text.length, 'bytes that read(2) put into engine memory');
    const elsewhere = reads.filter(
      ({ memory, count }) => memory !== engine.buffer.buffer && count > fingerprintBytesMax,
    );
    assert.equal(elsewhere.length, 0, 'reads of more than a fingerprint into other memory');
    const copies = written.names.filter((name) => count(memories(), name) !== 1);
    assertNone(copies, 'user names that stand in memory more or less than once');
    return `${bytes} bytes of 300 lines read straight into engine memory; each user name stands there once`;
  },
  [twin('a source with a buffer of its own', reading(copying), /bytes that read\(2\) put into engine memory/)],
);

claim(
  'PE-18',
  reading((engine) => ({ sink: engine, kept: [] })),
  ({ engine, copies, memories, written }) => {
    assert.equal(engine.counter(DECISIONS), 300, 'decisions');
    // The next read overwrites the buffer; whatever still contains a line after that has kept it.
    for (const memory of memories()) assert.ok(memory.length > 0);
    engine.buffer.fill(0);
    const kept = written.names.filter((name) => count(memories(), name) > 0);
    assertNone(kept, 'user names still in memory after the next read');
    assert.equal(copies, 0, 'copies of what was read');
    return '300 lines matched and decided, the buffer read over: nothing of any line is left in engine memory, and nothing was copied';
  },
  [sabotaged('each log keeps a copy of the block that was read last', /copies of what was read/)],
);

/** Examines a line; the user of the verdict is what the engine hands out. */
interface LineExaminer {
  memory: ArrayBufferLike;
  bufferAt: number;
  examine: (line: string) => Verdict;
}

const examiner = async (): Promise<LineExaminer> => {
  const engine = await engineOf();
  return {
    memory: engine.buffer.buffer,
    bufferAt: engine.buffer.byteOffset,
    examine: (line) => engine.examine(Buffer.from(line), 'sshd', '', epoch, false),
  };
};

claim(
  'PE-17',
  { make: examiner },
  ({ memory, bufferAt, examine }) => {
    const users = ['root', 'a b c', 'x'.repeat(200), 'ü'];
    for (const [index, name] of users.entries()) {
      const line = failureLine('192.0.2.7', epoch, 100 + index)
        .trimEnd()
        .replace('root', name);
      const { user } = examine(line);
      assert.ok(user !== undefined, `no user in ${line}`);
      assert.equal(user.buffer === memory, true, 'the user is a view of engine memory');
      const at = Buffer.from(line).indexOf(Buffer.from(name));
      assert.deepEqual(
        [user.byteOffset - bufferAt, user.length],
        [at, Buffer.byteLength(name)],
        'start in the read buffer, and length',
      );
    }
    return `${users.length} user names: views of the read buffer, at the offsets where they stand in the line`;
  },
  [sabotaged('the user is a copy of its bytes', /the user is a view of engine memory/)],
);

/** Feeds a line: number of bans, and of lines dropped because of their address. */
type Drops = (line: string) => { bans: number; dropped: number };

function dropping(prepare: (line: string) => string, counts = true): Supply<Drops> {
  return {
    async make() {
      const engine = await engineOf({ maxretry: [1] });
      const { filter } = engine.resolveFilter('sshd', '');
      const read = () =>
        counts ? engine.filterCounter(filter, FILTER_BAD_ADDRESS) + engine.filterCounter(filter, FILTER_HOST_NAME) : 0;
      return (line) => {
        const before = read();
        feedText(engine, prepare(line), epoch);
        return { bans: engine.takeDecisions(() => {}), dropped: read() - before };
      };
    },
  };
}

const badAddresses = [
  '256.0.2.7',
  '192.0.2',
  '192.0.2.7.9',
  '1920.0.2.7',
  '2001:db8:::7',
  '2001:db8::7::1',
  '12345::1',
  'host.example.org',
];

claim(
  'PE-20',
  dropping((line) => line),
  (drop) => {
    let connection = 0;
    assert.deepEqual(drop(failureLine('192.0.2.7', epoch, connection++)), { bans: 1, dropped: 0 }, 'a sound address');
    for (const bad of badAddresses) {
      const found = drop(failureLine(bad, epoch, connection++));
      assert.deepEqual(found, { bans: 0, dropped: 1 }, `what came of ${bad}`);
    }
    return `${badAddresses.length} texts that are no address, where the address stands: dropped and counted, nobody banned`;
  },
  [
    sabotaged('a part of an address over 255 is taken', /what came of 256\.0\.2\.7/),
    sabotaged('an address that is none is not counted', /what came of 256\.0\.2\.7/),
  ],
);

/** The address that a line is charged to under a filter; undefined if nobody is charged. */
type ChargedTo = (line: Buffer, filter: string, mode: string) => string | undefined;

interface Injection {
  chargedTo: ChargedTo;
  /** Whom the line of an honest user is charged to. */
  honestFor: ChargedTo;
  /** Where the engine found the user in a line, to know what an attacker may write. */
  userAt: (line: Buffer, filter: string, mode: string) => [start: number, end: number] | undefined;
}

async function injection(): Promise<Injection> {
  const engine = await engineOf();
  const look = (line: Buffer, filter: string, mode: string) => engine.examine(line, filter, mode, epoch, false);
  const chargedTo: ChargedTo = (line, filter, mode) => {
    const { outcome, address } = look(line, filter, mode);
    return outcome === 'failure' && address !== undefined ? addressText(address) : undefined;
  };
  return {
    chargedTo,
    honestFor: chargedTo,
    userAt(line, filter, mode) {
      const { user } = look(line, filter, mode);
      if (user === undefined || user.length === 0) return undefined;
      const start = user.byteOffset - engine.buffer.byteOffset;
      return [start, start + user.length];
    },
  };
}

const victim = '198.51.100.9';

/**
 * What an attacker who knows the format writes as his user name: the rest of the line with the
 * victim in it, and parts of that.
 */
function forgedNames(line: string, end: number): string[] {
  const rest = line.slice(end).replace(/\d+\.\d+\.\d+\.\d+|[0-9a-f]*::?[0-9a-f:]+/gi, victim);
  const whole = `x${rest}`;
  const names = [
    whole,
    whole + whole,
    victim,
    ` ${victim} `,
    `"${victim}"`,
    `[${victim}]`,
    ` from ${victim} port 22 ssh2`,
  ];
  for (let cut = 1; cut < rest.length; cut += 7) names.push(`x${rest.slice(0, cut)}`);
  return names;
}

/**
 * Whether tokens capture the user in a text, which is used where a remote side chooses it; an
 * account's name is a span.
 */
function takesAnyUser(value: unknown): boolean {
  if (value === null || typeof value !== 'object') return false;
  const { kind, capture } = value as { kind?: string; capture?: string };
  return (kind === 'text' && capture === 'user') || Object.values(value).some(takesAnyUser);
}

/**
 * User names of basic authentication end before their first colon (RFC 7617 section 2), so the
 * service never writes more.
 */
const colonless = new Set(['nginx-http-auth']);

/** Which bytes of a message each `text` of a pattern matches: those that a remote side chose. */
function textsIn(tokens: readonly Token[], message: Buffer): Range[] {
  return tokens.flatMap(({ kind }, at) => {
    if (kind !== 'text') return [];
    const marked = tokens.map((token, index): Token => {
      const { capture: _, ...rest } = token as Token & { capture?: 'user' };
      return index === at ? ({ ...rest, capture: 'user' } as Token) : (rest as Token);
    });
    const range = walkPattern(marked, message)?.user;
    return range === undefined ? [] : [range];
  });
}

/**
 * Lines that a pattern takes: its sample, and what nginx writes where a client sends no host, or a
 * referrer.
 */
function variantsOf(name: string, sample: string): string[] {
  if (!name.startsWith('nginx-')) return [sample];
  const hostless = sample.replace(/, host: "[^"]*"/, '');
  return [sample, hostless, `${hostless}, referrer: "http://example.org/"`];
}

/** Whom the message of a failure is charged to; undefined where it is nobody. */
function chargedIn(filter: Filter, match: Match, message: Buffer, modeBit: number): string | undefined {
  const { pattern, address } = outcome(match, message, modeBit);
  if (address === undefined || filter.patterns[pattern]?.effect?.kind === 'context') return undefined;
  if (pattern < 0 || pattern >= filter.patterns.length) return undefined;
  const text = message.subarray(...address).toString('latin1');
  return isIP(text) === 0 ? undefined : text;
}

/**
 * Forges each text of a pattern, in matchers compiled here from the definition; returns the number
 * of texts and lines.
 */
function forgeTexts(filter: Filter, match: Match, pattern: Pattern): { texts: number; lines: number } {
  const mode = pattern.modes?.[0] ?? filter.modes?.[0];
  const modeBit = 1 << Math.max(0, (filter.modes ?? []).indexOf(mode ?? ''));
  let [texts, lines] = [0, 0];
  for (const variant of variantsOf(filter.name, pattern.sample)) {
    const taken = (message: Buffer) => filter.patterns[oracleMatch(filter, message, mode)?.index ?? -1] === pattern;
    const message = oracleMessages(filter, Buffer.from(variant, 'latin1')).find(taken);
    if (message === undefined) continue;
    const honest = oracleMatch(filter, message, mode)!.addressText;
    for (const [start, end] of textsIn(pattern.tokens, message)) {
      texts++;
      for (const forged of forgedNames(message.toString('latin1'), end)) {
        const written = colonless.has(filter.name) ? forged.replace(/:.*/s, '') : forged;
        const parts = [message.subarray(0, start), Buffer.from(written, 'latin1'), message.subarray(end)];
        const text = Buffer.concat(parts);
        const found = chargedIn(filter, match, text, modeBit);
        if (found !== undefined && found !== honest) assert.fail(`${filter.name}: ${found} is charged for ${text}`);
        lines++;
      }
    }
  }
  return { texts, lines };
}

/**
 * What nginx writes when a client at 192.0.2.66 requests a file whose name is the rest of a line,
 * up to the referrer: two readings, neither of which may be trusted.
 */
const fileNames = ['", host: "example.org"', '"'].map((host) => {
  const missing = (client: string) => `" failed (2: No such file or directory), client: ${client}, server: `;
  const name = `wp-login.php${missing(victim)}, request: "GET /wp-login.php HTTP/1.1${host}, referrer: "`;
  const head = '2025/03/04 05:06:07 [error] 811#811: *42 open() "/srv/www/';
  return `${head}${name}${missing('192.0.2.66')}, request: "GET /wp-login.php HTTP/1.1"`;
});

function forgeFileNames(filter: Filter, match: Match): void {
  for (const line of fileNames) {
    for (const message of oracleMessages(filter, Buffer.from(line))) {
      const found = chargedIn(filter, match, message, 1);
      assert.ok(found !== victim, `${filter.name}: ${found} is charged for ${line}`);
    }
  }
}

/** The same for every text of every pattern that fails somebody. */
function forgeAll(): { texts: number; lines: number; filters: number } {
  const all = { texts: 0, lines: 0, filters: 0 };
  bind();
  for (const filter of filters) {
    const { match } = loadEmitted(filter);
    if (filter.name === 'nginx-botsearch') forgeFileNames(filter, match);
    const before = all.texts;
    for (const pattern of filter.patterns) {
      if (pattern.effect?.kind === 'context') continue;
      const { texts, lines } = forgeTexts(filter, match, pattern);
      all.texts += texts;
      all.lines += lines;
    }
    if (all.texts > before) all.filters++;
  }
  return all;
}

claim(
  'E-02a',
  { make: injection },
  ({ chargedTo, honestFor, userAt }) => {
    let lines = 0;
    let fields = 0;
    const touched = new Set<string>();
    for (const { name, patterns } of filters) {
      for (const { sample, tokens, modes = [''] } of patterns) {
        if (!takesAnyUser(tokens)) continue;
        const mode = modes[0]!;
        const line = Buffer.from(sample);
        const [start, end] = userAt(line, name, mode) ?? [-1, -1];
        const honest = honestFor(line, name, mode);
        if (start < 0 || honest === undefined) continue;
        fields++;
        touched.add(name);
        for (const forged of forgedNames(sample, end)) {
          const written = colonless.has(name) ? forged.replace(/:.*/s, '') : forged;
          const text = Buffer.concat([line.subarray(0, start), Buffer.from(written), line.subarray(end)]);
          const found = chargedTo(text, name, mode);
          if (found !== undefined && found !== honest) assert.fail(`${name}: ${found} is charged for ${text}`);
          lines++;
        }
      }
    }
    assert.ok(fields >= 20 && touched.size >= 10, `only ${fields} fields of ${touched.size} filters were tried`);
    const all = forgeAll();
    assert.ok(all.texts >= 150 && all.filters >= 50, `only ${all.texts} texts of ${all.filters} filters were tried`);
    return `${lines} lines with forged names in ${fields} patterns of ${touched.size} filters, ${all.lines} with forged text in ${all.texts} places of ${all.filters} filters: charged to the sender or to nobody`;
  },
  [
    twin<Injection>(
      'an address taken where the first one occurs',
      {
        make: async () => ({ ...(await injection()), chargedTo: (line: Buffer) => firstAddress(line.toString()) }),
      },
      /198\.51\.100\.9 is charged for/,
    ),
    twin<Injection>(
      'an address taken after the last " from "',
      {
        make: async () => ({ ...(await injection()), chargedTo: (line: Buffer) => lastFrom(line.toString()) }),
      },
      /198\.51\.100\.9 is charged for/,
    ),
    sabotaged('the compiler leaves out the end of the line that a pattern asks for', /is charged for/),
    sabotaged('lines of nginx without a host, with a second client behind a referrer, are believed', /is charged for/),
  ],
);

/**
 * The rooms that a log line passes, and which of them each must not know; nothing points backwards.
 */
const ways: [room: string, mustNotKnow: string[]][] = [
  [
    'src/engine/',
    [
      ...['src/sources/', 'src/backends/', 'src/control/', 'src/observe/', 'src/state/', 'src/enforcer/'],
      ...['src/memory/', 'src/log.ts', 'src/daemon.ts'],
    ],
  ],
  ['src/sources/', ['src/backends/', 'src/control/', 'src/state/', 'src/enforcer/', 'src/daemon.ts', 'src/config/']],
  ['src/backends/', ['src/sources/', 'src/engine/engine.ts', 'src/control/', 'src/enforcer/', 'src/daemon.ts']],
  ['src/enforcer/', ['src/sources/', 'src/control/', 'src/daemon.ts']],
  ['src/observe/', ['src/engine/engine.ts', 'src/daemon.ts']],
  ['src/control/', ['src/sources/', 'src/engine/engine.ts', 'src/daemon.ts']],
];

interface Flow {
  tree: SourceTree;
  /** Every decision from a log of hostile names. */
  decide: () => Promise<unknown[]>;
}

const flow: Flow = {
  tree: readTree('src/**/*.ts'),
  async decide() {
    const engine = await engineOf({ maxretry: [1] });
    const found: Decision[] = [];
    for (let i = 0; i < 50; i++) {
      feedText(engine, failureLine(sourceAddress(i), epoch, i).replace('root', `zebra ${i}`), epoch);
    }
    engine.takeDecisions((decision) => void found.push(decision));
    return found;
  },
};

/** Everything in a value that is neither a number nor an address. */
function texts(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (value === null || typeof value !== 'object') return [];
  if (ArrayBuffer.isView(value)) return value.byteLength === 16 ? [] : [`${value.byteLength} bytes`];
  return Object.values(value).flatMap(texts);
}

claim(
  'TM-DF',
  given(flow),
  async ({ tree, decide }) => {
    const backwards: string[] = [];
    let followed = 0;
    for (const [path, text] of tree) {
      const forbidden = ways.filter(([room]) => path.startsWith(room)).flatMap(([, rooms]) => rooms);
      for (const { specifier, typeOnly } of importsOf(path, text)) {
        if (typeOnly || !specifier.startsWith('.')) continue;
        const target = targetOf(path, specifier);
        followed++;
        if (forbidden.some((room) => target.startsWith(room))) backwards.push(`${path} → ${target}`);
      }
    }
    assertNone(backwards, 'imports against the flow');
    assert.ok(followed > tree.size, `only ${followed} imports are seen in ${tree.size} files`);
    const decisions = await decide();
    assert.equal(decisions.length, 50);
    assertNone(decisions.flatMap(texts), 'texts in decisions');
    return `${tree.size} files, ${followed} imports: none knows what comes after it on the way; 50 decisions of hostile lines: numbers and addresses only`;
  },
  [
    twin<Flow>(
      'a backend that knows the sources',
      given<Flow>({
        ...flow,
        tree: new Map(flow.tree).set('src/backends/curious.ts', "import { FileSource } from '../sources/file.ts';"),
      }),
      /imports against the flow: src\/backends/,
    ),
    twin<Flow>(
      'an engine that reports home',
      given<Flow>({ ...flow, tree: withFile(flow.tree, 'src/engine/report.ts', 'spec/twins/engine-importer.ts') }),
      /imports against the flow: src\/engine/,
    ),
    twin<Flow>(
      'a tree that was read as empty',
      given<Flow>({ ...flow, tree: new Map([...flow.tree.keys()].map((path) => [path, ''])) }),
      /only 0 imports are seen/,
    ),
    twin<Flow>(
      'decisions that carry their line',
      given<Flow>({
        ...flow,
        decide: async () =>
          (await flow.decide()).map((decision) => ({ ...(decision as object), line: 'Failed password for zebra' })),
      }),
      /texts in decisions/,
    ),
  ],
);
