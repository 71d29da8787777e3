/**
 * The section [fleet]: what fail2zig-fleet does, beside the daemon, with a CrowdSec Local API. The
 * daemon itself only has the jail for bans from other hosts. Input: values of the configuration.
 */
import { fleetEntriesDefault, fleetSpoolBytesDefault } from './limits.ts';
import type { Document, FilterTable } from './schema.ts';
import { isLoopback } from './values.ts';

/** [fleet], every setting resolved. */
export interface FleetConfig {
  /** Of the server, without a slash at the end. */
  url: string;
  /** The name by which the server knows this host; absent = nothing is sent. */
  machine?: string;
  /** Absent = the certificate is used instead. */
  passwordFile?: string;
  /** Whether the server's decisions are applied; without a key the certificate is used. */
  receives: boolean;
  apiKeyFile?: string;
  /** PEM files; `ca` absent = the system's authorities. */
  ca?: string;
  certificate?: string;
  key?: string;
  /** Seconds between two requests. */
  intervalSeconds: number;
  jail: string;
  /** Bans of that jail. */
  entriesMax: number;
  /** Where spool and position are kept. */
  directory: string;
  spoolBytes: number;
  /** Port of the page of figures, on loopback. */
  metricsPort: number;
}

type FleetTable = NonNullable<Document['fleet']>;
type Complain = (kind: 'missing' | 'value', key: string, reason: string, hint?: string) => void;

export const fleetDefaults = {
  intervalSeconds: 10,
  jail: 'fleet',
  directory: '/var/lib/fail2zig-fleet',
  metricsPort: 9101,
} as const;

/** The settings of [fleet]; undefined if it is absent, disabled, or was complained about. */
export function resolveFleet(
  table: FleetTable | undefined,
  warnings: string[],
  complain: Complain,
): FleetConfig | undefined {
  if (table === undefined) return undefined;
  const { url, machine, password_file, api_key_file, ca, certificate, key } = table;
  const before = { count: 0 };
  const wrong: Complain = (...words) => {
    before.count++;
    complain(...words);
  };
  if (url === undefined) wrong('missing', 'url', 'is missing', 'write url = "https://lapi.example.net:8080"');
  const isPlain = url?.startsWith('http:') ?? false;
  for (const [name, value] of Object.entries({ ca, certificate, key })) {
    if (value !== undefined && isPlain) wrong('value', name, 'is for https only: url is http');
  }
  if ((certificate === undefined) !== (key === undefined)) {
    const [there, absent] = key === undefined ? ['certificate', 'key'] : ['key', 'certificate'];
    wrong('missing', absent, `is missing beside ${there}`);
  }
  if (password_file !== undefined && machine === undefined)
    wrong('missing', 'machine', 'is missing beside password_file', 'write the name that the server knows this host by');
  if (machine !== undefined && password_file === undefined && certificate === undefined)
    wrong('missing', 'password_file', 'is missing beside machine', 'name the file, or a client certificate');
  const receives = api_key_file !== undefined || (certificate !== undefined && machine === undefined);
  if (machine === undefined && !receives) {
    const hint = 'set machine and password_file to send bans, api_key_file to receive them';
    wrong('missing', 'api_key_file', 'is missing: nothing is sent and nothing is received', hint);
  }
  if (table.enabled === false || before.count > 0) return undefined;
  if (isPlain && !isLocal(url!)) warnings.push('fleet.url is http: passwords, keys and bans travel in clear text');
  const config: FleetConfig = {
    url: url!.replace(/\/+$/, ''),
    receives,
    ...(machine !== undefined && { machine }),
    ...(password_file !== undefined && { passwordFile: password_file }),
    ...(api_key_file !== undefined && { apiKeyFile: api_key_file }),
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { certificate, key }),
    intervalSeconds: table.interval ?? fleetDefaults.intervalSeconds,
    jail: table.jail ?? fleetDefaults.jail,
    entriesMax: table.entries_max ?? fleetEntriesDefault,
    directory: (table.directory ?? fleetDefaults.directory).replace(/\/+$/, ''),
    spoolBytes: table.spool_size ?? fleetSpoolBytesDefault,
    metricsPort: table.metrics_port ?? fleetDefaults.metricsPort,
  };
  return config;
}

function isLocal(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === 'localhost' || isLoopback(hostname.replace(/^\[|\]$/g, ''));
}

/** A filter that matches nothing: bans of the fleet's jail only come over the control socket. */
const silent = (name: string): FilterTable => ({
  name,
  about: 'matches no log: fail2zig-fleet bans in its jail',
  pattern: 'fail2zig-fleet was told of {ip}{end}',
  sample: ['fail2zig-fleet was told of 192.0.2.1'],
});

/**
 * The document with the jail that receives the fleet's bans. It reads no log; [jails.NAME] may
 * contain its other settings. A jail of that name with a filter or a log stays as it is, and so
 * does one with the name of a built-in filter.
 */
export function withFleetJail(document: Document, builtIn: readonly string[]): Document {
  const { fleet } = document;
  if (fleet === undefined || fleet.enabled === false || (fleet.api_key_file === undefined && !isByCertificate(fleet)))
    return document;
  const name = fleet.jail ?? fleetDefaults.jail;
  const table = document.jails?.[name] ?? {};
  const reads = [table.filter, table.logpath, table.journal_match, table.source].some((value) => value !== undefined);
  if (reads || builtIn.includes(name)) return document;
  const filters = document.filter ?? [];
  return {
    ...document,
    filter: filters.some((filter) => filter.name === name) ? filters : [...filters, silent(name)],
    jails: { ...document.jails, [name]: { ...table, filter: name, logpath: [], source: 'files' } },
  };
}

const isByCertificate = ({ certificate, machine }: FleetTable): boolean =>
  certificate !== undefined && machine === undefined;
