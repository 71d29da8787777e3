/**
 * Tampering, second part: how state is written, what damaged state does, and what happens before a
 * configuration is judged.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { open, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StateKeeper } from '../src/state/keeper.ts';
import { type Snapshot, type StateDisk, saveState } from '../src/state/save.ts';
import { temporaryDirectory } from '../test/support/control.ts';
import { sampleSnapshot } from '../test/support/state.ts';
import { addressOf, v4 } from '../test/support/table-driver.ts';
import { until } from '../test/support/until.ts';
import { assertNone } from './assertions.ts';
import { claim, given, twin } from './claim.ts';
import { reachOf, readTree, type SourceTree } from './source.ts';
import { validConfig } from './support/configuration.ts';
import { type Pipeline, pipeline, rememberingBackend } from './support/pipeline.ts';

type Save = (path: string, take: () => Snapshot, disk: StateDisk) => Promise<unknown>;

/** The real disk, telling what is done to it: `open NAME`, `sync NAME`, `rename`. */
function recordedDisk(told: string[]): StateDisk {
  return {
    unlink,
    rename(from, to) {
      told.push('rename');
      return rename(from, to);
    },
    async open(path, flags, mode) {
      told.push(`open ${path}`);
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
      return `${size} bytes: written under another name, synced, renamed, directory synced; mode 600, owner ${uid}`;
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
    ),
  ],
);

interface Restart {
  /**
   * A daemon's middle started over the state at `path`, with bans of an earlier run in the kernel.
   */
  restart: (path: string, held: string[]) => Promise<Pipeline>;
  /** Flips one bit of the file. */
  damage: (path: string) => void;
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

const restarting: Restart = {
  restart,
  damage(path) {
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1]! ^= 4;
    writeFileSync(path, bytes);
  },
};

const isBanned = ({ engine }: Pipeline, text: string): boolean => engine.isBanned(0, addressOf(v4(text)));
const ended = async ({ enforcer }: Pipeline): Promise<void> => enforcer.stop();

claim(
  ['T-02b', 'FM-2'],
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

      piece.damage(path);
      const second = await piece.restart(path, ['192.0.2.2']);
      const warned = second.log.said.filter(({ level, fields }) => level === 'warn' && fields.asideAs !== undefined);
      assert.equal(warned.length, 1, 'warnings that the state was set aside');
      const aside = readdirSync(directory.path);
      assert.ok(aside.length === 1 && aside[0]!.startsWith('state.damaged-'), `beside it there is ${aside.join(', ')}`);
      assert.equal(isBanned(second, '192.0.2.1'), false, 'something of the damaged state is believed');
      assert.equal(isBanned(second, '192.0.2.2'), true, 'a ban that the kernel holds is not taken over');
      // What the damaged file knew comes back as failures do.
      second.fail('192.0.2.1');
      await until(() => second.backend.held.size === 2, { what: 'the ban made again' });
      await ended(second);
      return 'one bit flipped: file set aside, warned about, nothing of it believed; the ban in the kernel taken over, the other made again';
    } finally {
      directory.remove();
    }
  },
  [
    twin('a loader that believes what it reads', given<Restart>({ ...restarting, damage: () => {} })),
    twin(
      'a start that does not ask the kernel',
      given<Restart>({ ...restarting, restart: (path: string, held: string[]) => restart(path, held, false) }),
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
    spawnSync('bin/fail2zig', ['--config', join(directory, 'fail2zig.toml')], { stdio: 'ignore' }).status,
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
maxretry = 1000
`;
}

claim(
  'T-01c',
  given(launch),
  ({ tree, run }) => {
    const { files } = reachOf(tree, 'src/main.ts', { '#linear': 'src/engine/linear.ts' });
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
    ),
  ],
  { needs: ['built'] },
);
