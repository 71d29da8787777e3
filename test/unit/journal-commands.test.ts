/** `check`, `match` and `replay` read the journal: the commands as they are installed. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/control.ts';
import { JournalWriter, sshdEntry } from '../support/journal-writer.ts';

const folder = temporaryDirectory();
afterAll(() => folder.remove());
const command = join(import.meta.dirname, '../../bin/fail2zig');
const start = Date.UTC(2026, 10, 21, 3) / 1000;

function fail2zig(...args: string[]): { status: number | null; out: string; error: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  return { status, out: stdout.replaceAll(folder.path, 'FOLDER'), error: stderr.replaceAll(folder.path, 'FOLDER') };
}

function write(name: string, text: string): string {
  writeFileSync(join(folder.path, name), text, { mode: 0o644 });
  return join(folder.path, name);
}

const journal = join(folder.path, 'system.journal');
const writer = new JournalWriter(journal, { compact: true, compress: 'zstd' });
for (let n = 0; n < 12; n++) {
  const message = `Failed password for ${n === 5 ? 'x'.repeat(2_000) : 'root'} from 192.0.2.${n % 2} port 40 ssh2`;
  writer.append(sshdEntry(n + 1, (start + n) * 1e6, message));
}
writer.append({
  seqnum: 13,
  realtime: (start + 20) * 1e6,
  fields: [
    ['_SYSTEMD_UNIT', 'cron.service'],
    ['SYSLOG_IDENTIFIER', 'sshd'],
    ['MESSAGE', 'Failed password for root from 192.0.2.9 port 40 ssh2'],
  ],
});

test('match recognises a journal file by its first bytes', () => {
  const { status, out } = fail2zig('match', '--filter', 'sshd', journal);
  expect(status).toBe(0);
  expect(out).toContain('filter sshd: 13 lines, 13 matched, 0 not');
  const rows = fail2zig('match', '--filter', 'sshd', '--json', journal).out.trim().split('\n');
  expect(JSON.parse(rows[3]!)).toMatchObject({ line: 4, ip: '192.0.2.1', user: 'root', time: start + 3 });
});

test('replay bans by the times of its entries, and takes those that a jail asks for', () => {
  const config = write(
    'journal.toml',
    'control.group = "root"\n[jails.sshd]\nsource = "journal"\njournal_match = "_SYSTEMD_UNIT=ssh.service"\nmaxretry = 3\nfindtime = "1h"\n[jails.postfix]\nsource = "journal"\n',
  );
  const { status, out } = fail2zig('replay', '--config', config, '--json', journal);
  expect(status).toBe(0);
  expect(JSON.parse(out)).toMatchObject({
    lines: 12,
    matched: 12,
    decisions: [
      { jail: 'sshd', ip: '192.0.2.0', time: start + 4, failures: 3 },
      { jail: 'sshd', ip: '192.0.2.1', time: start + 5, failures: 3 },
    ],
  });
  expect(JSON.parse(fail2zig('replay', '--filter', 'sshd', '--json', journal).out)).toMatchObject({ lines: 13 });
});

describe('check', () => {
  test('says which entries a jail reads', () => {
    const config = write('check.toml', 'control.group = "root"\n[jails.sshd]\nsource = "journal"\n');
    const { status, out } = fail2zig('check', '--config', config);
    expect(out).toContain(
      '  journal: _SYSTEMD_UNIT=ssh.service _SYSTEMD_UNIT=sshd.service + _SYSTEMD_SLICE=system-ssh.slice',
    );
    expect(status).toBe(0);
  });

  test('refuses a filter whose service writes nothing to the journal', () => {
    const config = write('refused.toml', '[jails.kerio]\nsource = "journal"\n');
    const { status, out } = fail2zig('check', '--config', config);
    expect(out).toContain('filter kerio names no unit and no identifier: its service writes to files of its own');
    expect(status).toBe(78);
  });
});

test('a file that is damaged is read as far as it goes', () => {
  const path = join(folder.path, 'damaged.journal');
  const damaged = new JournalWriter(path);
  for (let n = 0; n < 30; n++) damaged.append(sshdEntry(n + 1, (start + n) * 1e6, `m${n}`));
  spawnSync('truncate', ['-s', String(damaged.places[20]!), path]);
  const { status, out } = fail2zig('match', '--filter', 'sshd', path);
  expect(status).toBe(0);
  expect(out).toContain('filter sshd: 20 lines');
  expect(out).toMatch(/damaged entries of the journal were passed over|read as far as it goes/);
});
