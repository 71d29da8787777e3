/**
 * Logs as sshd writes them: connections of several kinds, interleaved in time, from our own reading
 * of OpenSSH's sources. The seed decides everything. All names are honest;
 * test/property/sshd-injection.test.ts has hostile ones.
 */

export interface SessionLog {
  /**
   * With ISO 8601 times in UTC, in order. Two successive lines of one connection are at most one
   * second apart.
   */
  lines: string[];
}

export interface SessionOptions {
  seed: number;
  connections: number;
  /** The kinds of connections to choose from; absent: all. */
  kinds?: SessionKind[];
  addresses: readonly string[];
  /**
   * How many process numbers there are, so that they come again; absent: each connection has its
   * own.
   */
  pids?: number;
  /** Start, epoch seconds, and the connections' spread over time. */
  start: number;
  spreadSeconds: number;
}

/** Numbers in [0, 1) from a seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

interface Draw {
  number(below: number): number;
  of<T>(list: readonly T[]): T;
  chance(probability: number): boolean;
}

/** What one connection knows about itself while it writes. */
interface Peer extends Draw {
  address: string;
  port: number;
  /** Writes a line of this connection, at most one second after the line before. */
  say(message: string): void;
}

const accounts = ['root', 'alice', 'www-data'];
const strangers = ['oracle', 'admin', 'test user', 'pi'];
const key = 'ED25519 SHA256:N0tARealF1ngerprintN0tARealF1ngerprint1234567';

const pamFailure = (address: string, user?: string): string =>
  `pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=${address} ${user === undefined ? '' : ` user=${user}`}`;

const failed = (peer: Peer, method: string, user: string, valid: boolean): string =>
  `Failed ${method} for ${valid ? '' : 'invalid user '}${user} from ${peer.address} port ${peer.port} ssh2`;

const leave = (peer: Peer, user: string, valid: boolean): void => {
  const named = `${valid ? 'authenticating' : 'invalid'} user ${user} ${peer.address} port ${peer.port}`;
  const ending = peer.number(4);
  if (ending === 0) peer.say(`Connection closed by ${named} [preauth]`);
  if (ending === 1) peer.say(`Connection reset by ${named} [preauth]`);
  if (ending === 2) {
    peer.say(`Received disconnect from ${peer.address} port ${peer.port}:11: Bye Bye [preauth]`);
    peer.say(`Disconnected from ${named} [preauth]`);
  }
};

/** Each kind of connection, and what it writes. */
const kinds = {
  /**
   * Passwords for an account, with PAM or without. Then the client leaves, logs in, or is
   * disconnected.
   */
  'account-password'(peer) {
    const user = peer.of(accounts);
    const attempts = 1 + peer.number(3);
    const pam = peer.chance(0.5);
    if (peer.chance(0.3)) peer.say(`Failed publickey for ${user} from ${peer.address} port ${peer.port} ssh2: ${key}`);
    if (pam) peer.say(pamFailure(peer.address, user));
    for (let attempt = 0; attempt < attempts; attempt++) peer.say(failed(peer, 'password', user, true));
    const ending = peer.number(3);
    if (ending === 0) {
      peer.say(`Accepted password for ${user} from ${peer.address} port ${peer.port} ssh2`);
      peer.say(`pam_unix(sshd:session): session opened for user ${user}(uid=0) by (uid=0)`);
    } else if (ending === 1) {
      leave(peer, user, true);
    } else {
      peer.say(
        `error: maximum authentication attempts exceeded for ${user} from ${peer.address} port ${peer.port} ssh2 [preauth]`,
      );
      peer.say(
        `Disconnecting authenticating user ${user} ${peer.address} port ${peer.port}: Too many authentication failures [preauth]`,
      );
    }
    if (pam && attempts > 1) {
      peer.say(
        `PAM ${attempts - 1} more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=${peer.address}  user=${user}`,
      );
    }
  },
  /** One wrong password, one line. */
  'single-password'(peer) {
    peer.say(failed(peer, 'password', peer.of(accounts), true));
  },
  /** A name that does not exist. */
  'invalid-password'(peer) {
    const user = peer.of(strangers);
    peer.say(`Invalid user ${user} from ${peer.address} port ${peer.port}`);
    if (peer.chance(0.5)) {
      peer.say('pam_unix(sshd:auth): check pass; user unknown');
      peer.say(pamFailure(peer.address));
    }
    const attempts = peer.number(4);
    for (let attempt = 0; attempt < attempts; attempt++) peer.say(failed(peer, 'password', user, false));
    leave(peer, user, false);
  },
  /** A name that exists and is not allowed. */
  'not-allowed'(peer) {
    const user = peer.of(accounts);
    const reason = peer.of(['not listed in AllowUsers', 'listed in DenyUsers', 'a group is listed in DenyGroups']);
    peer.say(`User ${user} from ${peer.address} not allowed because ${reason}`);
    peer.say(failed(peer, 'password', user, false));
    leave(peer, user, false);
  },
  /** A locked account: the line has no address. */
  locked(peer) {
    const user = peer.of(accounts);
    peer.say(`User ${user} not allowed because account is locked`);
    if (peer.chance(0.5)) peer.say(failed(peer, 'password', user, false));
    leave(peer, user, false);
  },
  /** Keyboard-interactive through PAM. */
  interactive(peer) {
    const user = peer.of(accounts);
    for (let attempt = 1 + peer.number(3); attempt > 0; attempt--) {
      peer.say(`error: PAM: Authentication failure for ${user} from ${peer.address}`);
      if (peer.chance(0.7)) peer.say(failed(peer, 'keyboard-interactive/pam', user, true));
    }
    leave(peer, user, true);
  },
  /** Keys only. */
  keys(peer) {
    const user = peer.of(accounts);
    const attempts = 1 + peer.number(6);
    for (let attempt = 0; attempt < attempts; attempt++) {
      peer.say(`Failed publickey for ${user} from ${peer.address} port ${peer.port} ssh2: ${key}`);
    }
    if (attempts === 6) {
      peer.say(
        `error: maximum authentication attempts exceeded for ${user} from ${peer.address} port ${peer.port} ssh2 [preauth]`,
      );
    } else if (peer.chance(0.5)) {
      peer.say(`Accepted publickey for ${user} from ${peer.address} port ${peer.port} ssh2: ${key}`);
    } else {
      leave(peer, user, true);
    }
  },
  /** An honest session. */
  session(peer) {
    const user = peer.of(accounts);
    peer.say(`Accepted publickey for ${user} from ${peer.address} port ${peer.port} ssh2: ${key}`);
    peer.say(`pam_unix(sshd:session): session opened for user ${user}(uid=1000) by (uid=0)`);
    peer.say(`Received disconnect from ${peer.address} port ${peer.port}:11: disconnected by user`);
    peer.say(`Disconnected from user ${user} ${peer.address} port ${peer.port}`);
    peer.say(`pam_unix(sshd:session): session closed for user ${user}`);
  },
  /** PAM alone, then a success or nothing. */
  'pam-only'(peer) {
    const user = peer.of(accounts);
    peer.say(pamFailure(peer.address, user));
    if (peer.chance(0.5)) peer.say(`Accepted password for ${user} from ${peer.address} port ${peer.port} ssh2`);
  },
  /** Several names in one connection. */
  'many-names'(peer) {
    peer.say(pamFailure(peer.address, 'root'));
    peer.say(pamFailure(peer.address, 'alice'));
    if (peer.chance(0.5)) peer.say(`Accepted password for www-data from ${peer.address} port ${peer.port} ssh2`);
    peer.say(`Connection closed by ${peer.address} port ${peer.port}`);
  },
  /** No SSH at all. */
  noise(peer) {
    const place = `${peer.address} port ${peer.port}`;
    if (peer.chance(0.3)) peer.say(`Connection from ${place} on 198.51.100.1 port 22`);
    const sort = peer.number(8);
    if (sort === 0) peer.say(`Did not receive identification string from ${place}`);
    if (sort === 1) peer.say(`Bad protocol version identification 'GET / HTTP/1.1' from ${place}`);
    if (sort === 2) {
      peer.say('error: kex_exchange_identification: client sent invalid protocol identifier "GET / HTTP/1.1"');
      peer.say(`banner exchange: Connection from ${place}: invalid format`);
    }
    if (sort === 3) {
      peer.say('error: kex_exchange_identification: Connection closed by remote host');
      peer.say(`Connection closed by ${place}`);
    }
    if (sort === 4) {
      peer.say('error: kex_exchange_identification: read: Connection reset by peer');
      peer.say(`Connection reset by ${place}`);
    }
    if (sort === 5) peer.say(`Connection closed by ${place} [preauth]`);
    if (sort === 6) {
      peer.say(`Unable to negotiate with ${place}: no matching key exchange method found. Their offer: x [preauth]`);
    }
    if (sort === 7) peer.say('fatal: Read from socket failed: Connection reset by peer [preauth]');
  },
  /** A second name in one connection, which sshd refuses. */
  'name-change'(peer) {
    const user = peer.of(accounts);
    const named = `authenticating user ${user} ${peer.address} port ${peer.port}`;
    peer.say(
      `Disconnecting ${named}: Change of username or service not allowed: (${user},ssh-connection) -> (admin,ssh-connection) [preauth]`,
    );
  },
  /** The client gives up. */
  'client-gives-up'(peer) {
    const place = `${peer.address} port ${peer.port}`;
    if (peer.chance(0.5)) {
      peer.say(`error: Received disconnect from ${place}:3: com.example.Client: Auth fail [preauth]`);
    } else {
      peer.say(`error: Received disconnect from ${place}:14: No supported authentication methods available [preauth]`);
    }
  },
} satisfies Record<string, (peer: Peer) => void>;

export type SessionKind = keyof typeof kinds;
export const sessionKinds = Object.keys(kinds) as SessionKind[];

const stamp = (time: number): string => new Date(time * 1000).toISOString().replace('.000Z', '+00:00');

export function sessions(options: SessionOptions): SessionLog {
  const random = randomFrom(options.seed);
  const draw: Draw = {
    number: (below) => Math.floor(random() * below),
    of: (list) => list[Math.floor(random() * list.length)]!,
    chance: (probability) => random() < probability,
  };
  const said: { time: number; order: number; text: string }[] = [];
  for (let connection = 0; connection < options.connections; connection++) {
    let time = options.start + draw.number(options.spreadSeconds);
    const pid = 1000 + (options.pids === undefined ? connection : draw.number(options.pids));
    const peer: Peer = {
      ...draw,
      address: draw.of(options.addresses),
      port: 40000 + draw.number(20000),
      say(message) {
        said.push({ time, order: said.length, text: `host sshd[${pid}]: ${message}` });
        time += draw.number(2);
      },
    };
    kinds[draw.of(options.kinds ?? sessionKinds)](peer);
  }
  said.sort((a, b) => a.time - b.time || a.order - b.order);
  return { lines: said.map(({ time, text }) => `${stamp(time)} ${text}`) };
}
