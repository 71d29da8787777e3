#!/usr/bin/python3
"""Runs a pipeline and says what it took.

usage: peer-run.py STDIN OUTPUT COMMAND…    (commands are separated by "|")
prints one JSON object: {"status": [one for each command], "cpuSeconds": …, "residentKiB": [peak of each command]}
"""
import json
import os
import subprocess
import sys

source, output, *words = sys.argv[1:]
commands = [[]]
for word in words:
    if word == "|":
        commands.append([])
    else:
        commands[-1].append(word)
before = open(source, "rb")
processes = []
for position, command in enumerate(commands):
    last = position == len(commands) - 1
    out = open(output, "wb") if last else subprocess.PIPE
    process = subprocess.Popen(command, stdin=before, stdout=out, stderr=subprocess.DEVNULL)
    before.close()
    before = process.stdout
    processes.append(process)
status, seconds, resident = [], 0, []
for process in processes:
    _, code, usage = os.wait4(process.pid, 0)
    status.append(os.waitstatus_to_exitcode(code))
    seconds += usage.ru_utime + usage.ru_stime
    resident.append(usage.ru_maxrss)
json.dump({"status": status, "cpuSeconds": seconds, "residentKiB": resident}, sys.stdout)
