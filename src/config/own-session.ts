/**
 * The address from which the operator is logged in over SSH, to avoid a lockout. It comes from
 * SSH_CONNECTION, which sshd(8) sets, or SSH_CLIENT: of this process or, since sudo and su remove
 * them, of its parents, if /proc lets us read them. A hint and no proof: whoever sets the variable
 * decides what it says, but only about himself.
 */
import { readFileSync } from 'node:fs';
import { parseAddress } from '../text/address.ts';
import type { Address } from '../types.ts';

/** Generations that are examined: a shell in a shell in a terminal multiplexer has a dozen. */
const generationsMax = 64;

export function ownSession(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  pid = process.ppid,
  proc = '/proc',
): Address | undefined {
  let found = addressIn(environment);
  for (let at = pid, left = generationsMax; found === undefined && at > 1 && left > 0; left--) {
    found = addressIn(environmentOf(`${proc}/${at}/environ`));
    at = parentOf(`${proc}/${at}/stat`);
  }
  return found;
}

/** `192.0.2.7 50022 198.51.100.1 22`; a link-local address has its interface after a "%". */
function addressIn(environment: Readonly<Record<string, string | undefined>>): Address | undefined {
  for (const name of ['SSH_CONNECTION', 'SSH_CLIENT']) {
    const [address] = (environment[name] ?? '').split(/[ %]/, 1);
    const parsed = parseAddress(address);
    if (parsed !== undefined) return parsed;
  }
  return undefined;
}

function environmentOf(path: string): Record<string, string> {
  const settings = textOf(path).split('\0');
  return Object.fromEntries(settings.map((each) => each.split(/=(.*)/s, 2) as [string, string]));
}

/** The fourth field; the second one, a name in parentheses, may contain anything. 0: unknown. */
function parentOf(path: string): number {
  const text = textOf(path);
  return (
    Number(
      text
        .slice(text.lastIndexOf(')') + 1)
        .trim()
        .split(' ')[1] ?? 0,
    ) || 0
  );
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
