/**
 * The files for systemd: its own checker accepts the unit, and they name the same paths and users
 * as the configuration's defaults.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { defaultSettings } from '../../src/config/schema.ts';
import { niceness } from '../../src/fleet/limits.ts';
import { tool, toolEnvironment } from '../support/tools.ts';

const root = join(import.meta.dirname, '../..');
const unit = readFileSync(join(root, 'systemd/fail2zig.service'), 'utf8');
const analyze = tool('systemd-analyze');

/** The checker's verdict on a unit whose programs are those of this checkout. */
function verdict(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'fail2zig-unit-'));
  try {
    const path = join(folder, 'fail2zig.service');
    writeFileSync(path, text.replaceAll('/usr/bin/', `${join(root, 'bin')}/`));
    const done = spawnSync(analyze!, ['verify', '--man=no', path], { encoding: 'utf8', env: toolEnvironment });
    expect(done.error).toBeUndefined();
    return `${done.status === 0 ? '' : 'refused '}${done.stdout}${done.stderr}`.trim();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The exposure that systemd computes, from 0 to 10. */
function exposure(text: string): number {
  const folder = mkdtempSync(join(tmpdir(), 'fail2zig-unit-'));
  try {
    const path = join(folder, 'fail2zig.service');
    writeFileSync(path, text.replaceAll('/usr/bin/', `${join(root, 'bin')}/`));
    const done = spawnSync(analyze!, ['security', '--offline=true', path], { encoding: 'utf8', env: toolEnvironment });
    return Number(/Overall exposure level for \S+: ([0-9.]+)/.exec(done.stdout)?.[1]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Settings that say what runs and when, not what it may. */
const ofTheProgram =
  /^(?:After|CPUWeight|Description|Documentation|Exec\w+|MemoryMax|Nice|NotifyAccess|Restart\w*|TimeoutStopSec|Type|WantedBy|Wants|WatchdogSec)=/;

/** What neither service may, whatever else it may. */
const confinedAlike = [
  ...['Clock', 'ControlGroups', 'Hostname', 'KernelLogs', 'KernelModules', 'KernelTunables'].map(
    (what) => `Protect${what}=yes`,
  ),
  ...['Namespaces', 'Realtime', 'SUIDSGID'].map((what) => `Restrict${what}=yes`),
  ...['KeyringMode=private', 'LockPersonality=yes', 'NoNewPrivileges=yes', 'PrivateDevices=yes', 'PrivateTmp=yes'],
  ...['ProtectProc=invisible', 'ProtectSystem=strict', 'RemoveIPC=yes', 'SystemCallArchitectures=native'],
  'SystemCallErrorNumber=EPERM',
];

/** What each unit gives or takes besides. */
const given = {
  'fail2zig.service': [
    'CapabilityBoundingSet=CAP_NET_ADMIN CAP_DAC_READ_SEARCH CAP_BPF CAP_CHOWN CAP_SETGID CAP_SETPCAP',
    'ProtectHome=read-only',
    'ReadWritePaths=-/run/xtables.lock',
    'RestrictAddressFamilies=AF_NETLINK AF_UNIX AF_INET AF_INET6',
    ...['RuntimeDirectory=fail2zig', 'RuntimeDirectoryMode=0755', 'StateDirectory=fail2zig', 'StateDirectoryMode=0750'],
    'SystemCallFilter=@system-service seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self bpf',
  ],
  'fail2zig-fleet.service': [
    ...['CapabilityBoundingSet=', 'DynamicUser=yes', 'SupplementaryGroups=fail2zig', 'PrivateUsers=yes', 'UMask=0077'],
    ...['ProcSubset=pid', 'ProtectHome=yes', 'StateDirectory=fail2zig-fleet', 'StateDirectoryMode=0700'],
    'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6',
    ...['SystemCallFilter=@system-service', 'SystemCallFilter=~@privileged @resources'],
  ],
};

describe('the unit', () => {
  test.skipIf(analyze === undefined)('is accepted by systemd-analyze, which notices a wrong key', () => {
    expect(verdict(unit)).toBe('');
    expect(verdict(unit.replace('WatchdogSec', 'WatchdoggSec'))).toContain('WatchdoggSec');
  });

  test.skipIf(analyze === undefined)('is accepted without root, and exposes little (systemd-analyze security)', () => {
    const withoutRoot = readFileSync(join(root, 'systemd/unprivileged.conf'), 'utf8');
    const units = { root: unit, user: unit.replace('\n[Install]', `${withoutRoot}\n[Install]`) };
    expect(verdict(units.user)).toBe('');
    const most = { root: 3.2, user: 2.5 };
    for (const [name, text] of Object.entries(units)) {
      const level = exposure(text);
      expect(level, name).toBeLessThanOrEqual(most[name as keyof typeof most]);
      expect(exposure(text.replace('NoNewPrivileges=yes', '')), name).toBeGreaterThan(level);
    }
  });

  test.skipIf(analyze === undefined)('of fail2zig-fleet is accepted, and exposes less than the daemon', () => {
    const fleet = readFileSync(join(root, 'systemd/fail2zig-fleet.service'), 'utf8');
    // The checker writes each unit as fail2zig.service, which cannot follow itself.
    expect(verdict(fleet.replace(' fail2zig.service', ''))).toBe('');
    expect(exposure(fleet)).toBeLessThanOrEqual(1.5);
    expect(exposure(fleet)).toBeLessThan(exposure(unit));
    for (const line of ['RestartPreventExitStatus=78', `Nice=${niceness}`, 'CPUWeight=10'])
      expect(fleet.split('\n')).toContain(line);
  });

  test.each(Object.entries(given))('%s gives its service these rights and no others', (name, rights) => {
    const lines = readFileSync(join(root, 'systemd', name), 'utf8').split('\n');
    const confining = lines.filter((line) => /^[A-Z]\w*=/.test(line) && !ofTheProgram.test(line));
    expect(confining.toSorted()).toEqual([...rights, ...(name.endsWith('.service') ? confinedAlike : [])].toSorted());
  });

  test('waits for readiness and is not started again with a configuration that cannot be used', () => {
    for (const line of ['Type=notify', 'RestartPreventExitStatus=78', 'WatchdogSec=60s']) {
      expect(unit.split('\n')).toContain(line);
    }
  });

  test('makes the directories of the default socket and state', () => {
    expect(`/run/${/^RuntimeDirectory=(.*)$/m.exec(unit)?.[1]}`).toBe(dirname(defaultSettings.socket));
    expect(`/var/lib/${/^StateDirectory=(.*)$/m.exec(unit)?.[1]}`).toBe(dirname(defaultSettings.statePath));
  });
});

test('sysusers.d makes the group of the socket, tmpfiles.d its directory', () => {
  const lines = (kind: string): string[] =>
    readFileSync(join(root, 'systemd', kind, 'fail2zig.conf'), 'utf8').split('\n');
  expect(lines('sysusers.d')).toContain(`g ${defaultSettings.group} -`);
  const directories = lines('tmpfiles.d').map((line) => line.split(/\s+/).slice(0, 3).join(' '));
  expect(directories).toContain(`d ${dirname(defaultSettings.socket)} 0755`);
  expect(directories).toContain(`d ${dirname(defaultSettings.statePath)} 0750`);
});
