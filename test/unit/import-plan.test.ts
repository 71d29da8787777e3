/**
 * Each option of a fail2ban jail: which setting of ours it becomes, with its place, and what is
 * said of one that has no counterpart.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { treeJailsMax, treeLogPathsMax } from '../../src/import/limits.ts';
import { Notes } from '../../src/import/notes.ts';
import { isYes } from '../../src/import/options.ts';
import { planOf, type Surroundings } from '../../src/import/plan.ts';
import { Tree } from '../../src/import/tree.ts';
import { durationOf, ignoredOf, logPathOf, portsOf, timezoneOf, usableName } from '../../src/import/values.ts';
import { tomlValue } from '../../src/import/write.ts';
import { banSecondsMax, jailNameMax, repeatBantimesMax } from '../../src/limits.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'import-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

const host: Surroundings = {
  builtIn: [
    { name: 'sshd', modes: ['normal', 'ddos'] },
    { name: 'nginx-http-auth', modes: [] },
  ],
  portOf: (service) => ({ gopher: 70 })[service],
  fileExists: () => true,
  hasJournal: false,
};
const planned = (surroundings = host) => {
  const notes = new Notes();
  return { ...planOf(new Tree(folder, notes), notes, [], surroundings), notes: notes.all };
};

/** What lines of a jail add: `KEY = VALUE # PLACE`, `WEIGHT: TEXT: FOUND (HINT) # PLACE`. */
function added(lines: string, surroundings = host): string[] {
  write('jail.conf', `[j]\nenabled = true\nfilter = sshd\nlogpath = /var/log/j.log\naction = iptables\n${lines}\n`);
  const { jails, notes } = planned(surroundings);
  const [jail] = jails;
  const usual = ['filter = "sshd" # jail.conf:2', 'logpath = "/var/log/j.log" # jail.conf:4'];
  return [
    ...jail!.settings.map(({ key, value, from }) => `${key} = ${tomlValue(value)} # ${from}`),
    ...notes.map(({ weight, text, found, hint, place }) => {
      const said = `${text}${found === undefined ? '' : `: ${found}`}${hint === undefined ? '' : ` (${hint})`}`;
      return `${weight}: ${said} # ${place}`;
    }),
    ...(jail!.enabled ? [] : ['not enabled']),
  ].filter((line) => !usual.includes(line));
}

const doubled = 'each ban is twice as long as the one before';
const noProgram =
  'ignorecommand is refused: fail2zig runs no program for a log line; without it, sources that it spares would be banned';
test.each<[lines: string, ...added: string[]]>([
  [''],
  ['maxretry = 3', 'maxretry = 3 # jail.conf:6'],
  ['maxretry = +3', 'maxretry = 3 # jail.conf:6'],
  ['maxretry = 0', 'maxretry = 1 # jail.conf:6', 'warning: maxretry becomes 1: it must be 1 to 1000: 0 # jail.conf:6'],
  [
    'maxretry = 1001',
    'maxretry = 1000 # jail.conf:6',
    'warning: maxretry becomes 1000: it must be 1 to 1000: 1001 # jail.conf:6',
  ],
  ['maxretry = 1000', 'maxretry = 1000 # jail.conf:6'],
  ['maxretry = three', 'warning: maxretry is not a number: 5 is used: three # jail.conf:6'],
  ['maxretry = 3x', 'warning: maxretry is not a number: 5 is used: 3x # jail.conf:6'],
  ['findtime = 1d', 'findtime = "1d" # jail.conf:6'],
  ['findtime = -1', 'warning: findtime is below zero: 10m is used: -1 # jail.conf:6'],
  ['findtime = 0', 'warning: findtime is zero: 10m is used: 0 # jail.conf:6'],
  ['findtime = soon', 'warning: findtime is not a duration: 10m is used: soon # jail.conf:6'],
  ['bantime = -1', 'bantime = "-1" # jail.conf:6'],
  ['bantime = 90', 'bantime = "1m 30s" # jail.conf:6'],
  [
    'bantime = 20y',
    'bantime = "521w 3d" # jail.conf:6',
    'warning: bantime is longer than ten years, which is the longest here: 20y # jail.conf:6',
  ],
  ['ignoreip = 192.0.2.7, 198.51.100.0/24', 'ignoreip = ["192.0.2.7", "198.51.100.0/24"] # jail.conf:6'],
  [
    'ignoreip = 192.0.2.7 example.net',
    'ignoreip = ["192.0.2.7"] # jail.conf:6',
    'warning: ignoreip: example.net is a host name, which is never resolved: write its addresses # jail.conf:6',
  ],
  ['ignoreip ='],
  ['ignoreip = ::/0', 'warning: ignoreip: ::/0 is every address: nobody would be banned # jail.conf:6'],
  ['ignoreself = true'],
  ['ignoreself = no', 'ignoreself = false # jail.conf:6'],
  ['ignorecommand ='],
  [
    'ignorecommand = /bin/true <ip>',
    `lost: ${noProgram}: /bin/true <ip> (put their addresses into ignoreip, then set enabled = true) # jail.conf:6`,
    'not enabled',
  ],
  ['port = ssh,http', 'port = "ssh,http" # jail.conf:6'],
  ['port = 0:65535'],
  ['port = 0:1024', 'port = "1:1024" # jail.conf:6'],
  ['port = gopher', 'port = "70" # jail.conf:6'],
  [
    'port = ssh, nobody',
    'port = "all" # jail.conf:6',
    'warning: port: nobody is not a known port: bans close every port: ssh, nobody # jail.conf:6',
  ],
  ['port = 22\naction = iptables-allports'],
  ['port = 22\nprotocol = udp\naction = route'],
  ['port = 22\naction = iptables[port=80]', 'port = "80" # jail.conf:6'],
  ['action = iptables[port=80]', 'port = "80" # jail.conf:6'],
  ['protocol = tcp'],
  ['protocol = UDP', 'protocol = ["udp"] # jail.conf:6'],
  ['protocol = tcp,udp, tcp', 'protocol = ["tcp", "udp"] # jail.conf:6'],
  ['protocol = all', 'protocol = "all" # jail.conf:6'],
  ['protocol = sctp', 'warning: protocol sctp does not exist here: tcp is used # jail.conf:6'],
  ['chain = INPUT'],
  ['chain = <known/chain>'],
  ['chain ='],
  ['chain = DOCKER-USER', 'hooks = ["input", "forward"] # jail.conf:6'],
  ['chain = FORWARD', 'hooks = ["input", "forward"] # jail.conf:6'],
  [
    'chain = mine',
    'warning: chain mine does not exist here: bans apply at the input hook (hooks = ["input", "forward"] guards containers too) # jail.conf:6',
  ],
  ['blocktype = REJECT --reject-with x', 'action = "reject" # jail.conf:6'],
  ['blocktype = DROP'],
  [
    'action = iptables\n  sendmail',
    "warning: the action sendmail is not carried over (the daemon's own records: `fail2zig-client watch`, or the journal's fields, which a mailer may read) # jail.conf:6",
  ],
  [
    'action = cloudflare[x=1] nftables',
    'warning: the action cloudflare is not carried over (nothing here: run it from what `fail2zig-client watch` prints) # jail.conf:6',
  ],
  [
    'action = mail',
    "warning: the action mail is not carried over (the daemon's own records: `fail2zig-client watch`, or the journal's fields, which a mailer may read) # jail.conf:6",
    'lost: only reports: fail2ban bans nobody for it (set enabled = true to ban) # jail.conf:6',
    'not enabled',
  ],
  [
    'action =',
    'lost: has no action: fail2ban bans nobody for it (set enabled = true to ban) # jail.conf:6',
    'not enabled',
  ],
  [
    'action = mine[nonsense',
    'warning: the action mine[nonsense is not carried over (nothing here: run it from what `fail2zig-client watch` prints) # jail.conf:6',
  ],
  ['logtimezone = UTC+0200', 'timezone = "+02:00" # jail.conf:6'],
  ['logtimezone ='],
  ['logencoding = utf-8'],
  ['logencoding = latin1', 'info: logencoding is not needed: bytes are compared as they are: latin1 # jail.conf:6'],
  ['maxmatches = 3', 'info: maxmatches changes nothing here: lines are not kept # jail.conf:2'],
  ['bantime.increment = false\nbantime.factor = 2'],
  ['bantime.increment = true', 'bantime_increment = true # jail.conf:6'],
  [
    'bantime.increment = true\nbantime.factor = 2.5\nbantime.overalljails = true\nbantime.rndtime = 5m\nbantime.maxtime = 1w',
    'bantime_increment = true # jail.conf:6',
    'bantime_factor = 2.5 # jail.conf:7',
    'bantime_maxtime = "1w" # jail.conf:10',
    'bantime_rndtime = "5m" # jail.conf:9',
    'bantime_overalljails = true # jail.conf:8',
  ],
  [
    'bantime.increment = 1\nbantime.factor = 0\nbantime.multipliers = 1 2, 4\nbantime.formula = x\nbantime.overalljails = no',
    'bantime_increment = true # jail.conf:6',
    'bantime_multipliers = [1, 2, 4] # jail.conf:8',
    'warning: bantime.factor is not a number above 0: 1 is used: 0 # jail.conf:7',
  ],
  [
    'bantime.increment = on\nbantime.multipliers = 1 0\nbantime.formula = x\nbantime.factor = 1000001',
    'bantime_increment = true # jail.conf:6',
    'warning: bantime.factor is not a number above 0: 1 is used: 1000001 # jail.conf:9',
    `warning: bantime.multipliers are not all numbers above 0: ${doubled}: 1 0 # jail.conf:7`,
  ],
  [
    'bantime.increment = yes\nbantime.formula = ban.Time * 3',
    'bantime_increment = true # jail.conf:6',
    `warning: bantime.formula is a program, which fail2zig does not run: ${doubled}: ban.Time * 3 # jail.conf:7`,
  ],
  ['bantime.increment = true\nbantime.formula = ban.Time * (1<<(ban.Count))', 'bantime_increment = true # jail.conf:6'],
  ['bantime.increment = true\nbantime.formula = ban.Time * 2 ** ban.Count', 'bantime_increment = true # jail.conf:6'],
  [
    'bantime.increment = true\nbantime = 1h\nbantime.maxtime = 10m\nbantime.rndtime = never',
    'bantime = "1h" # jail.conf:7',
    'bantime_increment = true # jail.conf:6',
    'warning: bantime.maxtime is shorter than bantime: it is left out: 10m # jail.conf:8',
    'warning: bantime.rndtime is not a duration: it is left out: never # jail.conf:9',
  ],
  [
    'bantime.increment = true\nbantime = 1h\nbantime.maxtime = 1h\nbantime.rndtime = 0',
    'bantime = "1h" # jail.conf:7',
    'bantime_increment = true # jail.conf:6',
    'bantime_maxtime = "1h" # jail.conf:8',
  ],
  [
    'bantime.increment = true\nbantime.maxtime = 600',
    'bantime_increment = true # jail.conf:6',
    'bantime_maxtime = "10m" # jail.conf:7',
  ],
  [
    'bantime.increment = true\nbantime.maxtime = 599',
    'bantime_increment = true # jail.conf:6',
    'warning: bantime.maxtime is shorter than bantime: it is left out: 599 # jail.conf:7',
  ],
])('%j', (lines, ...expected) => {
  // The last of two options of a name counts, and that is said by the reader, not here.
  const told = added(lines).filter((line) => !line.includes('is written twice in its section'));
  expect(told.toSorted()).toEqual(expected.toSorted());
});

describe('multipliers', () => {
  test('are kept as far as there is room', () => {
    const many = Array.from({ length: repeatBantimesMax + 2 }, (_, at) => at + 1);
    const kept = many.slice(0, repeatBantimesMax + 1);
    expect(added(`bantime.increment = true\nbantime.multipliers = ${kept.join(' ')}`)).toContain(
      `bantime_multipliers = [${kept.join(', ')}] # jail.conf:7`,
    );
    const found = added(`bantime.increment = true\nbantime.multipliers = ${many.join(' ')}`);
    expect(found).toContain(`bantime_multipliers = [${kept.join(', ')}] # jail.conf:7`);
    expect(found.join()).toContain(`bantime.multipliers: the first ${kept.length} are kept`);
  });
});

describe('logs', () => {
  const of = (logpath: string, more = '', surroundings = host): string[] => {
    write('jail.conf', `[j]\nenabled = true\nfilter = sshd\nlogpath = ${logpath}\naction = iptables\n${more}`);
    const { jails, notes } = planned(surroundings);
    return [
      ...jails[0]!.settings
        .filter(({ key }) => key !== 'filter')
        .map(({ key, value, from }) => `${key} = ${tomlValue(value)} # ${from}`),
      ...notes.map(
        ({ weight, text, found, place }) => `${weight}: ${text}${found === undefined ? '' : `: ${found}`} # ${place}`,
      ),
    ];
  };

  test('are paths, each once, each complaint with its line', () => {
    expect(of('/a\n  /b tail\n  /a\n  relative\n  /c/[0-9].log')).toEqual([
      'logpath = ["/a", "/b", "/c/?.log"] # jail.conf:4',
      'warning: logpath is not an absolute path: relative # jail.conf:7',
      'warning: logpath: "?" replaces the class in brackets: /c/[0-9].log # jail.conf:8',
    ]);
    expect(of('relative')).toEqual([
      'warning: logpath is not an absolute path: relative # jail.conf:4',
      'lost: names no log file that can be read # jail.conf:4',
    ]);
    const many = Array.from({ length: treeLogPathsMax + 1 }, (_, at) => `/${at}`);
    expect(of(many.join('\n  '))).toEqual([
      `logpath = ${tomlValue(many.slice(0, -1))} # jail.conf:4`,
      `warning: ${many.length} log paths, of which the first ${treeLogPathsMax} are kept # jail.conf:4`,
    ]);
  });

  test('are in the journal where backend says so, or where no file is there', () => {
    const without = { ...host, fileExists: () => false, hasJournal: true };
    const journal = 'info: reads the journal: none of its log files is on this host: /a # jail.conf:4';
    expect(of('/a', '', without)).toEqual(['source = "journal" # jail.conf:4', journal]);
    expect(of('/a', 'backend = auto', without)).toEqual(['source = "journal" # jail.conf:4', journal]);
    expect(of('/a', 'backend = polling', without)).toEqual(['logpath = "/a" # jail.conf:4']);
    expect(of('/a', '', { ...without, hasJournal: false })).toEqual(['logpath = "/a" # jail.conf:4']);
    expect(of('/a', '', { ...without, fileExists: (path) => path === '/a' })).toEqual(['logpath = "/a" # jail.conf:4']);
    expect(of('/a', 'backend = systemd')).toEqual(['source = "journal" # jail.conf:6']);
    expect(of('/a', 'backend = systemd[journalflags=1]\nlogtimezone = UTC')).toEqual([
      'source = "journal" # jail.conf:6',
    ]);
    expect(of('/a', 'backend = systemd\njournalmatch = _COMM=x\n  _COMM=y')).toEqual([
      'source = "journal" # jail.conf:6',
      'journal_match = ["_COMM=x", "_COMM=y"] # jail.conf:7',
    ]);
    expect(of('/a', 'backend = systemd\njournalmatch = x')).toEqual([
      'source = "journal" # jail.conf:6',
      'warning: journalmatch "x" is not FIELD=value: x # jail.conf:7',
    ]);
  });
});

describe('jails and filters', () => {
  const jail = (name: string, more: string): string =>
    `[${name}]\nenabled = true\nlogpath = /var/log/x.log\naction = iptables\n${more}\n`;
  const shown = () => {
    const { jails, notes } = planned();
    return [
      ...jails.map(({ name, filter, enabled }) => `${name} ${filter}${enabled ? '' : ' off'}`),
      ...notes.map(
        (note) => `${note.weight} ${note.jail}: ${note.text}${note.hint === undefined ? '' : ` (${note.hint})`}`,
      ),
    ];
  };

  test('have the modes that there are', () => {
    const call = (filter: string, more = ''): string[] => {
      write('jail.conf', jail('sshd', `filter = ${filter}\n${more}`));
      const { jails, notes } = planned();
      return [
        ...jails[0]!.settings.map(({ key, value }) => `${key}=${value}`),
        ...notes.map(({ text, hint }) => `${text} (${hint})`),
      ].slice(1);
    };
    write('jail.conf', jail('sshd', 'filter = sshd'));
    expect(planned().jails[0]!.settings.map(({ key }) => key)).toEqual(['logpath']);
    expect(call('sshd[mode=normal]')).toEqual([]);
    write('jail.conf', jail('sshd', 'filter = sshd[mode=ddos]'));
    expect(planned().jails[0]!.settings.map(({ key, value }) => `${key}=${value}`)).toEqual([
      'mode=ddos',
      'logpath=/var/log/x.log',
    ]);
    expect(call('sshd', 'mode = ddos')).toEqual(['logpath=/var/log/x.log']);
    expect(call('sshd[mode=extra]').join()).toContain(
      'mode "extra" does not exist here: "normal" is used (the modes are normal, ddos)',
    );
    expect(call('nginx-http-auth[mode=normal]').join()).not.toContain('mode "');
    expect(call('sshd[mode=normal, x=1]').join()).toContain('sshd[x=1]: the built-in filter has no such option');
    expect(call('sshd[logtype=short, backend=systemd]').join()).not.toContain('has no such option');
  });

  test('have names of their own, as far as ours allow', () => {
    write('jail.conf', jail('a b', 'filter = sshd') + jail('a-b', 'filter = sshd') + jail('a/b', 'filter = sshd'));
    expect(shown()).toEqual(['a-b sshd', 'a-b-2 sshd', 'a-b-3 sshd']);
  });

  test('are off where nothing guards them, with what to do', () => {
    write(
      'jail.conf',
      jail('a', '') +
        jail('b', 'filter = nowhere') +
        jail('c', 'filter = %(x)s') +
        jail('d', 'filter = sshd\nbantime = %(x)s'),
    );
    expect(shown()).toEqual([
      'a  off',
      'b  off',
      'c  off',
      'd sshd',
      'lost a: names no filter',
      'lost b: the filter "nowhere" is neither in the tree nor built in',
      'lost c: filter: %(x)s is defined nowhere',
      'lost c: names no filter',
      'warning d: bantime: %(x)s is defined nowhere',
    ]);
  });

  test('that the tree does not enable are left out, unless they are asked for or cannot be judged', () => {
    write(
      'jail.conf',
      '[DEFAULT]\nlogpath = /x\naction = iptables\nfilter = sshd\n[a]\n[b]\nenabled = false\n[c]\nenabled = %(y)s\n[d]\nenabled = YES\n',
    );
    expect(planned().jails.map(({ original, enabled }) => [original, enabled])).toEqual([
      ['c', false],
      ['d', true],
    ]);
    const notes = new Notes();
    const { jails } = planOf(new Tree(folder, notes), notes, ['b'], host);
    expect(jails.map(({ original }) => original)).toEqual(['b', 'c', 'd']);
  });

  test('are as many as are read, which is said', () => {
    write('jail.conf', Array.from({ length: treeJailsMax + 1 }, (_, at) => `[j${at}]\nenabled = false\n`).join(''));
    expect(shown()).toEqual([`lost : ${treeJailsMax + 1} jails, of which the first ${treeJailsMax} are read`]);
    rmSync(join(folder, 'jail.conf'));
    expect(shown()).toEqual(['lost : there is no jail.conf and no jail.local']);
  });

  test('of one expression share the filter, of others have their own', () => {
    write('filter.d/own.conf', '[Definition]\nfailregex = ^failed from <HOST>$\n');
    write('filter.d/sshd.conf', '[Definition]\nfailregex = ^x <HOST>$\n');
    write('filter.d/bad.conf', '[Definition]\nfailregex = ^(a)\\1 <HOST>$\n');
    write(
      'jail.conf',
      jail('a', 'filter = own') +
        jail('b', 'filter = own') +
        jail('c', 'filter = own\nfailregex = ^refused <HOST>$') +
        jail('d', 'filter = bad') +
        jail('sshd', 'filter = sshd\nfailregex = ^refused <HOST>$') +
        jail('e', 'filter = sshd[failregex=x]'),
    );
    const found = shown();
    expect(found.slice(0, 6)).toEqual(['a own', 'b own', 'c own-2', 'd  off', 'sshd sshd-own', 'e  off']);
    expect(found.join('\n')).toContain(
      'lost d: the filter "bad" cannot be carried over (write a [[filter]] for it: `fail2zig check` tries it on sample lines)',
    );
    expect(planned().filters.map(({ filter, about }) => [filter.name, about])).toEqual([
      ['own', "fail2ban's own"],
      ['own-2', "fail2ban's own"],
      ['sshd-own', "fail2ban's sshd"],
    ]);
  });

  test('say what becomes of the times that they describe', () => {
    const said = (datepattern: string): string[] => {
      write('jail.conf', jail('sshd', `filter = sshd\ndatepattern = ${datepattern}`));
      return planned().notes.map(({ weight, text, hint }) => `${weight}: ${text} (${hint})`);
    };
    const tried = '(try it: `fail2zig import --try LOG`)';
    expect(said('%%Y-%%m-%%d %%H:%%M:%%S')).toEqual([
      `info: datepattern is not needed: fail2zig recognises times of this form without it ${tried}`,
    ]);
    expect(said('{NONE}')).toEqual([
      `info: datepattern says that lines have no time: they count when they are read ${tried}`,
    ]);
    expect(said('%%H:%%M:%%S')[0]).toContain('warning: datepattern describes a time that fail2zig does not read');
    expect(said('%%Y-%%j')[0]).toContain('warning: datepattern is not a plain form of a time');
    expect(said('{^LN-BEG}')).toEqual([]);
  });
});

describe('actions', () => {
  const kind = (name: string, ban = ''): string => {
    write(`action.d/${name}.conf`, `[Definition]\nactionban = ${ban}\n`);
    write('jail.conf', `[j]\nenabled = true\nfilter = sshd\nlogpath = /x\naction = ${name}\n`);
    return planned()
      .notes.map(({ weight, hint = '' }) => `${weight} ${hint.slice(0, 12)}`)
      .join(', ');
  };
  test.each([
    ['ufw', '', ''],
    ['firewallcmd-ipset', '', ''],
    ['mine', 'iptables -I f2b 1 -s <ip> -j DROP', ''],
    ['mine', 'ip route add unreachable <ip>', ''],
    ['mine', 'curl -X POST <url>', "warning the daemon's, lost set enabled "],
    ['mine', 'nft add x; curl y', ''],
    ['mine', 'touch /x', 'warning nothing here'],
    ['mine', 'nftx', 'warning nothing here'],
    ['mail-whois', '', "warning the daemon's, lost set enabled "],
    ['abuseipdb', '', "warning the daemon's, lost set enabled "],
    ['dummy', '', "warning the daemon's, lost set enabled "],
    ['netscaler', '', 'warning nothing here'],
  ])('%s that runs %j', (name, ban, said) => expect(kind(name, ban)).toBe(said));
});

describe('values', () => {
  test.each<[string, boolean, unknown]>([
    ['1h', false, { seconds: 3_600 }],
    [' 1h ', false, { seconds: 3_600 }],
    ['-5', true, { seconds: -1 }],
    ['-5', false, 'is below zero'],
    ['0', true, 'is zero'],
    ['x', true, 'is not a duration'],
    [String(banSecondsMax), false, { seconds: banSecondsMax }],
    [
      String(banSecondsMax + 1),
      false,
      { seconds: banSecondsMax, remark: 'is longer than ten years, which is the longest here' },
    ],
  ])('a time of %j', (text, permanent, says) => expect(durationOf(text, permanent)).toEqual(says));

  test.each<[string, string[], string[]]>([
    ['', [], []],
    ['22, ssh 80:90', ['22', 'ssh', '80:90'], []],
    ['22,any', [], []],
    ['ALL', [], []],
    ['1-65535', [], []],
    ['0:1024', ['1:1024'], []],
    ['0-9', ['1-9'], []],
    ['10:20', ['10:20'], []],
    ['gopher,zzz,22', ['70', '22'], ['zzz']],
  ])('ports of %j', (text, ports, unknown) => {
    expect(portsOf(text, host.portOf)).toEqual({ ports, unknown });
  });

  test('networks', () => {
    expect(ignoredOf('10.0.0.0/255.0.0.0 192.0.2.0/255.255.255.128,::1').kept).toEqual([
      '10.0.0.0/8',
      '192.0.2.0/25',
      '::1',
    ]);
    expect(ignoredOf('10.0.0.0/255.0.255.0 10.0.0.0/256.0.0.0 file:/x ::zz 1.2 host/x 0.0.0.0/0.0.0.0')).toEqual({
      kept: [],
      left: [
        ['10.0.0.0/255.0.255.0', 'is not an address or prefix'],
        ['10.0.0.0/256.0.0.0', 'is not an address or prefix'],
        ['file:/x', 'is a list in a file: put its entries into ignoreip'],
        ['::zz', 'is not an address or prefix'],
        ['1.2', 'is not an address or prefix'],
        ['host/x', 'is not an address or prefix'],
        ['0.0.0.0/0.0.0.0', 'is every address: nobody would be banned'],
      ],
    });
  });

  test.each<[string, unknown]>([
    ['/a/b.log', { path: '/a/b.log' }],
    ['/a/b.log tail', { path: '/a/b.log' }],
    ['/a/b.log head', { path: '/a/b.log' }],
    ['/a/head', { path: '/a/head' }],
    ['a', 'is not an absolute path'],
    ['/a\tb', 'holds a control character'],
    ['/a\x7f', 'holds a control character'],
    ['/a//b/./c', { path: '/a/b/c' }],
    ['/a/**/b', { path: '/a/*/b' }],
    ['/a/../b', 'holds "." or ".."'],
    ['/a/..', 'holds "." or ".."'],
    ['/a/..b', { path: '/a/..b' }],
    ['/a/', 'is a directory'],
    ['/a/[ab]c', { path: '/a/?c', remark: '"?" replaces the class in brackets' }],
    ['/a/{b,c}', 'holds a bracket or brace, which our globs do not support'],
    ['/a/[b', 'holds a bracket or brace, which our globs do not support'],
  ])('a log at %j', (text, says) => expect(logPathOf(text)).toEqual(says));

  test.each([
    ['a b/c', 'a-b-c'],
    ['-a', 'a'],
    ['...', 'jail'],
    ['ü', 'jail'],
    ['a.b_c-d', 'a.b_c-d'],
    ['x'.repeat(jailNameMax + 1), 'x'.repeat(jailNameMax)],
  ])('the name %j', (name, ours) => expect(usableName(name)).toBe(ours));

  test.each([
    ['UTC+0200', '+02:00'],
    ['GMT-3', '-03:00'],
    ['+05:30', '+05:30'],
    ['z', '+00:00'],
    [' utc ', '+00:00'],
    ['Europe/Berlin', 'Europe/Berlin'],
    ['UTCx', 'UTCx'],
  ])('the zone %j', (text, ours) => expect(timezoneOf(text)).toBe(ours));

  test('yes and no', () => {
    for (const text of ['1', 'on', 'True', 'YES']) expect(isYes(text)).toBe(true);
    for (const text of ['', '0', 'y', 'no', 'off']) expect(isYes(text)).toBe(false);
  });
});
