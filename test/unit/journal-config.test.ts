/**
 * source = "journal" and journal_match in the configuration, and what each filter reads without
 * journal_match.
 */
import { describe, expect, test } from 'vitest';
import { compileConfig } from '../../src/config/compile.ts';
import { knownFilters } from '../../src/config/known-filters.ts';
import { ConfigError } from '../../src/config/problem.ts';
import { filters } from '../../src/filters/index.ts';
import { journalOrigins } from '../../src/filters/journal.ts';

const compiled = (text: string) => compileConfig(text, 'test.toml', { filters: knownFilters, groupId: () => 0 }).config;
const jail = (text: string) => compiled(`[jails.sshd]\nsource = "journal"\n${text}`).jails[0]!;

function problems(text: string): string[] {
  try {
    compiled(text);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ key, reason }) => `${key}: ${reason}`);
  }
  return [];
}

test('nothing but the source: the filter’s units and identifiers', () => {
  const { journal, logpath } = jail('');
  expect(logpath).toEqual([]);
  expect(journal!.groups).toEqual([
    { terms: [['_SYSTEMD_UNIT', ['ssh.service', 'sshd.service']]] },
    { terms: [['_SYSTEMD_SLICE', ['system-ssh.slice', 'system-sshd.slice']]] },
    { terms: [['SYSLOG_IDENTIFIER', ['sshd', 'ssh', 'sshd-session', 'sshd-auth', 'sshd(pam_unix)']]], system: true },
  ]);
  expect(compiled('[defaults]\nsource = "journal"\nlogpath = "/x"\n[jails.sshd]\n').jails[0]).toMatchObject({
    logpath: [],
    journal: { groups: journal!.groups },
  });
});

test('a template unit with a "-" has the slice that systemd writes', () => {
  const { journal } = compiled('[jails.openvpn]\nsource = "journal"').jails[0]!;
  expect(journal!.groups[1]).toEqual({
    terms: [
      [
        '_SYSTEMD_SLICE',
        ['system-openvpn.slice', 'system-openvpn\\x2dserver.slice', 'system-openvpn\\x2dclient.slice'],
      ],
    ],
  });
});

test('a filter of the operator: its log_tag', () => {
  const own = `[[filter]]\nname = "own"\nlog_tag = ["one", "two*"]\npattern = "from {ip} refused"\n`;
  const { journal } = compiled(`${own}[jails.own]\nsource = "journal"`).jails[0]!;
  expect(journal!.groups).toEqual([{ terms: [['SYSLOG_IDENTIFIER', ['one', 'two*']]], system: true }]);
  const other = `[[filter]]\nname = "other"\nlog_tag = "three"\npattern = "at {ip} refused"\n`;
  expect(compiled(`${own}${other}[jails.other]\nsource = "journal"`).jails[0]!.journal!.groups).toEqual([
    { terms: [['SYSLOG_IDENTIFIER', ['three']]], system: true },
  ]);
});

test.each<[string, unknown]>([
  ['"_SYSTEMD_UNIT=sshd.service + _COMM=sshd"', [[['_SYSTEMD_UNIT', ['sshd.service']]], [['_COMM', ['sshd']]]]],
  [
    '"_COMM=a _COMM=b PRIORITY=3"',
    [
      [
        ['_COMM', ['a', 'b']],
        ['PRIORITY', ['3']],
      ],
    ],
  ],
  ['["_COMM=a", "_COMM=b"]', [[['_COMM', ['a']]], [['_COMM', ['b']]]]],
  [
    `'A="b c" "D=e f"'`,
    [
      [
        ['A', ['b c']],
        ['D', ['e f']],
      ],
    ],
  ],
  ['"_CMDLINE=a=b*"', [[['_CMDLINE', ['a=b*']]]]],
])('journal_match = %s', (text, groups) => {
  expect(jail(`journal_match = ${text}`).journal!.groups.map(({ terms }) => terms)).toEqual(groups);
});

describe('refused', () => {
  test.each<[string, string]>([
    ['journal_match = ""', 'names no field'],
    ['journal_match = "+"', 'has a "+" with nothing beside it'],
    ['journal_match = "_COMM=a +"', 'has a "+" with nothing beside it'],
    ['journal_match = "sshd"', '"sshd" is not FIELD=value'],
    ['journal_match = "comm=a"', '"comm" is not a field of the journal'],
    ['journal_match = "_COMM="', '"_COMM=" has no value'],
    ['journal_match = "MESSAGE=a"', 'MESSAGE is what the filter reads'],
    [`journal_match = "_COMM=${'a'.repeat(256)}"`, 'is longer than 255 bytes'],
    [`journal_match = "${Array.from({ length: 65 }, (_, n) => `_PID=${n}`).join(' ')}"`, 'has 65 values'],
    ['journal_match = 7', 'expected fields of the journal, found the integer 7'],
    ['logpath = "/var/log/auth.log"', 'is for log files, and this jail reads the journal'],
    ['format = "json"', 'is for log files'],
    ['timezone = "UTC"', 'is for log files'],
  ])('%s', (text, reason) => {
    expect(problems(`[jails.sshd]\nsource = "journal"\n${text}`).join()).toContain(reason);
  });

  test('with what to write instead, where it was set', () => {
    const places = (text: string): string[] => {
      try {
        compiled(text);
      } catch (error) {
        return (error as ConfigError).problems.map(
          ({ line, column, key, hint }) => `${line}:${column} ${key} (${hint})`,
        );
      }
      return [];
    };
    expect(places('[jails.sshd]\nsource = "journal"\nlogpath = "/x"\nformat = "json"')).toEqual([
      '3:1 jails.sshd.logpath (two jails can share a filter)',
      '4:1 jails.sshd.format (undefined)',
    ]);
    const match = 'write journal_match = "_SYSTEMD_UNIT=…", or logpath';
    expect(places('[jails.kerio]\nsource = "journal"')).toEqual([`2:1 jails.kerio.source (${match})`]);
    // It has no place of its own in a jail that has it from the defaults.
    expect(places('[defaults]\nsource = "journal"\n[jails.kerio]')).toEqual([`3:8 jails.kerio.source (${match})`]);
    expect(places('[defaults]\nsource = "journal"\n[jails]\nx = {}\nkerio = { maxretry = 3 }')).toContain(
      `5:9 jails.kerio.source (${match})`,
    );
  });

  test('journal_match without the journal, a filter that the journal has nothing of, a relative directory', () => {
    expect(problems('[jails.sshd]\nlogpath = "/x"\njournal_match = "_COMM=a"')).toEqual([
      'jails.sshd.journal_match: is for source = "journal" only',
    ]);
    expect(problems('[jails.kerio]\nsource = "journal"')).toEqual([
      'jails.kerio.source: filter kerio names no unit and no identifier: its service writes to files of its own',
    ]);
    expect(problems('[jails.nowhere]\nsource = "journal"')).toEqual(['jails.nowhere: unknown filter "nowhere"']);
    expect(problems('[journal]\ndirectories = ["var/log"]\n[jails.sshd]\nsource = "journal"')[0]).toMatch(
      /absolute path/,
    );
    expect(problems('[jails.sshd]\nsource = "syslog"')[0]).toMatch(/expected one of "files", "journal"/);
    expect(problems('[jails.sshd]')[0]).toMatch(/logpath: is missing/);
  });
});

describe('the units and identifiers of filters', () => {
  test('every row is of a filter, and names something', () => {
    const names = new Set(filters.map(({ name }) => name));
    for (const [name, { units, identifiers, any }] of journalOrigins) {
      expect(names, name).toContain(name);
      expect(units.length + identifiers.length + (any ? 1 : 0), name).toBeGreaterThan(0);
    }
  });

  test('identifiers are those that the filter reads behind a syslog head', () => {
    const tagged = filters.filter(({ tags = [] }) => tags.length > 0);
    expect(tagged.length).toBeGreaterThan(60);
    for (const { name, tags = [] } of tagged) expect(journalOrigins.get(name)?.identifiers, name).toEqual(tags);
  });
});
