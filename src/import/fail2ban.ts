/**
 * Asks an installed fail2ban what it decides about log lines. A short program for python3 uses
 * fail2ban's own readers and its own filter as a library. No daemon, no ban, no name lookup. For
 * the commands only.
 */
import { spawnSync } from 'node:child_process';
import { answerBytesMax, fail2banMsMax } from './limits.ts';
import { isThere } from './tree.ts';

/** The Python for which distributions install fail2ban. */
const python = '/usr/bin/python3';

export interface Fail2banAnswer {
  version: string;
  /** For each line, the addresses that fail2ban counted a failure against. */
  lines: string[][];
  bans: { ip: string; line: number }[];
}

/** fail2ban's decisions, or why it cannot be asked. `lines` contain no line end. */
export function askFail2ban(
  folder: string,
  jail: string,
  lines: readonly string[],
  now: number,
): Fail2banAnswer | string {
  const done = spawnSync(isThere(python) ? python : 'python3', ['-c', program, folder, jail, String(now)], {
    input: `${lines.join('\n')}\n`,
    encoding: 'utf8',
    maxBuffer: answerBytesMax,
    timeout: fail2banMsMax,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  if (done.error)
    return (done.error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no python3' : done.error.message;
  if (done.status !== 0) return done.stderr.trim().split('\n').at(-1) ?? 'it failed';
  try {
    return JSON.parse(done.stdout) as Fail2banAnswer;
  } catch {
    return 'its answer cannot be read';
  }
}

/** The clock is each line's own time, so that no line is too old or in the future. */
const program = `
import datetime, json, logging, sys
try:
    from fail2ban.client import jailreader
    from fail2ban.client.jailreader import JailReader
    from fail2ban.server.filter import Filter
    from fail2ban.server.jail import Jail
    from fail2ban.server.mytime import MyTime
    from fail2ban.version import version
except ImportError:
    sys.exit("fail2ban is not installed for python3")
logging.disable(logging.CRITICAL)
folder, name, now = sys.argv[1], sys.argv[2], float(sys.argv[3])

class Collecting(Jail):
    def __init__(self):
        super().__init__("comparison", backend=None)
        self.tickets = []
    def putFailTicket(self, ticket):
        self.tickets.append(str(ticket.getID()))

class NoAction(jailreader.ActionReader):
    def read(self):
        return True
    def getOptions(self, options):
        pass
    def convert(self):
        return []
jailreader.ActionReader = NoAction

reader = JailReader(name, force_enable=True, basedir=folder, share_config={})
reader.read()
if not reader.getOptions():
    sys.exit("fail2ban refuses the jail: %s" % reader.options.get("config-error"))
jail = Collecting()
subject = Filter(jail)
subject.setUseDns("no")
subject.active = True
subject.checkFindTime = True
actions = {
    "addfailregex": subject.addFailRegex, "addignoreregex": subject.addIgnoreRegex,
    "prefregex": lambda value: setattr(subject, "prefRegex", value), "datepattern": subject.setDatePattern,
    "maxlines": lambda value: subject.setMaxLines(int(value)), "maxretry": lambda value: subject.setMaxRetry(int(value)),
    "findtime": subject.setFindTime, "addignoreip": subject.addIgnoreIP, "logtimezone": subject.setLogTimeZone,
}
for command in reader.convert(allow_no_files=True):
    if len(command) < 4 or command[0] not in ("set", "multi-set") or command[2] not in actions:
        continue
    values = command[3] if isinstance(command[3], list) else command[3:]
    for value in values:
        actions[command[2]](value)
charged = []
record = subject.failManager.addFailure
subject.failManager.addFailure = lambda ticket, *more: (charged.append(str(ticket.getID())), record(ticket, *more))[1]
MyTime.setTime(now)
lines, bans = [], []
for number, raw in enumerate(sys.stdin.buffer):
    line = raw.decode("utf-8", "replace").rstrip("\\n")
    try:
        match = subject.dateDetector.matchTime(line)
        found = match[0] and subject.dateDetector.getTime(match[0].group(1), match)
        if found:
            MyTime.setTime(found[0])
    except Exception:
        pass
    charged.clear()
    subject.processLineAndAdd(line)
    lines.append(list(charged))
    bans += [{"ip": ip, "line": number} for ip in jail.tickets]
    jail.tickets.clear()
json.dump({"version": version, "lines": lines, "bans": bans}, sys.stdout)
`;
