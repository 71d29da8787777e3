/** Lines belong together by their pid, however many digits it has, and all digits count. */
import { expect, test } from 'vitest';
import { Examiner } from '../../src/engine/examiner.ts';

const pids = ['1', '7', '12', '21', '123', '1234', '12345', '112345', '1234567', '12345678', '22345678', '123456789'];
const now = 1_763_694_928;
const host = 'Nov 21 03:15:28 host';

test('a failure without address is charged to the address of its own pid only', async () => {
  const settings = { filter: 'sshd', mode: '', maxretry: 5, findtime: 600, bantime: 600, ipv6Prefix: 64, ignore: [] };
  for (const known of pids) {
    const engine = await Examiner.create({ build: 'plain', jails: [settings], tableBytes: 10_000, now });
    const examine = (line: string): string => engine.examine(Buffer.from(line), 'sshd', '', now, false).outcome;
    expect(examine(`${host} sshd[${known}]: Connection from 192.0.2.7 port 40022 on 192.0.2.1 port 22`)).toBe(
      'no-failure',
    );
    for (const pid of pids) {
      const line = `${host} sshd[${pid}]: Disconnecting: Too many authentication failures for root [preauth]`;
      expect(examine(line), `${pid} after ${known}`).toBe(pid === known ? 'failure' : 'no-address');
    }
  }
});
