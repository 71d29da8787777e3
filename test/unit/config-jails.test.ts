/**
 * What a configuration means for its jails: what is inherited, and which problems are of which
 * kind.
 */
import { describe, expect, test } from 'vitest';
import { compileConfig, type Surroundings } from '../../src/config/compile.ts';
import { ConfigError, type Problem } from '../../src/config/problem.ts';
import { jailsMax, listsMax, messageFieldsMax, timezonesMax } from '../../src/limits.ts';

const surroundings: Surroundings = {
  filters: [
    { name: 'sshd', modes: ['normal', 'ddos'] },
    { name: 'nginx-http-auth', modes: [] },
  ],
  groupId: (name) => ({ fail2zig: 990 })[name],
};
const compile = (text: string) => compileConfig(text, 'test.toml', surroundings);
const jailOf = (text: string) => compile(text).config.jails[0]!;

function problemsOf(text: string): Problem[] {
  try {
    compile(text);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}
/** `KIND LINE:COLUMN KEY`, each. */
const found = (text: string): string[] =>
  problemsOf(text).map(({ kind, line, column, key }) => `${kind} ${line}:${column} ${key}`);

const jail = '[jails.sshd]\nlogpath = "/var/log/auth.log"\n';

test.each<[text: string, problem: string]>([
  ['[memory]\nceilling = 1', 'unknown-key 2:1 memory.ceilling'],
  ['[memory]\nceiling = true', 'type 2:11 memory.ceiling'],
  ['[memory]\nceiling = "1KB"', 'value 2:11 memory.ceiling'],
  ['memory = 1', 'type 1:10 memory'],
  ['filter = 1', 'type 1:10 filter'],
  ['[log]\nlevel = "x', 'syntax 2:9 log.level'],
  ['[log]\n[log]', 'duplicate 2:2 log'],
  ['[metrics]\nbind = "0.0.0.0"', 'value 2:8 metrics.bind'],
  ['[jails.sshd]', 'missing 1:8 jails.sshd.logpath'],
  ['[[filter]]\nname = "own"', 'missing 1:3 filter[0].pattern'],
  ['[[filter]]\nname = "sshd"\npattern = "a {ip}"', 'value 2:8 filter[0].name'],
  ['[jails.sshd]\nsource = "journal"\njournal_match = "x"', 'value 3:17 jails.sshd.journal_match'],
  [`firewall.backend = "xdp"\n${jail}`, 'missing 1:20 firewall.interfaces'],
  ['[jails."a b"]\nfilter = "sshd"\nlogpath = "/x"', 'value 1:8 jails."a b"'],
  ['[jails.x]\nlogpath = "/x"', 'value 1:8 jails.x'],
  ['[jails.x]\nfilter = "y"\nlogpath = "/x"', 'value 2:10 jails.x.filter'],
  [`${jail}mode = "extra"`, 'value 3:8 jails.sshd.mode'],
  [`${jail}format = "json"`, 'missing 1:8 jails.sshd.message'],
  [`${jail}message = "msg"`, 'value 3:1 jails.sshd.message'],
  [`${jail}journal_match = "A=1"`, 'value 3:1 jails.sshd.journal_match'],
  ['[jails.sshd]\nsource = "journal"\nlogpath = "/x"', 'value 3:1 jails.sshd.logpath'],
  [`${jail}bantime = 9\nbantime_increment = true\nbantime_maxtime = 8`, 'value 5:19 jails.sshd.bantime_maxtime'],
  [
    `[defaults]\nbantime_increment = true\nbantime_maxtime = 8\n${jail}bantime = 9`,
    'value 3:19 defaults.bantime_maxtime',
  ],
  [`[[list]]\n${jail}`, 'missing 1:3 list[0].file'],
  [`${jail}[[list]]\nfile = "/x"\njail = "ssdh"`, 'value 5:8 list[0].jail'],
  ['[[list]]\nfile = "/x"\njail = "sshd"\n[jails.sshd]\nport = "ssh"', 'missing 4:8 jails.sshd.logpath'],
  [`firewall.backend = "ipset"\n${jail}[[list]]\nfile = "/x"`, 'value 4:3 list[0].use'],
  [
    `firewall = { backend = "xdp", interfaces = ["eth0"] }\n${jail}ipv4_prefix = 24`,
    'value 4:15 jails.sshd.ipv4_prefix',
  ],
  [
    `firewall = { backend = "xdp", interfaces = ["eth0"] }\n[defaults]\nipv4_prefix = 24\n${jail}`,
    'value 3:15 defaults.ipv4_prefix',
  ],
])('%j: %s', (text, problem) => {
  expect(found(text)).toEqual([problem]);
});

describe('a jail', () => {
  test('has what it says, or the defaults say, or nobody says', () => {
    const keys = `maxretry = 7
findtime = 8
bantime = 9
ipv6_prefix = 56
ipv4_prefix = 24
ignoreip = "192.0.2.7"
ignoreself = false
network = true
port = "22"
protocol = "tcp"
hooks = "forward"
action = "reject"
bantime_increment = true
bantime_overalljails = true
format = "plain"
timezone = "+02:00"`;
    const said = {
      maxretry: 7,
      findtime: 8,
      bantime: 9,
      ipv6Prefix: 56,
      ipv4Prefix: 24,
      ignoreip: ['192.0.2.7'],
      ignoreself: false,
      network: true,
      ports: [{ first: 22, last: 22 }],
      protocols: ['tcp'],
      hooks: ['forward'],
      action: 'reject',
      escalation: { allJails: true },
      format: 'plain',
      timezone: [{ offset: 7_200 }],
    };
    const own = jailOf(`${jail}${keys}`);
    expect(own).toMatchObject(said);
    expect(jailOf(`[defaults]\n${keys}\nlogpath = "/var/log/auth.log"\n[jails.sshd]\n`)).toEqual(own);
    const opposite = `maxretry = 1\nignoreself = true\nnetwork = false\naction = "drop"\nipv4_prefix = 32\nformat = "auto"\ntimezone = "local"\nbantime_increment = false`;
    const over = jailOf(`[defaults]\n${keys}\n${jail}${opposite}`);
    expect(over).toMatchObject({ maxretry: 1, ignoreself: true, network: false, action: 'drop', escalation: null });
    for (const key of ['ipv4Prefix', 'format', 'timezone', 'journal', 'message']) expect(over).not.toHaveProperty(key);
    expect(jailOf(jail)).toMatchObject({
      maxretry: 5,
      findtime: 600,
      bantime: 600,
      ipv6Prefix: 64,
      ignoreself: true,
      network: false,
      ports: [],
      protocols: ['tcp', 'udp'],
      hooks: ['input'],
      action: 'drop',
      escalation: null,
    });
  });

  test('is there where it is enabled, and checked in any case', () => {
    const names = (text: string) => compile(text).config.jails.map(({ name }) => name);
    expect(names(`${jail}enabled = false`)).toEqual([]);
    expect(names(`[defaults]\nenabled = false\n${jail}`)).toEqual([]);
    expect(names(`[defaults]\nenabled = false\n${jail}enabled = true`)).toEqual(['sshd']);
    expect(names('[jails.sshd]\nenabled = false')).toEqual([]);
    expect(found(`${jail}enabled = false\nmode = "extra"`)).toEqual(['value 4:8 jails.sshd.mode']);
  });

  test('may end bans before they grow, and not where they do not grow', () => {
    expect(found(`${jail}bantime = 9\nbantime_increment = true\nbantime_maxtime = 9`)).toEqual([]);
    expect(found(`${jail}bantime = 9\nbantime_maxtime = 8`)).toEqual([]);
    expect(found(`${jail}bantime = 9\nbantime_increment = true`)).toEqual([]);
  });

  test('of JSON lines has the field of its message, of its own or by default', () => {
    expect(jailOf(`${jail}format = "json"\nmessage = "msg"`)).toMatchObject({ format: 'json', message: 'msg' });
    expect(jailOf(`[defaults]\nmessage = "msg"\n${jail}format = "json"`)).toMatchObject({ message: 'msg' });
    const plain = jailOf(`[defaults]\nmessage = "msg"\n${jail}format = "plain"`);
    expect(plain).toMatchObject({ format: 'plain' });
    expect(plain).not.toHaveProperty('message');
  });

  test('of the journal has no form of lines, whatever the defaults say', () => {
    const found = jailOf('[defaults]\nformat = "plain"\ntimezone = "+02:00"\n[jails.sshd]\nsource = "journal"');
    expect(found.journal!.text).toContain('_SYSTEMD_UNIT=ssh.service');
    for (const key of ['format', 'timezone', 'message']) expect(found).not.toHaveProperty(key);
    expect(found.logpath).toEqual([]);
    expect(jailOf('[defaults]\nsource = "journal"\nformat = "plain"\n[jails.sshd]')).not.toHaveProperty('format');
  });

  test.each([
    ['sshd[mode=ddos]', 'write filter = "sshd" and mode = "ddos"'],
    ['sshd[mode=\\"ddos\\"]', 'write filter = "sshd" and mode = "ddos"'],
    ["sshd[mode='ddos']", 'write filter = "sshd" and mode = "ddos"'],
  ])('with filter %s in the words of fail2ban', (filter, hint) => {
    expect(problemsOf(`${jail}filter = "${filter}"`)[0]!.hint).toBe(hint);
    for (const other of [`x ${filter}`, `${filter}x`])
      expect(problemsOf(`${jail}filter = "${other}"`)[0]!.hint).not.toContain('and mode');
  });
});

describe('of more than there is room for', () => {
  const jails = (count: number, more: (index: number) => string = () => '') =>
    Array.from(
      { length: count },
      (_, index) => `[jails.j${index}]\nfilter = "sshd"\nlogpath = "/x"\n${more(index)}\n`,
    ).join('');

  test('jails, the first is named', () => {
    expect(compile(jails(jailsMax)).config.jails).toHaveLength(jailsMax);
    expect(problemsOf(jails(jailsMax + 1))).toMatchObject([
      { kind: 'value', key: `jails.j${jailsMax}`, reason: `is jail ${jailsMax + 1}: at most ${jailsMax} are allowed` },
    ]);
  });

  test('lists, the first is named', () => {
    const lists = (count: number) =>
      Array.from({ length: count }, (_, index) => `[[list]]\nfile = "/${index}"\n`).join('');
    expect(found(lists(listsMax))).toEqual([]);
    expect(found(lists(listsMax + 1))).toEqual([`value ${2 * listsMax + 1}:3 list[${listsMax}]`]);
  });

  const zone = (index: number): string => `timezone = "+0${index >> 2}:${['00', '15', '30', '45'][index & 3]}"`;
  const field = (index: number): string => `format = "json"\nmessage = "m${index}"`;
  test.each([
    ['time zones', timezonesMax, zone],
    ['message fields', messageFieldsMax, field],
  ])('%s, they are counted', (what, most, of) => {
    expect(found(jails(most, of))).toEqual([]);
    // Jails of the same one share it, and those of none need none.
    expect(found(jails(most + 20, (index) => (index < 5 ? '' : of((index - 5) % most))))).toEqual([]);
    const [problem] = problemsOf(jails(most + 1, of));
    expect(problem).toMatchObject({ kind: 'value', line: 1, column: 2, key: 'jails' });
    expect(problem!.reason).toContain(`more than ${most} ${what}`);
  });
});

describe('the rest', () => {
  test('the log goes to a socket where that is said, to the usual one or another', () => {
    const logOf = (text: string) => compile(text).config.log;
    expect(logOf('[log]\ntarget = "syslog"')).toEqual({ level: 'info', format: 'text', syslog: '/dev/log' });
    expect(logOf('[log]\ntarget = "syslog"\nsocket = "/run/log"')).toMatchObject({ syslog: '/run/log' });
    expect(logOf('[log]\nlevel = "warn"')).toEqual({ level: 'warn', format: 'text' });
  });

  test('lists that nobody reads yet have no lengths', () => {
    const text = `${jail}[[list]]\nfile = "/x"\n[[list]]\nfile = "/y"\nuse = "ignore"`;
    const nothing = { lengths: { 4: [], 6: [] }, elements: { 4: 0, 6: 0 } };
    expect(compile(text).config.lists).toEqual([
      { file: '/x', use: 'ban', jail: 'lists', ...nothing },
      { file: '/y', use: 'ignore', jail: '', ...nothing },
    ]);
    expect(compile(jail).config).not.toHaveProperty('lists');
    const read = { ...surroundings, lists: 'tried' as const };
    const { config, warnings } = compileConfig(text.split('\n[[list]]\nfile = "/y"')[0]!, 'test.toml', read);
    expect(config.lists).toMatchObject([{ file: '/x' }]);
    // What is wrong in the configuration is said alone: the files are not read for it.
    const misspelt = `${jail}[[list]]\nfile = "/nowhere"\njail = "ssdh"`;
    expect(() => compileConfig(misspelt, 'test.toml', { ...surroundings, lists: 'checked' })).toThrow(
      /^test\.toml:5:8: list\[0\]\.jail: there is no jail "ssdh" \(did you mean "sshd"\?\)$/,
    );
    expect(warnings.join()).toContain('/x');
  });
});
