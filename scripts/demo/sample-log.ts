/**
 * The log of the demonstration, as sshd on a Debian host writes it: who fails, who does not, and
 * whom the daemon has to ban. The lines are our own; every address is one that RFC 5737 and RFC
 * 3849 reserve for documentation.
 */

export interface SampleLine {
  /** sshd's message, after the time. */
  message: string;
  /** The source of this failed attempt: the address or prefix that a ban would cover. */
  failureOf?: string;
}

export interface Sample {
  /** Shown one by one. */
  story: SampleLine[];
  /** Written fast. */
  storm: SampleLine[];
  /** The bans in the kernel afterwards. */
  banned: string[];
  /** Who tries to connect, before and after, and whether he is banned in the end. */
  probes: { from: string; who: string; dropped: boolean }[];
  /** The prefixes of all clients. */
  networks: string[];
}

export const maxretry = 5;

const bruteForce = '203.0.113.7';
const liar = '203.0.113.99';
const victim = '203.0.113.10';
const clumsy = '198.51.100.5';
const customer = '2001:db8:bad:1::/64';
const neighbour = '2001:db8:bad:2::1';

let port = 40_000;
let pid = 4100;

/** A failed password in a connection of its own. */
function failure(address: string, user: string, failureOf = address): SampleLine {
  return { message: `sshd[${++pid}]: Failed password for ${user} from ${address} port ${++port} ssh2`, failureOf };
}

function said(message: string): SampleLine {
  return { message: `sshd[${++pid}]: ${message}` };
}

function story(): SampleLine[] {
  const guesses = ['root', 'admin', 'oracle', 'test', 'ubuntu'];
  const lines: SampleLine[] = [said('Server listening on 0.0.0.0 port 22.')];
  guesses.forEach((user, round) => {
    lines.push(failure(bruteForce, round === 0 ? user : `invalid user ${user}`));
    // One customer, with a new address of his /64 each time.
    lines.push(failure(`2001:db8:bad:1::${round + 1}`, 'root', customer));
    // The user name imitates the end of a line with another address.
    lines.push(failure(liar, `invalid user ${user} from ${victim} port 22 ssh2`));
    if (round < 3) lines.push(failure(clumsy, 'alice'));
    if (round === 3) lines.push(said(`Accepted password for alice from ${clumsy} port ${++port} ssh2`));
    if (round > 1) lines.push(said(`Connection closed by ${victim} port ${++port}`));
  });
  return lines;
}

/** Many sources, whose last attempts come at different moments. */
function storm(sources: string[]): SampleLine[] {
  const lines: SampleLine[] = [];
  for (let turn = 0; turn < sources.length + maxretry - 1; turn++) {
    for (let back = 0; back < maxretry; back++) {
      const source = sources[turn - back];
      if (source === undefined) continue;
      lines.push(failure(source.replace('::/64', `::${back + 1}`), 'root', source));
    }
  }
  return lines;
}

export function sampleLog(stormSources: number): Sample {
  const sources = Array.from({ length: stormSources }, (_, index) =>
    index % 2 === 0 ? `198.51.100.${100 + index / 2}` : `2001:db8:f00:${index.toString(16)}::/64`,
  );
  return {
    story: story(),
    storm: storm(sources),
    banned: [bruteForce, liar, customer, ...sources],
    probes: [
      { from: bruteForce, who: 'guesses passwords', dropped: true },
      { from: liar, who: 'writes another address into the user name', dropped: true },
      { from: '2001:db8:bad:1::beef', who: 'same /64 as the guesser, an address never seen', dropped: true },
      { from: victim, who: 'the address in that user name', dropped: false },
      { from: clumsy, who: 'mistypes three times, then gets in', dropped: false },
      { from: neighbour, who: 'the next /64', dropped: false },
    ],
    networks: ['203.0.113.0/24', '198.51.100.0/24', '2001:db8:bad::/48'],
  };
}
