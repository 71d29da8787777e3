#!/usr/bin/python3
"""What fail2ban itself reads of a configuration tree, jail by jail: its own readers, as a library. No daemon, no ban.

usage: fail2ban-jails.py FOLDER    prints {"jail": {"maxretry": …, "findtime": …, "bantime": …, "ignoreip": […], "logpath": […]}, …}
"""
import json
import logging
import sys

from fail2ban.client import jailreader
from fail2ban.client.configreader import ConfigReader
from fail2ban.server.mytime import MyTime


class NoAction(jailreader.ActionReader):
    """Actions of a tree need not be there."""

    def read(self):
        return True

    def getOptions(self, options):
        pass

    def convert(self):
        return []


def main():
    logging.disable(logging.CRITICAL)
    jailreader.ActionReader = NoAction
    folder = sys.argv[1]
    every = ConfigReader(basedir=folder)
    every.read("jail")
    found = {}
    for name in [section for section in every.sections() if section != "INCLUDES"]:
        reader = jailreader.JailReader(name, force_enable=True, basedir=folder, share_config={})
        reader.read()
        if not reader.getOptions():
            continue
        options = reader.options
        paths = [path.rsplit(" ", 1)[0] if path.endswith((" tail", " head")) else path for path in (options.get("logpath") or "").split("\n")]
        found[name] = {
            "maxretry": options.get("maxretry"),
            "findtime": MyTime.str2seconds(options["findtime"]),
            "bantime": MyTime.str2seconds(options["bantime"]),
            "ignoreip": [word for word in (options.get("ignoreip") or "").replace(",", " ").split() if word],
            "logpath": [path for path in paths if path],
        }
    json.dump(found, sys.stdout)


main()
