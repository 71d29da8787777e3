/**
 * Spoofing: who is taken for whom. Peers of the control socket are real processes of other users.
 */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { claim, given, type Supply, twin } from './claim.ts';
import { controlGroup, controlSocket, modeAndOwner, requestAs, stranger } from './support/control-socket.ts';
import { addressText, engineOf, epoch } from './support/tracker.ts';
import { firstAddress, lastFrom } from './twins/first-address.ts';

const everybodyIsRoot = () => ({ pid: 1, uid: 0, gid: 0, groups: [] });
const nobodyIsKnown = () => -1;

claim(
  ['S-01', 'I-02'],
  controlSocket(),
  async ({ path, reached }) => {
    assert.equal(modeAndOwner(path), `0660 0:${controlGroup}`, 'mode and owner of the socket');
    assert.equal((await requestAs(path, 0, 0, 'list', {})).ok, true, 'root is not admitted');
    assert.equal((await requestAs(path, stranger, controlGroup, 'list', {})).ok, true, 'the group is not admitted');
    assert.ok((await requestAs(path, stranger, stranger, 'list', {})).unreachable, 'the mode lets a stranger in');
    // Even where somebody opened the file, the kernel's record of the peer decides.
    chmodSync(path, 0o666);
    const reply = await requestAs(path, stranger, stranger, 'list', {});
    assert.equal(reply.error?.code, 'forbidden', 'a stranger got an answer');
    assert.deepEqual(reached(), ['list', 'list']);
    return `socket 0660 root:group; root and group admitted, a stranger refused by mode and by credentials`;
  },
  [
    twin('a server that takes everybody for root', controlSocket({ askPeer: everybodyIsRoot })),
    twin('a server that cannot tell who its peer is', controlSocket({ askPeer: nobodyIsKnown })),
    twin('a socket that everybody may open', controlSocket({ mode: 0o666 })),
  ],
  { needs: ['root'] },
);

/** The address a line is charged to; undefined where it is charged to nobody. */
type ChargedTo = (line: string) => string | undefined;

const engineCharges: Supply<ChargedTo> = {
  async make() {
    const engine = await engineOf({ maxretry: [1] });
    return (line) => {
      const { outcome, address } = engine.examine(Buffer.from(line), 'sshd', '', epoch, false);
      return outcome === 'failure' && address !== undefined ? addressText(address) : undefined;
    };
  },
};

/**
 * What an attacker at 192.0.2.66 may put where a user name stands, to have 198.51.100.9 banned or
 * itself overlooked.
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
  engineCharges,
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
    return `sshd: ${lines} lines with ${names.length} forged names, never another address; ${innocent.length} innocent lines charge nobody`;
  },
  [
    twin('an address taken where the first one occurs', given<ChargedTo>(firstAddress)),
    twin('an address taken after the last " from "', given<ChargedTo>(lastFrom)),
  ],
);
