"""L2: real host processes and real sockets, killed and stopped while they trade."""

from judge.evidence import Evidence


def run(seconds: float, seed: int, database: str) -> Evidence:
    """Let hosts trade among faults for so many seconds; return what that left behind.

    database: sqlite or postgres. It takes half a minute more until all has come to rest.
    """
    from judge.processes.running import run_whole  # hosts need nothing of it

    return run_whole(seconds, seed, database).evidence
