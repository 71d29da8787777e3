/**
 * The product as the landing page shows it: sources, backends, figures.
 */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { BYTES } from '../src/engine/counters.ts';
import { lineBytesMax } from '../src/limits.ts';
import { FileSource, type FileSourceOptions } from '../src/sources/file.ts';
import { IN_MODIFY, Inotify } from '../src/sources/inotify.ts';
import { PortableEvents } from '../src/sources/portable-events.ts';
import { CollectingSink } from '../test/support/collecting-sink.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { until } from '../test/support/until.ts';
import { assertNone } from './assertions.ts';
import { claim, given, sabotaged, twin } from './claim.ts';
import { importsOf, reachOf, readTree, type SourceTree, withFile } from './source.ts';
import { sourceAddress } from './support/tracker.ts';
import { watched } from './support/watched.ts';
import { type Follower, pollingFollower } from './twins/polling-followers.ts';

type Follow = (path: string) => Follower;

/** The real file source, with changes reported by `events` (the system's own by default). */
const followWith =
  (events?: FileSourceOptions['events']): Follow =>
  (path) => {
    const sink = new CollectingSink();
    const source = new FileSource({
      patterns: [path],
      assign: (_path, _patterns, previous) => Math.max(previous, 0),
      release: () => {},
      now: () => 0,
      monotonic: () => performance.now(),
      drain: () => sink.drain(),
      event: () => {},
      sink,
      ...(events && { events }),
    });
    source.start();
    return { lines: () => sink.texts(), look: () => source.poll(), stop: () => source.stop() };
  };

const follow = followWith();

/** Follows a log in a directory of its own while `act` writes it. */
async function following(
  start: Follow,
  act: (path: string, read: () => string[], look: () => void) => Promise<void>,
): Promise<void> {
  const directory = temporaryDirectory();
  const path = join(directory.path, 'auth.log');
  writeFileSync(path, 'old line\n');
  const follower = start(path);
  try {
    await act(path, follower.lines, follower.look ?? (() => {}));
  } finally {
    follower.stop();
    directory.remove();
  }
}

/** inotify reports within milliseconds. */
const heardSoon = { withinMs: 3_000 };

/** Waits until `count` lines were read, or says which were. */
async function expectLines(read: () => string[], expected: string[]): Promise<void> {
  await until(() => read().length >= expected.length, { withinMs: 4_000 }).catch(() => {});
  assert.deepEqual(read(), expected, 'lines read');
}

claim(
  'LP-20',
  given<Follow>(follow),
  async (start) => {
    await following(start, async (path, read, look) => {
      const expected: string[] = [];
      const write = (line: string) => {
        appendFileSync(path, `${line}\n`);
        expected.push(line);
      };
      write('one');
      await expectLines(read, expected);
      renameSync(path, `${path}.1`);
      writeFileSync(path, '');
      write('after the rename, longer than what was read of the old file');
      await expectLines(read, expected);
      write('two');
      await expectLines(read, expected);
      // A writer that was not told of the rotation continues in the old file.
      appendFileSync(`${path}.1`, 'late in the old file\n');
      expected.push('late in the old file');
      await expectLines(read, expected);
      // It is polled meanwhile, and does not give up.
      for (let polls = 0; polls < 3; polls++) look();
      appendFileSync(`${path}.1`, 'very late in the old file\n');
      expected.push('very late in the old file');
      await expectLines(read, expected);
      truncateSync(path, 0);
      await until(() => read().length >= expected.length);
      write('cut');
      await expectLines(read, expected);
      // Truncated, and at once longer than before: copytruncate and a busy service.
      const grown = Array.from({ length: 40 }, (_, index) => `grown past the old place, line ${index}`);
      writeFileSync(path, `${grown.join('\n')}\n`);
      expected.push(...grown);
      await expectLines(read, expected);
      appendFileSync(path, 'half a ');
      appendFileSync(path, 'line\n');
      expected.push('half a line');
      await expectLines(read, expected);
      // Its writer breaks off, and another text of that length stands in the place of all.
      appendFileSync(path, 'half');
      look();
      for (let turns = 0; turns < 4; turns++) await new Promise((resolve) => setImmediate(resolve));
      const { size } = statSync(path);
      const inPlace = openSync(path, 'r+');
      writeSync(inPlace, `${'x'.repeat(size - 1)}\n`);
      closeSync(inPlace);
      look();
      expected.push('x'.repeat(size - 1));
      await expectLines(read, expected);
      // A line beyond every length that is never ended, and the next file.
      appendFileSync(path, `${'y'.repeat(lineBytesMax)}yyy`);
      expected.push('y'.repeat(lineBytesMax));
      await expectLines(read, expected);
      renameSync(path, `${path}.2`);
      writeFileSync(path, '');
      write('behind a line without an end');
      await expectLines(read, expected);
      // Written anew with what it held, again and again, before any of that is read: a ring log.
      for (const line of ['before', 'after one', 'after two', 'after three']) {
        writeFileSync(`${path}.new`, readFileSync(path));
        renameSync(`${path}.new`, path);
        look();
        write(line);
      }
      await expectLines(read, expected);
      // Renamed to a place that nobody watches, with unread lines, and one that comes late.
      const away = temporaryDirectory();
      write('unread');
      renameSync(path, join(away.path, 'auth.log'));
      look();
      appendFileSync(join(away.path, 'auth.log'), 'late elsewhere\n');
      expected.push('late elsewhere');
      await expectLines(read, expected);
      away.remove();
    });
    return 'append, rename with a new file, late lines in the old one, truncation, growth past the old place, half a line, rewritten with its text, moved away: each line once, in order, none missed';
  },
  [
    sabotaged('a log that was cut and has grown past our place again is read on in the middle', /lines read/),
    sabotaged('a log that was renamed is closed at once', /lines read/),
    sabotaged('how far a replaced log was read is asked before it was', /lines read/),
    twin(
      'a follower that reads everything again',
      given<Follow>((path) => pollingFollower(path, 'rereads')),
      /lines read/,
    ),
  ],
  { timeoutMs: 120_000 },
);

/** Descriptors of this process that hold an inotify watch (proc(5), fdinfo). */
function inotifyWatches(): number {
  let watches = 0;
  for (const descriptor of readdirSync('/proc/self/fdinfo')) {
    try {
      const text = readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8');
      watches += text.split('\n').filter((line) => line.startsWith('inotify wd:')).length;
    } catch {
      // The descriptor that listed the directory is closed by now.
    }
  }
  return watches;
}

/** By events alone: the poll would find the lines too, a second later. */
const unpolled =
  (start: Follow): Follow =>
  (path) => {
    const { poll } = FileSource.prototype;
    FileSource.prototype.poll = () => {};
    const follower = start(path);
    return {
      ...follower,
      stop() {
        follower.stop();
        FileSource.prototype.poll = poll;
      },
    };
  };

/** inotify with one kind of event suppressed. */
const hardOfHearing = (isHeard: (mask: number) => boolean): Follow =>
  unpolled(
    followWith((options) => {
      const events = new Inotify(options);
      return {
        add: (path, mask, heard) => events.add(path, mask, isHeard(mask) ? heard : () => {}),
        read: () => events.read(),
        drained: true,
        close: () => events.close(),
      };
    }),
  );

claim(
  'LP-16',
  given<Follow>(unpolled(follow)),
  async (start) => {
    const before = inotifyWatches();
    let added = 0;
    await following(start, async (path, read) => {
      added = inotifyWatches() - before;
      assert.ok(added > 0, 'no inotify watch was made');
      // The first check of the log, which needs no event, is over after the first line.
      appendFileSync(path, 'first line\n');
      await until(() => read().length > 0, heardSoon).catch(() => {});
      const expected = ['first line', 'new line'];
      appendFileSync(path, 'new line\n');
      await until(() => read().length > 1, heardSoon).catch(() => {});
      assert.deepEqual(read(), expected, 'growth heard without the poll');
      renameSync(path, `${path}.1`);
      writeFileSync(path, 'after the rotation\n');
      await until(() => read().length > 2, heardSoon).catch(() => {});
      assert.deepEqual(read(), [...expected, 'after the rotation'], 'a rotation heard without the poll');
    });
    return `${added} inotify watches for one followed log; growth and rotation heard without the poll`;
  },
  [
    twin(
      'a follower that polls',
      given<Follow>((path) => pollingFollower(path, 'rereads')),
      /no inotify watch was made/,
    ),
    twin(
      'a source that does not hear the log itself',
      given<Follow>(hardOfHearing((mask) => mask !== IN_MODIFY)),
      /growth heard without the poll/,
    ),
    twin(
      'a source that does not hear the directory',
      given<Follow>(hardOfHearing((mask) => mask === IN_MODIFY)),
      /a rotation heard without the poll/,
    ),
  ],
  { needs: ['linux'] },
);

const source = readTree('src/**/*.ts');

/** The core as source and as the bundle that ships. */
interface Core {
  tree: SourceTree;
  bundle: string;
}

const realCore: Core = {
  tree: source,
  bundle: existsSync('dist/core.cjs') ? readFileSync('dist/core.cjs', 'utf8') : '',
};

claim(
  'LP-02',
  given(realCore),
  ({ tree, bundle }) => {
    const { files, packages } = reachOf(tree, 'src/daemon.ts', { '#linear': 'src/engine/linear.ts' });
    assert.ok(files.size > 20, `only ${files.size} files are reached from the composition root`);
    assertNone(packages, 'npm packages reached from the core');
    assert.ok(bundle.length > 10_000, 'dist/core.cjs is missing or empty: run `npm run setup`');
    const loaded = new Set(importsOf('dist/core.cjs', bundle).map(({ specifier }) => specifier));
    // Our own files left outside the bundle are the plain build of the engine, which no daemon asks
    // for.
    const outside = [...loaded].filter((specifier) => !isBuiltin(specifier));
    assertNone(
      outside.filter((specifier) => !specifier.startsWith('./')),
      'packages loaded by dist/core.cjs',
    );
    return `${files.size} files of ours and ${loaded.size - outside.length} parts of Node in the core, 0 npm packages`;
  },
  [
    twin(
      'an enforcer that imports a package',
      given({ ...realCore, tree: withFile(source, 'src/enforcer/enforcer.ts', 'spec/twins/package-importer.ts') }),
      /npm packages reached from the core/,
    ),
    twin(
      'a bundle that loads a package',
      given({ ...realCore, bundle: `${realCore.bundle}\nrequire("zod");\n` }),
      /packages loaded by dist/,
    ),
  ],
);

/** The file source without inotify, and what the operator's guide says about it. */
interface Portable {
  follow: Follow;
  guide: string;
}

const guide = readFileSync('docs/operating.md', 'utf8');
const paper = readFileSync('docs/white-paper.md', 'utf8');
const portable: Portable = { follow: unpolled(followWith((options) => new PortableEvents(options))), guide };
const deaf = unpolled(
  followWith(() => ({ add: () => ({ close() {} }), read: () => false, drained: true, close() {} })),
);

claim(
  'LP-17',
  given(portable),
  async ({ follow: start, guide: text }) => {
    await following(start, async (path, read) => {
      // The first check of the log needs no event.
      appendFileSync(path, 'one\n');
      await expectLines(read, ['one']);
      appendFileSync(path, 'more\n');
      await expectLines(read, ['one', 'more']);
      renameSync(path, `${path}.1`);
      writeFileSync(path, 'two\n');
      await expectLines(read, ['one', 'more', 'two']);
    });
    const limits = text.split('\n## Limits\n')[1]?.split('\n## ')[0] ?? '';
    assert.match(limits, /kqueue.*not tested/s, 'what is untested on BSD is not said');
    return 'lines and a rotation heard through fs.watch alone, which is kqueue on BSD; that stated as untested';
  },
  [
    sabotaged('growth of a log is not heard through fs.watch', /lines read/),
    twin('a source that hears nothing', given<Portable>({ ...portable, follow: deaf }), /lines read/),
    twin(
      'a guide that keeps quiet',
      given<Portable>({ ...portable, guide: guide.replaceAll('kqueue', 'events') }),
      /what is untested on BSD is not said/,
    ),
  ],
);

claim(
  'LP-45',
  given(paper),
  (text) => {
    const argument = text.split('\n## Why TypeScript and WebAssembly\n')[1]?.split('\n## ')[0] ?? '';
    for (const subject of ['**Memory**', '**Code generation**', '**Portability**', '**What it costs**']) {
      const [, after = ''] = argument.split(subject);
      assert.ok(after.length > 120, `${subject} is not argued`);
    }
    return `memory, code generation, portability and the price, in ${argument.split(/\s+/).length} words of the white paper`;
  },
  [
    twin(
      'a paper without the argument',
      given(paper.replace('## Why TypeScript and WebAssembly', '## Why')),
      /\*\*Memory\*\* is not argued/,
    ),
    twin(
      'a paper that names no price',
      given(paper.replace('**What it costs**', '**Speed**')),
      /What it costs\*\* is not argued/,
    ),
  ],
);

/** The value of the sample `name` on a metrics page, or NaN. */
function sample(page: string, name: string): number {
  const line = page.split('\n').find((text) => text.startsWith(`${name} `));
  return line === undefined ? Number.NaN : Number(line.slice(name.length + 1));
}

claim(
  'LP-30',
  watched(),
  async ({ fail, engine, enforcer, page }) => {
    const before = sample(await page(), 'fail2zig_lines_total');
    for (let i = 0; i < 3; i++) fail(sourceAddress(7));
    await until(() => enforcer.counters.bans.every((bans) => bans === 1), { what: 'the ban in both jails' });
    const text = await page();
    const jails = ['sshd', 'slow'];
    for (const jail of jails) {
      assert.equal(sample(text, `fail2zig_bans_total{jail="${jail}"}`), 1, `bans of ${jail}`);
      assert.equal(sample(text, `fail2zig_bans_active{jail="${jail}",state="held"}`), 1, `running bans of ${jail}`);
      assert.equal(sample(text, `fail2zig_bans_active{jail="${jail}",state="pending"}`), 0, `pending bans of ${jail}`);
    }
    assert.equal(sample(text, 'fail2zig_lines_total') - before, 3, 'lines read');
    assert.equal(sample(text, 'fail2zig_read_bytes_total'), engine.counter(BYTES), 'bytes read');
    return `two jails: a ban and a running ban each, 3 lines, ${engine.counter(BYTES)} bytes`;
  },
  [
    sabotaged('lines read are not shown', /lines read/),
    twin(
      'a page that never changes',
      watched((made) => {
        const first = made.page();
        return { ...made, page: () => first };
      }),
      /bans of sshd/,
    ),
  ],
);
