/** Spoofing: who is taken for whom. Peers of the control socket are real processes of other users. */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { claim, twin } from './claim.ts';
import { controlGroup, controlSocket, modeAndOwner, requestAs, stranger } from './support/control-socket.ts';

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
