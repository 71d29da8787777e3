#!/usr/bin/python3
"""How long an installed fail2ban takes to ban: its own stock actions and its own action class, as a library, no daemon.

usage: fail2ban-actions.py ACTION ADDRESS…    (in a private network namespace: the bans are real)
prints one JSON object: {"version": …, "milliseconds": [one number for each address]}
"""
import json
import logging
import os
import sys
import time

try:
    from fail2ban.client.actionreader import ActionReader
    from fail2ban.server.action import CommandAction
    from fail2ban.server.actions import Actions
    from fail2ban.server.jail import Jail
    from fail2ban.server.ticket import BanTicket
    from fail2ban.version import version
except ImportError as reason:
    sys.exit(f"fail2ban is not installed for this python: {reason}")

SETTINGS = {"name": "sshd", "port": "22", "protocol": "tcp"}


def stock_action(jail, name):
    """The action of that name as the installed configuration has it."""
    folder = os.environ.get("FAIL2BAN_CONFIG", "/etc/fail2ban")
    reader = ActionReader(name, jail.name, dict(SETTINGS), basedir=folder)
    if not reader.read():
        sys.exit(f"no action {name} in {folder}")
    reader.getOptions({})
    action = CommandAction(jail, name)
    for command in reader.convert():
        if command[0] == "multi-set":
            for key, value in command[4]:
                setattr(action, key, value)
        elif command[2] == "action":
            setattr(action, command[4], command[5])
    return action


def main():
    logging.getLogger("fail2ban").addHandler(logging.StreamHandler(sys.stderr))
    name, *addresses = sys.argv[1:]
    jail = Jail(SETTINGS["name"], backend="polling")  # never started: it reads nothing
    action = stock_action(jail, name)
    action.start()
    milliseconds = []
    for address in addresses:
        info = Actions.ActionInfo(BanTicket(address, time.time()), jail)
        started = time.perf_counter()
        action.ban(info)
        milliseconds.append((time.perf_counter() - started) * 1000)
    json.dump({"version": version, "milliseconds": milliseconds}, sys.stdout)


main()
