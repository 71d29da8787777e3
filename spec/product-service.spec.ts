/**
 * One service replaces another, with systemd's own tool over a separate root.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from '../test/support/control.ts';
import { tool, toolEnvironment } from '../test/support/tools.ts';
import { claim, given, sabotaged, twin } from './claim.ts';

const project = join(import.meta.dirname, '..');
/** Debian's unit of fail2ban, unpacked by the set-up; else one with the relevant parts. */
const unpacked = join(project, 'build/tools/lib/systemd/system/fail2ban.service');
const old = existsSync(unpacked)
  ? readFileSync(unpacked, 'utf8')
  : '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n';

claim(
  'LP-36',
  given(readFileSync(join(project, 'systemd/fail2zig.service'), 'utf8')),
  (unit) => {
    const root = temporaryDirectory();
    try {
      const units = join(root.path, 'usr/lib/systemd/system');
      mkdirSync(units, { recursive: true });
      mkdirSync(join(root.path, 'etc/systemd/system'), { recursive: true });
      writeFileSync(join(units, 'fail2ban.service'), old);
      writeFileSync(join(units, 'fail2zig.service'), unit);
      const systemctl = (...words: string[]) =>
        spawnSync(tool('systemctl') ?? 'systemctl', [`--root=${root.path}`, ...words], {
          encoding: 'utf8',
          timeout: 20_000,
          env: toolEnvironment,
        });
      const isEnabled = (name: string) => systemctl('is-enabled', name).stdout.trim();
      systemctl('enable', 'fail2ban.service');
      assert.equal(isEnabled('fail2ban.service'), 'enabled', 'the old service does not start at boot before');
      systemctl('disable', 'fail2ban.service');
      const enabled = systemctl('enable', 'fail2zig.service');
      assert.equal(enabled.status, 0, `systemctl refuses the unit: ${enabled.stderr}`);
      const state = { old: isEnabled('fail2ban.service'), ours: isEnabled('fail2zig.service') };
      assert.deepEqual(state, { old: 'disabled', ours: 'enabled' }, 'the services have not changed places');
      return 'systemctl --root: fail2ban enabled, then disabled, fail2zig.service enabled in its place';
    } finally {
      root.remove();
    }
  },
  [
    sabotaged('no target wants the unit', /the services have not changed places|systemctl refuses the unit/),
    twin('a unit that is no file of systemd', given(''), /the services have not changed places|refuses the unit/),
  ],
  { needs: ['linux', 'systemd'], timeoutMs: 60_000 },
);
