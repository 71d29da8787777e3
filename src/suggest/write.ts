/**
 * Writes the facts about a host as a fail2zig.toml. The configuration in packages comes from here
 * too (`packaged`, `imaged`). All values are our own, except the ports of sshd, which are numbers,
 * and the operator's address, which was parsed.
 */
import { formatDuration } from '../config/duration.ts';
import { portRangesMax } from '../config/limits.ts';
import { defaultSettings } from '../config/schema.ts';
import { filterNames } from '../engine/generated/names.ts';
import type { Facts, Found } from './host.ts';
import { services, sharedLogs } from './services.ts';

/** A host about which we only know that it runs systemd. */
export const packaged: Facts = factsWith({ logs: [], journal: true });
/** A container into which the logs of its host are mounted. */
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
      '# The configuration of fail2zig. `fail2zig check` says whether it is usable and what it means;',
      '# `fail2zig check --suggest` prints one for the services of this host; `fail2zig filters` lists the',
      '# filters. To use a line behind a "#", remove the "#".',
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
      ? [['# No service was found that a filter knows. Name a log, as in', ...asComment(example)]]
      : []),
  ];
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

const example = ['[jails.sshd]', `logpath = "${sharedLogs.auth[0]}"`];

const asComment = (lines: readonly string[]): string[] => lines.map((line) => `# ${line}`);

function ignoreLines(session: string | undefined): string[] {
  if (session === undefined) {
    return [
      '# Addresses that are never banned, in addition to those of this host. Put your own address here.',
      '# ignoreip = ["203.0.113.7", "2001:db8:17::/48"]',
    ];
  }
  return [
    '# Never banned, in addition to the addresses of this host. You are logged in over SSH from this one:',
    `# ignoreip = [${JSON.stringify(session)}]`,
  ];
}

function metricsLines(port: number): string[] {
  return [`# Another program listens on ${defaultSettings.metricsPort}.`, '[metrics]', `port = ${port}`];
}

/** A table for each filter of the service; those beyond failed logins are commented out. */
function jailsOf({ service, logs, journal }: Found, sshdPorts: readonly number[]): string[][] {
  const { filters, more, port: usual, udp, name } = service;
  // If sshd has more ports than a jail may name, the jail guards every port.
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
      return [`# ${about}.`, `# ${name} is installed, but has neither a log nor a journal.`, ...asComment(table)];
    return [`# ${about}.`, ...(filters.includes(filter) ? table : asComment(table))];
  });
}
