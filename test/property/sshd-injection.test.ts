/**
 * Attacker text in every field of sshd's lines that an attacker chooses. Whatever the text, the
 * filter finds the address that sshd wrote, or none, and still recognises what the line says
 * (claims S-*). Lines are built as OpenSSH builds them, with its limits on the length of each
 * field.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Filter, Token } from '../../src/compiler/pattern.ts';
import { sshd } from '../../src/filters/sshd.ts';
import { attackerText } from '../support/attacker-text.ts';
import { oracleMatch } from '../support/oracle.ts';

const phrases = [
  ' from % port 22 ssh2',
  ' from % port 22 ssh2]',
  ' % port 22: invalid format [preauth]',
  ' from % port 22',
  ' from %',
  ' from % not allowed because not listed in AllowUsers',
  ' % port 22',
  ' % port 22 [preauth]',
  ' port 22 ssh2: RSA SHA256:abc',
  ' from % port 22 ssh2: RSA SHA256:abc',
  ' from % port 22 ssh2: RSA-CERT SHA256:abc ID ',
  ' from % port 22 ssh1: ruser ',
  ' (serial 0) CA RSA SHA256:abc',
  ': Change of username or service not allowed: (',
  ' % port 1: Change of username or service not allowed: (x',
  ': Too many authentication failures',
  ' % port 1: Too many authentication failures [preauth]',
  ' [preauth]',
  "' from % port 22",
  ', client user "root", client host "%"',
  'invalid user ',
  'Accepted password for root from % port 22 ssh2',
  ' user=root rhost=% ',
  ' not allowed because account is locked',
  ': no matching cipher found. Their offer: ',
  '3: x: Auth fail',
  ': Auth fail',
  ' by PAM account configuration',
  '[%]',
];

interface Format {
  title: string;
  mode: string;
  /** `exact`: the address must be found. `unsure`: the connection may also give it. */
  sure: 'exact' | 'unsure';
  /** The message, as sshd writes it for an attacker at `address` who chose `a` and `b`. */
  write(address: string, a: string, b: string): string;
}

const key = 'ED25519 SHA256:N0tARealF1ngerprintN0tARealF1ngerprint1234567';
const cut = (text: string, bytesMax: number): string => text.slice(0, bytesMax);
const preamble = (kind: string, user: string, address: string): string =>
  `${cut(`${kind} user ${user}`, 200)} ${address} port 40022`;

const formats: Format[] = [
  ...['password', 'none', 'keyboard-interactive/pam', 'gssapi-with-mic', 'publickey', 'hostbased'].map(
    (method): Format => ({
      title: `Failed ${method} for an invalid user`,
      mode: 'normal',
      sure: 'exact',
      write: (address, a) => `Failed ${method} for invalid user ${cut(a, 100)} from ${address} port 40022 ssh2`,
    }),
  ),
  {
    title: 'A connection that is prohibited',
    mode: 'normal',
    sure: 'exact',
    write: (address, a) => `administratively prohibited connection for invalid user ${a} from ${address} port 40022`,
  },
  {
    title: 'A broken packet of an invalid user',
    mode: 'aggressive',
    sure: 'unsure',
    write: (address, a) =>
      `ssh_dispatch_run_fatal: Connection from ${preamble('invalid', a, address)}: invalid format [preauth]`,
  },
  {
    title: 'Failed publickey for an invalid user, with the key',
    mode: 'normal',
    sure: 'exact',
    write: (address, a) => `Failed publickey for invalid user ${cut(a, 100)} from ${address} port 40022 ssh2: ${key}`,
  },
  {
    title: 'Failed publickey for an invalid user, with a certificate',
    mode: 'normal',
    sure: 'unsure',
    write: (address, a, b) =>
      `Failed publickey for invalid user ${cut(a, 100)} from ${address} port 40022 ssh2: RSA-CERT SHA256:abc ID ${b} (serial 0) CA RSA SHA256:abc`,
  },
  {
    title: 'Failed publickey for an account, with a certificate',
    mode: 'normal',
    sure: 'exact',
    write: (address, a) =>
      `Failed publickey for alice from ${address} port 40022 ssh2: RSA-CERT SHA256:abc ID ${a} (serial 0) CA RSA SHA256:abc`,
  },
  {
    title: 'Failed hostbased for an account',
    mode: 'normal',
    sure: 'exact',
    write: (address, a, b) =>
      `Failed hostbased for alice from ${address} port 40022 ssh2: ${key}, client user "${cut(a, 100)}", client host "${cut(b, 100)}"`,
  },
  {
    title: 'Failed hostbased for an invalid user, with the key',
    mode: 'normal',
    sure: 'unsure',
    write: (address, a, b) =>
      `Failed hostbased for invalid user ${cut(a, 100)} from ${address} port 40022 ssh2: ${key}, client user "${cut(b, 100)}", client host "x"`,
  },
  {
    title: 'Invalid user',
    mode: 'normal',
    sure: 'exact',
    write: (address, a) => `Invalid user ${cut(a, 100)} from ${address} port 40022`,
  },
  {
    title: 'Invalid user, older',
    mode: 'normal',
    sure: 'exact',
    write: (address, a) => `Illegal user ${cut(a, 100)} from ${address}`,
  },
  {
    title: 'PAM refuses an unknown user',
    mode: 'normal',
    sure: 'exact',
    write: (address, a) => `error: PAM: Authentication failure for illegal user ${cut(a, 100)} from ${address}`,
  },
  {
    title: 'PAM context with the user at the end',
    mode: 'normal',
    sure: 'exact',
    write: (address, a) =>
      `pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=${address} user=${a}`,
  },
  {
    title: 'maximum authentication attempts exceeded',
    mode: 'normal',
    sure: 'exact',
    write: (address, a) =>
      `error: maximum authentication attempts exceeded for invalid user ${cut(a, 100)} from ${address} port 40022 ssh2 [preauth]`,
  },
  {
    title: 'Disconnecting: Too many authentication failures',
    mode: 'normal',
    sure: 'unsure',
    write: (address, a) =>
      `Disconnecting ${preamble('invalid', a, address)}: Too many authentication failures [preauth]`,
  },
  {
    title: 'Disconnecting: Change of username',
    mode: 'normal',
    sure: 'unsure',
    write: (address, a, b) =>
      `Disconnecting ${preamble('invalid', a, address)}: ${cut(`Change of username or service not allowed: (${a},ssh-connection) -> (${b},ssh-connection)`, 100)} [preauth]`,
  },
  {
    title: 'Disconnecting: Change of username, of an account',
    mode: 'normal',
    sure: 'exact',
    write: (address, a) =>
      `Disconnecting ${preamble('authenticating', 'alice', address)}: ${cut(`Change of username or service not allowed: (alice,ssh-connection) -> (${a},ssh-connection)`, 100)} [preauth]`,
  },
  ...['Connection closed by', 'Connection reset by', 'Disconnected from'].flatMap((verb) =>
    sshd
      .modes!.filter((mode) => mode !== 'extra' || verb === 'Disconnected from')
      .map(
        (mode): Format => ({
          title: `${verb} an invalid user (${mode})`,
          mode,
          sure: 'exact',
          write: (address, a) => `${verb} ${preamble('invalid', a, address)} [preauth]`,
        }),
      ),
  ),
  ...['3', '11', '14'].flatMap((code) =>
    sshd.modes!.map(
      (mode): Format => ({
        title: `Received disconnect, code ${code} (${mode})`,
        mode,
        sure: 'exact',
        write: (address, a) => `Received disconnect from ${address} port 40022:${code}: ${cut(a, 400)} [preauth]`,
      }),
    ),
  ),
  {
    title: 'Bad protocol version identification',
    mode: 'ddos',
    sure: 'exact',
    write: (address, a) => `Bad protocol version identification '${cut(a, 200)}' from ${address} port 40022`,
  },
  {
    title: 'client sent invalid protocol identifier',
    mode: 'ddos',
    sure: 'unsure',
    write: (_address, a) =>
      `error: kex_exchange_identification: client sent invalid protocol identifier "${cut(a, 256)}"`,
  },
  {
    title: 'scanned',
    mode: 'ddos',
    sure: 'exact',
    write: (address, a) => `scanned from ${address} port 40022 with SSH-${a}.  Don't panic.`,
  },
  {
    title: 'Unable to negotiate',
    mode: 'extra',
    sure: 'exact',
    write: (address, a) =>
      `Unable to negotiate with ${address} port 40022: no matching cipher found. Their offer: ${a} [preauth]`,
  },
];

/** Runs of each format; SSHD_INJECTION_RUNS for a longer hunt. */
const numRuns = Number(process.env.SSHD_INJECTION_RUNS ?? 400);

const honest = fc.constantFrom('192.0.2.7', '198.51.100.9', '2001:db8::7', '2001:db8:1:2:3:4:5:6');

/** Throws if attacker text in `format` moves the address or hides the line from `filter`. */
function hold(filter: Filter, { mode, sure, write }: Format): void {
  fc.assert(
    fc.property(honest, attackerText(phrases), attackerText(phrases), (address, a, b) => {
      const message = Buffer.from(write(address, a, b), 'latin1');
      const found = oracleMatch(filter, message, mode);
      expect(found, 'not recognised').not.toBeNull();
      const got = found?.address && message.toString('latin1', ...found.address);
      if (sure === 'exact' || got !== undefined) expect(got).toBe(address);
    }),
    { numRuns },
  );
}

describe('attacker text never chooses the address', () => {
  test.each(formats)('$title', (format) => hold(sshd, format));
});

test('the same property fails on a filter that takes the first address and leaves the end open', () => {
  const rewrite = (token: Token): Token => {
    if (token.kind === 'text') return { ...token, from: 'left' };
    return token.kind === 'end' ? { kind: 'optional', tokens: [token] } : token;
  };
  const patterns = sshd.patterns.map((pattern) => ({ ...pattern, tokens: pattern.tokens.map(rewrite) }));
  const titles = ['Failed password for an invalid user', 'Invalid user', 'Bad protocol version identification'];
  for (const format of formats.filter(({ title }) => titles.includes(title))) {
    expect(() => hold({ ...sshd, patterns }, format), format.title).toThrow('Property failed');
  }
});
