/**
 * Tampering, second part: how state is saved, what damaged state does, and what happens before a
 * configuration is checked.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  constants,
  linkSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { StateKeeper } from '../src/state/keeper.ts';
import { loadState } from '../src/state/load.ts';
import { type Snapshot, type StateDisk, saveState } from '../src/state/save.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { CollectingVisitor, sampleSnapshot } from '../test/support/state.ts';
import { addressOf, v4 } from '../test/support/table-driver.ts';
import { until } from '../test/support/until.ts';
import { assertNone } from './assertions.ts';
import { claim, given, sabotaged, twin } from './claim.ts';
import { reachOf, readTree, type SourceTree } from './source.ts';
import { validConfig } from './support/configuration.ts';
import { type Pipeline, pipeline, rememberingBackend } from './support/pipeline.ts';

type Save = (path: string, take: () => Snapshot, disk: StateDisk) => Promise<unknown>;

const { O_EXCL, O_NOFOLLOW } = constants;

/** The real disk, recording what is done to it: `open NAME`, `sync NAME`, `rename`, `exclusive`. */
function recordedDisk(told: string[]): StateDisk {
  return {
    unlink,
    rename(from, to) {
      told.push('rename');
      return rename(from, to);
    },
    async open(path, flags, mode) {
      told.push(`open ${path}`);
      if ((flags & O_EXCL) !== 0 && (flags & O_NOFOLLOW) !== 0) told.push('exclusive');
      const handle = await open(path, flags, mode);
      return {
        write: (buffer, offset, length) => handle.write(buffer, offset, length),
        sync() {
          told.push(`sync ${path}`);
          return handle.sync();
        },
        close: () => handle.close(),
      };
    },
  };
}

/**
 * A save while somebody creates a second name of `victim` at the path of the new file. Returns the
 * code of the error.
 */
async function saveBesideLink(save: Save, path: string, victim: string): Promise<string> {
  let planted = false;
  const disk: StateDisk = {
    ...recordedDisk([]),
    async unlink(name) {
      await unlink(name).catch(() => {});
      if (!planted) linkSync(victim, name);
      planted = true;
    },
  };
  return save(path, () => sampleSnapshot(10), disk).then(
    () => 'saved',
    ({ code }: NodeJS.ErrnoException) => `${code}`,
  );
}

claim(
  'T-02a',
  given<Save>(saveState),
  async (save) => {
    const directory = temporaryDirectory();
    try {
      const path = join(directory.path, 'state');
      writeFileSync(path, 'the old state', { mode: 0o644 });
      const before = statSync(path).ino;
      const told: string[] = [];
      await save(path, () => sampleSnapshot(5_000), recordedDisk(told));
      const { ino, mode, uid, size } = statSync(path);
      assert.notEqual(ino, before, 'the old file was written into');
      assert.equal((mode & 0o7777).toString(8), '600', 'mode');
      assert.equal(uid, process.geteuid?.(), 'owner');
      assert.ok(size > 100_000, 'the new state is not there');
      const renamed = told.indexOf('rename');
      const synced = told.findIndex((what) => what.startsWith('sync ') && what !== `sync ${dirname(path)}`);
      assert.ok(synced >= 0 && synced < renamed, 'the new file is not synced before it takes the name');
      assert.ok(told.indexOf(`sync ${dirname(path)}`) > renamed, 'the new name is not synced');
      assert.equal(told.includes(`open ${path}`), false, 'the file itself is opened for writing');
      assert.deepEqual(readdirSync(directory.path), ['state'], 'something is left behind');
      assert.ok(told.includes('exclusive'), 'the new file is opened without O_EXCL or O_NOFOLLOW');
      const victim = join(directory.path, 'victim');
      writeFileSync(victim, 'of somebody else');
      const code = await saveBesideLink(save, path, victim);
      assert.equal(readFileSync(victim, 'utf8'), 'of somebody else', 'a file of somebody else is written into');
      assert.equal(code, 'EEXIST', 'a save where a link stands in the way');
      assert.equal(statSync(path).ino, ino, 'the old state after a save that failed');
      return `${size} bytes: written to a file of its own (${code} beside a link), synced, renamed, directory synced; mode ${(mode & 0o7777).toString(8)}, owner ${uid}`;
    } finally {
      directory.remove();
    }
  },
  [
    twin(
      'a state written over the old one',
      given<Save>(async (path, take) => {
        take();
        writeFileSync(path, Buffer.alloc(120_000));
      }),
      /the old file was written into/,
    ),
    twin(
      'a new file that may be a link',
      given<Save>((path, take, disk) =>
        saveState(path, take, {
          ...disk,
          open: (name, flags, mode) => disk.open(name, flags & ~(O_EXCL | O_NOFOLLOW), mode),
        }),
      ),
      /without O_EXCL or O_NOFOLLOW/,
    ),
    twin(
      'a state that all may read',
      given<Save>((path, take, disk) =>
        saveState(path, take, { ...disk, open: (name, flags, mode) => disk.open(name, flags, mode | 0o044) }),
      ),
      /^mode/,
    ),
    twin(
      'a state renamed before it is on disk',
      given<Save>((path, take, disk) =>
        saveState(path, take, {
          ...disk,
          open: async (...parameters) => {
            const handle = await open(...parameters);
            return {
              write: (buffer, offset, length) => handle.write(buffer, offset, length),
              sync: () => Promise.resolve(),
              close: () => handle.close(),
            };
          },
        }),
      ),
      /the new file is not synced before it takes the name/,
    ),
  ],
);

interface Restart {
  /**
   * The core of a daemon started over the state at `path`, with bans of an earlier run in the
   * kernel.
   */
  restart: (path: string, held: string[]) => Promise<Pipeline>;
  load: typeof loadState;
}

const noFiles = { pause: () => {}, unpause: () => {}, positions: () => [], histories: () => [] };

function keeperOf({ engine, log }: Pipeline, path: string): StateKeeper {
  return new StateKeeper({ path, intervalSeconds: 60, jails: ['sshd'], engine, log });
}

async function restart(path: string, held: string[], adopts = true): Promise<Pipeline> {
  const backend = rememberingBackend();
  for (const text of held) {
    backend.held.set(`sshd ${text}`, { jail: 'sshd', address: addressOf(v4(text)), timeoutMs: 600_000 });
  }
  const made = await pipeline({ backend });
  keeperOf(made, path).load();
  if (adopts) {
    made.enforcer.start({ adopts });
    await until(() => made.enforcer.counters.reconciles === 1, { what: 'bans taken over' });
  }
  return made;
}

const restarting: Restart = { restart, load: loadState };

/** Flips one bit of a byte. At 17, in the time of the file, only the checksum detects it. */
function flip(path: string, sound: Buffer, at: number): void {
  const bytes = Buffer.from(sound);
  bytes[at]! ^= 4;
  writeFileSync(path, bytes);
}
const onlyChecksumAt = 17;
const checksumReason = 'its checksum does not fit';

/** Flips each byte in turn. Returns how many of the flips only the checksum detects. */
function flipEach(load: Restart['load'], directory: string, sound: Buffer): number {
  const path = join(directory, 'flipped');
  let byChecksum = 0;
  for (let at = 0; at < sound.length; at++) {
    flip(path, sound, at);
    const visitor = new CollectingVisitor();
    const loaded = load(path, visitor, 1_700_000_000);
    assert.ok(loaded.state === null, `byte ${at} is flipped, and the checksum is not compared`);
    assert.ok(loaded.asideAs !== null && !visitor.touched, `byte ${at} is flipped, and something of it is believed`);
    if (loaded.why === checksumReason) byChecksum++;
  }
  assert.ok(byChecksum > sound.length / 2, `the checksum finds ${byChecksum} of ${sound.length} flipped bytes`);
  return byChecksum;
}

/** Writes the checksum that fits, so that a loader finds nothing to compare. */
function mendChecksum(path: string): void {
  const bytes = readFileSync(path);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
  writeFileSync(path, bytes);
}

/** Files with sound bytes that others could have written. */
function assertForeignRefused(load: Restart['load'], directory: string, sound: Buffer): void {
  const path = join(directory, 'foreign');
  const refusal = (why: RegExp): void => {
    const visitor = new CollectingVisitor();
    const loaded = load(path, visitor, 1_700_000_000);
    assert.ok(loaded.state === null && !visitor.touched, `believed, although ${why.source}`);
    assert.match(loaded.why, why);
  };
  for (const mode of [0o620, 0o602]) {
    writeFileSync(path, sound);
    chmodSync(path, mode);
    refusal(/others may write it/);
  }
  rmSync(path, { force: true });
  writeFileSync(`${path}.target`, sound, { mode: 0o600 });
  symlinkSync(`${path}.target`, path);
  refusal(/ELOOP/);
  if (process.geteuid?.() !== 0) return;
  writeFileSync(path, sound, { mode: 0o600 });
  chownSync(path, 65_534, 65_534);
  refusal(/it belongs to user/);
}

const isBanned = ({ engine }: Pipeline, text: string): boolean => engine.isBanned(0, addressOf(v4(text)));
const ended = async ({ enforcer }: Pipeline): Promise<void> => enforcer.stop();

claim(
  'T-02b',
  given(restarting),
  async (piece) => {
    const directory = temporaryDirectory();
    try {
      const path = join(directory.path, 'state');
      const first = await pipeline();
      const keeper = keeperOf(first, path);
      keeper.start(noFiles);
      first.fail('192.0.2.1', '192.0.2.2');
      await until(() => first.backend.held.size === 2, { what: 'two bans' });
      await keeper.stop();
      await ended(first);

      const sound = await piece.restart(path, []);
      assert.ok(isBanned(sound, '192.0.2.1') && isBanned(sound, '192.0.2.2'), 'a sound state is not restored');
      await ended(sound);

      const bytes = readFileSync(path);
      const beside = temporaryDirectory();
      const byChecksum = flipEach(piece.load, beside.path, bytes);
      assertForeignRefused(piece.load, beside.path, bytes);
      const longer = join(beside.path, 'longer');
      writeFileSync(longer, Buffer.concat([bytes, Buffer.from('x')]));
      const loaded = piece.load(longer, new CollectingVisitor(), 1_700_000_000);
      assert.ok(loaded.state === null, 'a file that goes on behind its end is believed');
      beside.remove();

      flip(path, bytes, onlyChecksumAt);
      const second = await piece.restart(path, ['192.0.2.2']);
      const warned = second.log.said.filter(({ level, fields }) => level === 'warn' && fields.asideAs !== undefined);
      assert.equal(warned.length, 1, 'warnings that the state was set aside');
      assert.equal(warned[0]?.fields.why, checksumReason, 'why the state was set aside');
      const aside = readdirSync(directory.path);
      assert.ok(aside.length === 1 && aside[0]!.startsWith('state.damaged-'), `beside it there is ${aside.join(', ')}`);
      assert.equal(isBanned(second, '192.0.2.1'), false, 'something of the damaged state is believed');
      assert.equal(isBanned(second, '192.0.2.2'), true, 'a ban that the kernel holds is not taken over');
      // What the damaged file knew comes back as failures do.
      second.fail('192.0.2.1');
      await until(() => second.backend.held.size === 2, { what: 'the ban made again' });
      await ended(second);
      return (
        `${bytes.length} bytes flipped one at a time: each refused, ${byChecksum} by the checksum alone; ` +
        `set aside as ${aside[0]}; the ban in the kernel taken over, the other made again`
      );
    } finally {
      directory.remove();
    }
  },
  [
    sabotaged('the checksum of the state file is not compared', /the checksum is not compared/),
    sabotaged('a state file that others may write is believed', /believed, although others may write it/),
    twin(
      'a daemon that does not compare the checksum',
      given<Restart>({
        ...restarting,
        restart: (path: string, held: string[]) => {
          mendChecksum(path);
          return restart(path, held);
        },
      }),
      /warnings that the state was set aside/,
    ),
    twin(
      'a start that does not ask the kernel',
      given<Restart>({ ...restarting, restart: (path: string, held: string[]) => restart(path, held, false) }),
      /a ban that the kernel holds is not taken over/,
    ),
  ],
);

interface Launch {
  tree: SourceTree;
  /** Starts the program with a configuration in `directory`; its exit status. */
  run: (directory: string) => number | null;
}

/**
 * What touches kernel, sockets, state or logs: none of it may be loaded where the configuration is
 * judged.
 */
const effects = [
  'src/backends/',
  'src/daemon.ts',
  'src/enforcer/',
  'src/control/server.ts',
  'src/state/',
  'src/sources/file.ts',
];

const launch: Launch = {
  tree: readTree('src/**/*.ts'),
  run: (directory) =>
    spawnSync('bin/fail2zig', ['--config', join(directory, 'fail2zig.toml')], { stdio: 'ignore', timeout: 10_000 })
      .status,
};

/**
 * Sound in all but the last line, and with places in `directory` for everything that a start makes.
 */
function lateMistake(directory: string): string {
  return `[control]
socket = "${directory}/control.sock"
group = "root"
[state]
path = "${directory}/state/state"
[firewall]
backend = "log-only"
${validConfig.replace('/var/log/auth.log', `${directory}/auth.log`)}
[jails.second]
filter = "sshd"
logpath = "${directory}/auth.log"
maxretry = 1001
`;
}

claim(
  'T-01c',
  given(launch),
  ({ tree, run }) => {
    // The other commands are loaded one by one, and none of them on the way to a start.
    const { files } = reachOf(tree, 'src/commands/start.ts', { '#linear': 'src/engine/linear.ts' });
    assert.ok(files.has('src/commands/start.ts') && files.has('src/config/load.ts'), 'the launch stage was not found');
    assertNone(
      [...files].filter((file) => effects.some((effect) => file.startsWith(effect))),
      'files with effects loaded where the configuration is judged',
    );
    const directory = temporaryDirectory();
    try {
      writeFileSync(join(directory.path, 'auth.log'), '');
      writeFileSync(join(directory.path, 'fail2zig.toml'), lateMistake(directory.path), { mode: 0o644 });
      assert.equal(run(directory.path), 78, 'exit status');
      assert.deepEqual(readdirSync(directory.path).sort(), ['auth.log', 'fail2zig.toml'], 'files after the refusal');
      return `${files.size} files in the launch stage, none with an effect; a mistake in the last line: exit 78, nothing made`;
    } finally {
      directory.remove();
    }
  },
  [
    twin(
      'a launch stage that opens the firewall',
      given<Launch>({
        ...launch,
        tree: new Map(launch.tree).set(
          'src/commands/start.ts',
          `${launch.tree.get('src/commands/start.ts')}\nimport '../backends/choose.ts';\n`,
        ),
      }),
      /files with effects loaded/,
    ),
    twin(
      'a start that makes its socket first',
      given<Launch>({
        ...launch,
        run: (directory: string) => {
          writeFileSync(join(directory, 'control.sock'), '');
          return launch.run(directory);
        },
      }),
      /files after the refusal/,
    ),
  ],
  { needs: ['built'] },
);
