/**
 * `npm run test:kernel` boots Debian's own kernel in qemu with our build as its root, twice on one
 * disk, and runs there what the other tests run on this machine's kernel. It uses KVM if /dev/kvm
 * exists and boots the kernel, and emulation otherwise. It prints a table; the exit status is 1 if
 * a row failed or the guest did not reach its end. `-- nftables,journal` runs only these parts
 * (`xdp-ports`: of xdp, only jails with ports); `-- --record` keeps the table in test/evidence.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildSync } from 'esbuild';
import { note } from '../../scripts/long/record.ts';
import {
  environment as journalEnvironment,
  programs as journalPrograms,
  unpackPackages as unpackJournal,
} from '../journal/packages.ts';
import { archive, type Entry, file, program, tree, withoutDoubles } from './initramfs.ts';
import { environment, firmware, type Kernel, programs, unpackPackages } from './packages.ts';
import { type Row, table } from './rows.ts';

const root = join(import.meta.dirname, '..', '..');
/** A boot takes much less than this, even if emulated on a busy machine, ms. */
const bootMsMax = 5_400_000;
/**
 * KVM in a guest may stop at an instruction. What it has not booted within this time is emulated,
 * ms.
 */
const kvmMsMax = 60_000;
const memoryMegabytes = 1_024;
const diskBytes = 64 * 1024 * 1024;

const applets = 'sh mount mkdir modprobe ping sleep hostname cat ls dmesg tail';

const init = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t securityfs sec /sys/kernel/security
mount -t devtmpfs dev /dev
mount -t cgroup2 cg /sys/fs/cgroup
for place in /run /tmp; do mount -t tmpfs tmp $place; done
mkdir -p /run/netns /run/fail2zig /var/lib/fail2zig
hostname guest
modprobe virtio_pci && modprobe virtio_blk
mount -t ext4 /dev/vda /var/lib/fail2zig || echo 'no disk'
/bin/node /opt/fail2zig/dist/guest.mjs "$boot" "$only"
echo "the guest's program ended with status $?"
echo o > /proc/sysrq-trigger
sleep 60
`;

/** Directories of kernel modules that the checks may need. */
const modulesWanted = /^(?:modules\.|kernel\/(?:net|lib|crypto|arch|drivers\/(?:virtio|block|net\/veth)))/;

function guestRoot(kernel: Kernel, scratch: string): Entry[] {
  const guest = join(scratch, 'guest.mjs');
  buildSync({
    entryPoints: [join(import.meta.dirname, 'guest.ts')],
    outfile: guest,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
  });
  const systemProgram = (name: string): Entry[] => {
    const { stdout } = spawnSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8', env: { PATH: searched } });
    const at = stdout.trim();
    if (at === '')
      throw new Error(`${name} is needed on this machine: \`npm run setup -- --tools\` as root installs it`);
    return program(at, `usr/sbin/${name}`);
  };
  return withoutDoubles([
    { path: 'init', kind: 'file', bytes: Buffer.from(init), mode: 0o755 },
    file(programs.busybox, 'bin/busybox'),
    ...applets.split(' ').map((name): Entry => ({ path: `bin/${name}`, kind: 'link', to: 'busybox' })),
    // The path where the kernel looks for modules.
    { path: 'sbin/modprobe', kind: 'link', to: '/bin/busybox' },
    ...['proc', 'sys', 'dev', 'run', 'tmp', 'var/log', 'var/lib/fail2zig', 'etc'].map(
      (path): Entry => ({ path, kind: 'folder' }),
    ),
    ...['passwd', 'group'].map(
      (name): Entry => ({
        path: `etc/${name}`,
        kind: 'file',
        bytes: Buffer.from('root:x:0:0:root:/:/bin/sh\n'),
        mode: 0o644,
      }),
    ),
    { path: 'etc/machine-id', kind: 'file', bytes: Buffer.from(`${'0123456789abcdef'.repeat(2)}\n`), mode: 0o444 },
    ...program(process.execPath, 'bin/node'),
    ...program(join(root, 'build/fail2zig.node'), 'opt/fail2zig/build/fail2zig.node'),
    ...['engine.wasm', 'engine-scalar.wasm', 'matchers.json'].map((name) =>
      file(join(root, 'build', name), `opt/fail2zig/build/${name}`),
    ),
    ...tree(join(root, 'dist'), 'opt/fail2zig/dist', (name) => /^[^/]*\.cjs$/.test(name)),
    file(guest, 'opt/fail2zig/dist/guest.mjs'),
    ...['nft', 'ip', 'ipset', 'iptables-legacy'].flatMap(systemProgram),
    ...program(journalPrograms.journald, 'opt/journald', journalEnvironment),
    ...tree(kernel.modules, `lib/modules/${kernel.release}`, (name) => modulesWanted.test(name)),
  ]);
}

const searched = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;

/** The rows of one boot; other output of the guest goes to standard error. */
async function boot(
  number: number,
  kernel: Kernel,
  scratch: string,
  only: string,
  byKvm: boolean,
): Promise<{ rows: Row[]; began: boolean; done: boolean }> {
  const arguments_ = [
    ...firmware.flatMap((path) => ['-L', path]),
    ...(byKvm ? ['-accel', 'kvm', '-cpu', 'host'] : ['-accel', 'tcg,thread=multi', '-cpu', 'max']),
    ...[
      '-smp',
      '2',
      '-m',
      String(memoryMegabytes),
      '-nodefaults',
      '-display',
      'none',
      '-serial',
      'stdio',
      '-no-reboot',
    ],
    ...['-kernel', kernel.image, '-initrd', join(scratch, 'root.cpio')],
    ...['-append', `console=ttyS0 loglevel=3 panic=-1 sysrq_always_enabled boot=${number} only=${only}`],
    ...['-drive', `file=${join(scratch, 'disk')},format=raw,if=virtio,cache=writethrough`],
  ];
  const child = spawn(programs.qemu, arguments_, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), bootMsMax);
  const early = setTimeout(() => child.kill('SIGKILL'), byKvm ? kvmMsMax : bootMsMax);
  const rows: Row[] = [];
  let began = false;
  let done = false;
  for await (const line of createInterface({ input: child.stdout })) {
    const [, row] = /ROW (\{.*\})/.exec(line) ?? [];
    if (line.includes('GUEST')) {
      began = true;
      clearTimeout(early);
    }
    if (row !== undefined) {
      const parsed = JSON.parse(row) as Row;
      rows.push(parsed);
      console.log(table([parsed]));
    } else if (line.includes('DONE')) done = true;
    else if (line.trim() !== '') console.error(line);
  }
  clearTimeout(early);
  clearTimeout(timer);
  return { rows, began, done };
}

async function main(only: string): Promise<number> {
  const kernel = unpackPackages();
  unpackJournal();
  const scratch = mkdtempSync(join(root, 'build', 'kernel-'));
  try {
    writeFileSync(join(scratch, 'root.cpio'), archive(guestRoot(kernel, scratch)));
    writeFileSync(join(scratch, 'disk'), '');
    truncateSync(join(scratch, 'disk'), diskBytes);
    // With a journal: a power cut must not cost files.
    execFileSync('mke2fs', ['-q', '-t', 'ext4', join(scratch, 'disk')], { env: { PATH: searched } });
    const boots = [];
    let byKvm = existsSync('/dev/kvm');
    for (const number of [1, 2]) {
      let booted = await boot(number, kernel, scratch, only, byKvm);
      if (byKvm && !booted.began) {
        byKvm = false;
        booted = await boot(number, kernel, scratch, only, byKvm);
      }
      boots.push(booted);
    }
    const rows = boots.flatMap((each) => each.rows);
    const ok = boots.every(({ done }) => done) && rows.every((row) => row.ok);
    const by = byKvm ? 'KVM' : 'emulation (TCG)';
    console.log(`\nLinux ${kernel.release} by ${by}\n${table(rows)}\n${ok ? 'all of it holds' : 'something failed'}`);
    note({ kernel: kernel.release, by, rows: rows.length, failed: rows.filter((row) => !row.ok).length });
    for (const line of table(rows).split('\n')) note(line);
    return ok ? 0 : 1;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

process.exitCode = await main(process.argv[2] ?? '');
