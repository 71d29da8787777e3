/**
 * ignoreip: networks that never count, in CIDR form on the mapped (IPv6) scale. The operator fills
 * it; only failing lines look at it. Each jail has one contiguous run of networks. ignoreip always
 * wins (claims E-*, S-*).
 *
 * One more run, after those of the jails, holds the shared networks: each of their addresses is a
 * host of its own (one of our links, NAT64), so a ban of a prefix would hit other hosts.
 */
import { byte, copyBytes, int, setInt } from '#linear';
import * as layout from './layout.ts';
import { smaller } from './scan.ts';

let used: i32 = 0;

/** Empties every list. */
export function resetIgnores(): void {
  used = 0;
  for (let jail = 0; jail <= layout.jailCount; jail++) {
    setInt(layout.jailsAt + jail * layout.JAIL_BYTES + layout.JAIL_IGNORE_COUNT, 0);
  }
}

/**
 * Appends the network ADDRESS/`prefix` (0–128, mapped scale) to `jail`'s run; the run after the
 * last jail holds the shared networks. Jails must be filled in order.
 */
export function addIgnore(jail: i32, prefix: i32): void {
  const p = layout.ignoresAt + used * layout.IGNORE_BYTES;
  copyBytes(p, layout.ADDRESS, 16);
  setInt(p + 16, prefix);
  const settings = layout.jailsAt + jail * layout.JAIL_BYTES;
  if (int(settings + layout.JAIL_IGNORE_COUNT) === 0) setInt(settings + layout.JAIL_IGNORE_FIRST, used);
  setInt(settings + layout.JAIL_IGNORE_COUNT, int(settings + layout.JAIL_IGNORE_COUNT) + 1);
  used++;
}

/** Whether the current address and a network have the same first `prefix` bits. */
function agrees(network: i32, prefix: i32): bool {
  const words = prefix >> 5;
  for (let i = 0; i < words; i++) if (int(network + i * 4) !== int(layout.ADDRESS + i * 4)) return false;
  const whole = prefix >> 3;
  for (let i = words * 4; i < whole; i++) if (byte(network + i) !== byte(layout.ADDRESS + i)) return false;
  const rest = prefix & 7;
  return rest === 0 || ((byte(network + whole) ^ byte(layout.ADDRESS + whole)) & (0xff00 >> rest) & 255) === 0;
}

/**
 * Whether the first `bits` bits (mapped scale) of the current address lie in one of the jail's
 * ignored networks, so that a ban of that prefix would ban nobody else.
 */
// @inline
export function isIgnored(jail: i32, bits: i32): bool {
  const settings = layout.jailsAt + jail * layout.JAIL_BYTES;
  let network = layout.ignoresAt + int(settings + layout.JAIL_IGNORE_FIRST) * layout.IGNORE_BYTES;
  for (let i = int(settings + layout.JAIL_IGNORE_COUNT); i > 0; i--) {
    const prefix = int(network + 16);
    if (prefix <= bits && agrees(network, prefix)) return true;
    network += layout.IGNORE_BYTES;
  }
  return false;
}

/** Whether the first `bits` bits of the current address lie in a shared network, or contain one. */
// @inline
export function isShared(bits: i32): bool {
  const settings = layout.jailsAt + layout.jailCount * layout.JAIL_BYTES;
  let network = layout.ignoresAt + int(settings + layout.JAIL_IGNORE_FIRST) * layout.IGNORE_BYTES;
  for (let i = int(settings + layout.JAIL_IGNORE_COUNT); i > 0; i--) {
    if (agrees(network, smaller(int(network + 16), bits))) return true;
    network += layout.IGNORE_BYTES;
  }
  return false;
}
