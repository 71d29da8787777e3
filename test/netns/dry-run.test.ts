/**
 * The daemon with backend log-only, which needs no namespace: what it says, and a jail whose log is
 * not there.
 */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Daemon } from '../../scripts/lab/daemon.ts';
import { temporaryDirectory } from '../support/control.ts';
import { until } from '../support/until.ts';

const home = temporaryDirectory();
afterEach(() => home.remove());

test('a dry run says once what it would do, and which jail reads nothing until its log comes', async () => {
  const auth = join(home.path, 'auth.log');
  const mail = join(home.path, 'mail.log');
  writeFileSync(auth, '');
  const daemon = await Daemon.start(
    home.path,
    `[firewall]
backend = "log-only"
[metrics]
enabled = false
[jails.sshd]
logpath = "${auth}"
maxretry = 1
[jails.postfix]
logpath = "${mail}"
`,
  );
  try {
    const unread = `jail postfix reads no log: no file fits ${mail}`;
    const notRead = daemon.said.filter((line) => / warn jail reads no log /.test(line));
    expect(notRead.map((line) => line.split(' warn ')[1])).toEqual([
      `jail reads no log until a file fits jail=postfix logpath=${mail}`,
    ]);
    expect((await daemon.status()).problems).toEqual(['log-only: nothing is banned', unread]);

    writeFileSync(mail, '');
    await until(async () => !(await daemon.status()).problems.includes(unread), { what: 'the log that came is read' });

    const time = new Date().toISOString();
    appendFileSync(auth, `${time} host sshd[7]: Failed password for root from 192.0.2.7 port 40022 ssh2\n`);
    const told = (): string[] => daemon.said.filter((line) => line.includes('192.0.2.7'));
    await until(async () => (await daemon.bans()).has('sshd 192.0.2.7'), { what: 'the ban' });
    expect(told().map((line) => line.split(' info ')[1])).toEqual(['would ban jail=sshd address=192.0.2.7']);
  } finally {
    await daemon.stop();
  }
});
