/**
 * A host's facts as a fail2zig.toml. Packages take theirs from here too (`packaged`, `imaged`).
 * Every value that is written is our own but the ports of sshd, which are numbers, and the
 * operator's address, which was parsed.
 */
import { formatDuration } from '../config/duration.ts';
import { portRangesMax } from '../config/limits.ts';
import { defaultSettings } from '../config/schema.ts';
import { filterNames } from '../engine/generated/names.ts';
import type { Facts, Found } from './host.ts';
import { services, sharedLogs } from './services.ts';

/** A host of which nothing is known but that systemd runs it. */
export const packaged: Facts = factsWith({ logs: [], journal: true });
/** A container that the logs of its host are mounted into. */
export const imaged: Facts = factsWith({ logs: sharedLogs.auth.slice(0, 1), journal: false });

function factsWith(where: Omit<Found, 'service'>): Facts {
  const service = services.find(({ name }) => name === 'sshd')!;
  return { found: [{ service, ...where }], sshdPorts: [], metricsPort: defaultSettings.metricsPort };
}

const quoted = (texts: readonly string[]): string => {
  const values = texts.map((text) => JSON.stringify(text)).join(', ');
  return texts.length === 1 ? values : `[${values}]`;
};

export function writeSuggestion({ found, sshdPorts, metricsPort, session }: Facts): string {
  const { maxretry, findtime, bantime } = defaultSettings;
  const parts = [
    [
      '# The configuration of fail2zig. `fail2zig check` says whether it can be used and what it means,',
      '# and with --suggest prints one for what this host runs; `fail2zig filters` lists the filters. A line',
      '# behind a "#" shows what may be set.',
    ],
    [
      '[defaults]',
      `maxretry = ${maxretry}`,
      `findtime = "${formatDuration(findtime)}"`,
      `bantime = "${formatDuration(bantime)}"`,
      ...ignoreLines(session),
    ],
    ...(metricsPort === defaultSettings.metricsPort ? [] : [metricsLines(metricsPort)]),
    ...found.flatMap((each) => jailsOf(each, sshdPorts)),
    ...(found.length === 0
      ? [['# No service that a filter knows was found: name a log, as in', ...asComment(example)]]
      : []),
  ];
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

const example = ['[jails.sshd]', `logpath = "${sharedLogs.auth[0]}"`];

const asComment = (lines: readonly string[]): string[] => lines.map((line) => `# ${line}`);

function ignoreLines(session: string | undefined): string[] {
  if (session === undefined) {
    return [
      '# Never banned, beside the addresses of this host. Put your own address here.',
      '# ignoreip = ["203.0.113.7", "2001:db8:17::/48"]',
    ];
  }
  return [
    '# Never banned, beside the addresses of this host. You are logged in over SSH from this one:',
    `# ignoreip = [${JSON.stringify(session)}]`,
  ];
}

function metricsLines(port: number): string[] {
  return [`# Another program listens on ${defaultSettings.metricsPort}.`, '[metrics]', `port = ${port}`];
}

/** A table for each filter of the service, those beyond failed logins as comments. */
function jailsOf({ service, logs, journal }: Found, sshdPorts: readonly number[]): string[][] {
  const { filters, more, port: usual, udp, name } = service;
  // With more than a jail may name, it guards every port.
  const own = sshdPorts.length > portRangesMax ? '' : sshdPorts.join(',');
  const port = usual === '' ? own : usual;
  const isKept = logs.length > 0 || journal;
  const where = logs.length > 0 ? `logpath = ${quoted(logs)}` : 'source = "journal"';
  return [...filters, ...more].map((filter) => {
    const table = [
      `[jails.${filter}]`,
      where,
      ...(port === '' ? [] : [`port = ${JSON.stringify(port)}`]),
      ...(udp ? ['protocol = ["tcp", "udp"]'] : []),
    ];
    const about = filterNames.find((known) => known.name === filter)!.about;
    if (!isKept)
      return [`# ${about}.`, `# ${name} is there, and neither its log nor the journal.`, ...asComment(table)];
    return [`# ${about}.`, ...(filters.includes(filter) ? table : asComment(table))];
  });
}
