/**
 * Spoofing: who is mistaken for whom. Peers of the control socket are real processes of other
 * users.
 */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { lineBytesMax } from '../src/limits.ts';
import { native } from '../src/native.ts';
import { claim, given, type Supply, sabotaged, twin } from './claim.ts';
import {
  controlGroup,
  controlSocket,
  modeAndOwner,
  type Reply,
  requestAs,
  stranger,
} from './support/control-socket.ts';
import { addressText, engineOf, epoch } from './support/tracker.ts';
import { firstAddress, lastFrom } from './twins/first-address.ts';

const everybodyIsRoot = () => ({ pid: 1, uid: 0, gid: 0, groups: [] });

/** Accepts any supplementary group as ours. */
const anyGroupCounts: typeof native.peerCredentials = (fd) => {
  const peer = native.peerCredentials(fd);
  return typeof peer === 'number' || peer.groups.length === 0 ? peer : { ...peer, groups: [controlGroup] };
};

/** Only sees the first group of a peer. */
const firstGroupOnly: typeof native.peerCredentials = (fd) => {
  const peer = native.peerCredentials(fd);
  return typeof peer === 'number' ? peer : { ...peer, groups: [] };
};

claim(
  ['S-01', 'I-02'],
  controlSocket(),
  async ({ path, ungroupedPath, unknownPath, modesAtBind, reached }) => {
    const list = (socket: string, uid: number, gid: number, groups: number[] = []) =>
      requestAs(socket, uid, gid, 'list', {}, groups);
    const codes: string[] = [];
    const assertRefused = async (what: string, reply: Promise<Reply>): Promise<void> => {
      const { ok, error } = await reply;
      assert.ok(ok !== true && error?.code === 'forbidden', `${what} got an answer`);
      codes.push(error.code);
    };
    assert.deepEqual(modesAtBind, ['0600'], 'who may connect between bind and chmod');
    const mode = modeAndOwner(path);
    assert.equal(mode, `0660 0:${controlGroup}`, 'mode and owner of the socket');
    assert.equal((await list(path, 0, 0)).ok, true, 'root is not admitted');
    assert.equal((await list(path, stranger, controlGroup)).ok, true, 'the group is not admitted');
    assert.equal((await list(path, stranger, stranger, [4, controlGroup])).ok, true, 'a further group is not admitted');
    assert.ok((await list(path, stranger, stranger)).unreachable, 'the mode lets a stranger in');
    // Even if the file is accessible, the kernel's record of the peer decides.
    for (const socket of [path, ungroupedPath, unknownPath]) chmodSync(socket, 0o666);
    await assertRefused('a stranger', list(path, stranger, stranger));
    await assertRefused('a stranger with other groups', list(path, stranger, stranger, [4, 24]));
    await assertRefused('where no group is configured, a stranger', list(ungroupedPath, stranger, stranger));
    await assertRefused('where no group is configured, a member of group 0', list(ungroupedPath, stranger, 0, [0]));
    await assertRefused('a peer that the kernel does not know', list(unknownPath, 0, 0));
    const admitted = reached();
    assert.deepEqual(admitted, ['list', 'list', 'list'], 'requests that reached the daemon');
    return (
      `socket ${mode} (${modesAtBind[0]} before); ${admitted.length} admitted: root, group, further group; ` +
      `${codes.length} refused by credentials`
    );
  },
  [
    twin('a server that takes everybody for root', controlSocket({ askPeer: everybodyIsRoot }), /^a stranger got/),
    twin(
      'a server that takes an unknown peer for root',
      controlSocket({ askUnknown: everybodyIsRoot }),
      /the kernel does not know got an answer/,
    ),
    twin(
      'a server that takes any further group for its own',
      controlSocket({ askPeer: anyGroupCounts }),
      /a stranger with other groups got an answer/,
    ),
    twin(
      'a server that looks at the first group only',
      controlSocket({ askPeer: firstGroupOnly }),
      /a further group is not admitted/,
    ),
    twin(
      'a server that takes group 0 where none is configured',
      controlSocket({ ungroupedId: 0 }),
      /no group is configured, a member of group 0 got an answer/,
    ),
    twin('a socket that everybody may open', controlSocket({ mode: 0o666 }), /mode and owner of the socket/),
    twin(
      'a socket bound under the usual umask',
      controlSocket({ usualMask: true }),
      /who may connect between bind and chmod/,
    ),
  ],
  { needs: ['root'], timeoutMs: 120_000 },
);

/** The address that the last of some lines is charged to; undefined if nobody is charged. */
type ChargedTo = (...lines: string[]) => string | undefined;

/** `before` is what a twin makes of a line. */
function engineCharges(before = (line: string) => line): Supply<ChargedTo> {
  return {
    async make() {
      const engine = await engineOf({ maxretry: [1] });
      return (...lines) => {
        let charged: string | undefined;
        for (const line of lines) {
          const { outcome, address } = engine.examine(Buffer.from(before(line)), 'sshd', '', epoch, false);
          charged = outcome === 'failure' && address !== undefined ? addressText(address) : undefined;
        }
        return charged;
      };
    },
  };
}

/** A line of sshd, this many seconds after the first; host and process may differ. */
const sshdLine = (message: string, { pid = 7, host = 'one', second = 0 } = {}): string =>
  `${new Date((epoch + second) * 1000).toISOString()} ${host} sshd[${pid}]: ${message}`;
const connects = (address: string) => `Connection from ${address} port 40022 on 192.0.2.1 port 22`;
/** Names no address: it is charged to the known address of its connection. */
const gaveUp = 'Disconnecting: Too many authentication failures for root [preauth]';
const [first, later] = ['192.0.2.21', '192.0.2.22'];

/** Lines that belong together, or not, and who is charged for the last one. */
const connections: [what: string, lines: string[], charged: string | undefined][] = [
  ['a process that was heard of', [sshdLine(connects(first)), sshdLine(gaveUp)], first],
  ['another process', [sshdLine(connects(first), { pid: 8 }), sshdLine(gaveUp, { pid: 9 })], undefined],
  [
    'another process of five digits',
    [sshdLine(connects(first), { pid: 12_345 }), sshdLine(gaveUp, { pid: 22_345 })],
    undefined,
  ],
  [
    'the same process number on another host',
    [sshdLine(connects(first), { pid: 10 }), sshdLine(gaveUp, { pid: 10, host: 'two' })],
    undefined,
  ],
  [
    'a process number that was given again',
    [
      // A connection that tries several names fails with each following line.
      ...['root', 'admin'].map((name) =>
        sshdLine(`Failed password for ${name} from ${first} port 1 ssh2`, { pid: 11 }),
      ),
      sshdLine(connects(later), { pid: 11 }),
    ],
    undefined,
  ],
  [
    'a connection of more than five minutes ago',
    [sshdLine(connects(first), { pid: 12 }), sshdLine(gaveUp, { pid: 12, second: 301 })],
    undefined,
  ],
  [
    'a connection that began when another one had ended',
    [sshdLine(gaveUp, { pid: 13 }), sshdLine(connects(first), { pid: 13 })],
    undefined,
  ],
];

/**
 * What an attacker at 192.0.2.66 may write as user name, to get 198.51.100.9 banned or to hide
 * himself.
 */
const victim = '198.51.100.9';
const names = [
  victim,
  ` from ${victim}`,
  `x from ${victim} port 22`,
  `x from ${victim} port 22 ssh2`,
  `root from ${victim} port 22 ssh2: RSA SHA256:abc`,
  `x rhost=${victim}`,
  `invalid user y from ${victim} port 22 ssh2`,
  `x\tfrom ${victim}\u0000`,
  `[${victim}]:22`,
  `::ffff:${victim}`,
  `"${victim}"`,
  `x from ${victim} port 22 ssh2`.repeat(20),
];
const attacker = '192.0.2.66';
const messages: ((name: string) => string)[] = [
  (name) => `Failed password for ${name} from ${attacker} port 40022 ssh2`,
  (name) => `Failed password for invalid user ${name} from ${attacker} port 40022 ssh2`,
  (name) => `Invalid user ${name} from ${attacker} port 40022`,
  (name) => `maximum authentication attempts exceeded for ${name} from ${attacker} port 40022 ssh2 [preauth]`,
  (name) => `User ${name} from ${attacker} not allowed because not listed in AllowUsers`,
];

claim(
  'S-02',
  engineCharges(),
  (chargedTo) => {
    let lines = 0;
    for (const [form, message] of messages.entries()) {
      for (const [index, name] of names.entries()) {
        const line = `2025-11-21T03:15:28+00:00 host sshd[${5_000 + lines}]: ${message(name)}`;
        const found = chargedTo(line);
        assert.ok(found === undefined || found === attacker, `form ${form}, name ${index}: ${found} is charged`);
        lines++;
      }
      assert.equal(chargedTo(`2025-11-21T03:15:28+00:00 host sshd[${9_000 + form}]: ${message('root')}`), attacker);
    }
    const innocent = [
      `2025-11-21T03:15:28+00:00 host sshd[9901]: Accepted password for root from ${victim} port 22 ssh2`,
      `2025-11-21T03:15:28+00:00 host sshd[9902]: Server listening on ${victim} port 22.`,
      `2025-11-21T03:15:28+00:00 host other[9903]: Failed password for root from ${victim} port 22 ssh2`,
    ];
    for (const line of innocent) assert.equal(chargedTo(line), undefined, `charged: ${line}`);
    for (const [what, told, charged] of connections) assert.equal(chargedTo(...told), charged, what);
    // The cut part may have named the sender, so the forged end does not count.
    const head = sshdLine('Failed password for invalid user ', { pid: 14 });
    const forged = ` from ${victim} port 22 ssh2`;
    const long = head + 'x'.repeat(lineBytesMax - head.length - forged.length) + forged;
    assert.equal(chargedTo(`${long} from ${attacker} port 40022 ssh2`), undefined, 'a line that was cut');
    return `sshd: ${lines} lines with ${names.length} forged names, never another address; ${innocent.length} innocent lines charge nobody; ${connections.length} connections told apart`;
  },
  [
    twin(
      'an address taken where the first one occurs',
      given<ChargedTo>((...lines) => firstAddress(lines.at(-1)!)),
      /198\.51\.100\.9 is charged/,
    ),
    twin(
      'an address taken after the last " from "',
      given<ChargedTo>((...lines) => lastFrom(lines.at(-1)!)),
      /^charged: .*Accepted password/,
    ),
    sabotaged('processes of two hosts are one connection', /the same process number on another host/),
    sabotaged('a pattern that needs the end of the line also takes a line that was cut', /a line that was cut/),
  ],
);
