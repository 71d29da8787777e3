/**
 * The ports of this host's /etc/services by name, for a tree that names ports missing from our
 * small table. The import writes numbers, so that the result means the same on every host.
 */
import { isThere, readText } from './tree.ts';

const path = '/etc/services';

export function servicePorts(): Map<string, number> {
  const ports = new Map<string, number>();
  if (!isThere(path)) return ports;
  try {
    for (const line of readText(path).split('\n')) {
      const [name, port, ...aliases] = line.split('#', 1)[0]?.trim().split(/\s+/) ?? [];
      const [, number] = /^(\d{1,5})\/(?:tcp|udp)$/.exec(port ?? '') ?? [];
      if (!name || number === undefined || Number(number) > 65_535) continue;
      for (const each of [name, ...aliases])
        if (!ports.has(each.toLowerCase())) ports.set(each.toLowerCase(), Number(number));
    }
  } catch {
    // Without the file, names that are missing from our own table are reported.
  }
  return ports;
}
