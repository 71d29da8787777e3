#!/usr/bin/python3
"""What an installed fail2ban decides about a log, line by line: its own stock filter and its own filter class, as a library.

usage: fail2ban-decisions.py FILTER MODE MAXRETRY FINDTIME [BANTIME [IGNOREIP…]] < log    (lines start with an ISO 8601 time)
prints one JSON object: {"version": …, "lines": [[address charged by the line, …], …], "bans": [{"ip": …, "line": …}, …],
"seconds": {"findtime": …, "bantime": …}}. FINDTIME and BANTIME are durations as the configuration writes them.
The clock is each line's own time, so that no line is too old or in the future. Host names are not resolved.
"""
import datetime
import json
import logging
import os
import sys

try:
    from fail2ban.client.filterreader import FilterReader
    from fail2ban.server.filter import Filter
    from fail2ban.server.jail import Jail
    from fail2ban.server.mytime import MyTime
    from fail2ban.version import version
except ImportError as reason:
    sys.exit(f"fail2ban is not installed for this python: {reason}")


class CollectingJail(Jail):
    """Takes the tickets a filter hands in for banning."""

    def __init__(self):
        super().__init__("comparison", backend=None)
        self.tickets = []

    def putFailTicket(self, ticket):
        self.tickets.append(str(ticket.getID()))


def stock_filter(jail, name, mode, maxretry, findtime):
    """The filter of that name as the installed configuration has it."""
    folder = os.environ.get("FAIL2BAN_CONFIG", "/etc/fail2ban")
    reader = FilterReader(name, jail.name, {"mode": mode}, basedir=folder)
    if not reader.read():
        sys.exit(f"no filter {name} in {folder}")
    reader.getOptions({})
    subject = Filter(jail)
    subject.setUseDns("no")
    subject.active = True
    subject.checkFindTime = True
    for command in reader.convert():
        verb, values = command[2], command[3:]
        values = values[0] if values and isinstance(values[0], list) else values
        for value in values:
            if verb in ("addfailregex", "multi-set") and value != "addfailregex":
                subject.addFailRegex(value)
            elif verb == "addignoreregex":
                subject.addIgnoreRegex(value)
            elif verb == "prefregex":
                subject.prefRegex = value
            elif verb == "datepattern":
                subject.setDatePattern(value)
            elif verb == "maxlines":
                subject.setMaxLines(int(value))
    subject.setMaxRetry(maxretry)
    subject.setFindTime(findtime)
    return subject


def main():
    logging.disable(logging.CRITICAL)
    name, mode, maxretry = sys.argv[1], sys.argv[2], int(sys.argv[3])
    findtime, bantime = (MyTime.str2seconds(text) for text in (sys.argv[4:6] + ["0"])[:2])
    jail = CollectingJail()
    subject = stock_filter(jail, name, mode, maxretry, findtime)
    for network in sys.argv[6:]:
        subject.addIgnoreIP(network)
    charged = []
    record = subject.failManager.addFailure
    subject.failManager.addFailure = lambda ticket, *more: (charged.append(str(ticket.getID())), record(ticket, *more))[1]
    lines, bans = [], []
    for number, raw in enumerate(sys.stdin.buffer):
        line = raw.decode("utf-8", "replace").rstrip("\n")
        MyTime.setTime(datetime.datetime.fromisoformat(line.split(" ", 1)[0]).timestamp())
        charged.clear()
        subject.processLineAndAdd(line)
        lines.append(list(charged))
        bans += [{"ip": ip, "line": number} for ip in jail.tickets]
        jail.tickets.clear()
    seconds = {"findtime": findtime, "bantime": bantime}
    json.dump({"version": version, "lines": lines, "bans": bans, "seconds": seconds}, sys.stdout)


main()
