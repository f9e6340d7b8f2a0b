"""Imports everything once and forks hosts: `python -m judge.processes.zygote`.

It reads one line of JSON per command on its input and tells on its output what began and ended.
It has no loop and no thread, so that what it forks starts clean. Its input ended, all end.
"""

import gc
import os
import select
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from judge.processes import founding, host
from judge.processes.founding import Client
from judge.processes.host import Part
from tradefleet import strategies
from tradefleet.plugins import find_plugins
from tradefleet.stores.sql import schema
from tradefleet.venues import binance, bybit, kraken
from tradefleet.venues._ccxt.library import exchange_class
from tradefleet.venues._ccxt.wire import trusted

WARMED = (binance, bybit, kraken)  # what hosts import late, they find imported
LOOK_SECONDS = 0.5
LINE_MAX = 1 << 20


def say(**fields: object) -> None:
    sys.stdout.write(orjson.dumps(fields).decode() + "\n")
    sys.stdout.flush()


def warm() -> None:
    """Do once what every host would do for itself, and keep it out of their collectors' way."""
    trusted()
    schema.newest()
    find_plugins(strategies, "STRATEGY")
    for venue in (binance, bybit, kraken):
        exchange_class(venue.VENUE.name)
    gc.collect()
    gc.freeze()


def forked(words: Mapping[str, Any]) -> int:
    """Fork a process that does what the words say; return its number."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        act(words)
        status = 0
    finally:
        if status:
            os.write(2, traceback.format_exc().encode(errors="replace"))
        os._exit(status)


def act(words: Mapping[str, Any]) -> None:
    folder, log = Path(words["folder"]), Path(words["log"])
    if words["do"] == "host":
        host.become(folder, log, words["variables"], Part(**words["part"]))
        return
    clients = [Client(**each) for each in words["clients"]]
    founding.found(folder, log, words["variables"], clients, words["symbols"], words["period"])


def reap(children: dict[int, str]) -> None:
    """Tell of children that have ended; nobody may find their numbers taken."""
    while children:
        pid, status, used = os.wait4(-1, os.WNOHANG)
        if not pid:
            return
        code, cpu = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
        say(ended=children.pop(pid, ""), pid=pid, code=code, cpu=cpu)


def main() -> None:
    warm()
    children: dict[int, str] = {}
    hear, tell = os.pipe()
    for end in (hear, tell):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(tell)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    say(ready=os.getpid())
    rest = b""
    while True:
        ready, _, _ = select.select([0, hear], [], [], LOOK_SECONDS)
        if hear in ready:
            os.read(hear, 4096)
        reap(children)
        if 0 not in ready:
            continue
        data = os.read(0, LINE_MAX)
        if not data:
            break
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            words = orjson.loads(line)
            pid = forked(words)
            children[pid] = words["name"]
            say(started=words["name"], pid=pid)
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    while children:
        pid, _ = os.waitpid(-1, 0)
        children.pop(pid, None)


if __name__ == "__main__":
    main()
