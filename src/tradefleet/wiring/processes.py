"""The names of processes in the database, and what is kept for one that is no more."""

import os
import socket

from tradefleet.store import Store


def process_name() -> str:
    """Return this process's name among all that share the database."""
    return f"{socket.gethostname()}:{os.getpid()}"


def is_dead(owner: str) -> bool:
    """Say whether a name is that of a process of this machine that is no more."""
    machine, _, pid = owner.rpartition(":")
    return machine == socket.gethostname() and pid.isdigit() and not is_running(int(pid))


def is_running(pid: int) -> bool:
    """Say whether another process has this number."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


async def let_go(store: Store, owner: str) -> None:
    """Free what a process does for all, so that nobody waits until it runs out."""
    for duty in await store.duties.held():
        if duty.owner == owner:
            await store.duties.release(duty)


async def let_go_of_the_dead(store: Store) -> None:
    """Free the users of processes of this machine that are no more, so that nobody waits.

    A process that was killed could not let go itself; elsewhere its leases run out by time.
    """
    for owner in await store.lease_owners():
        if is_dead(owner):
            await store.release_leases(owner)
    for duty in await store.duties.held():
        if is_dead(duty.owner):
            await store.duties.release(duty)
    for report in await store.health.reports():
        if is_dead(report.owner):
            await store.health.forget_report(report.owner)
