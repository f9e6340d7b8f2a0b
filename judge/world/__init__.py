"""L1 of the judge: whole nodes of the service in one process, in made-up time, by seeded chance.

    from judge import world
    evidence = world.run(7, "kraken")            # a hostile world, whose faults follow from 7
    evidence = world.run(7, "kraken", size=world.calm())     # nothing goes wrong in it

run() is synchronous and deterministic: the same seed, venue and size give the same journal, to
the last byte, on every machine. Nothing in it opens a socket, starts a thread or reads a clock.

What stands where, for whoever puts a foreign system or a mutant into it:
  loop.py     the event loop whose time jumps to the next timer
  desk.py     DirectVenue: a venue that is called directly (integer books, hash-chained journal)
  network.py  Network.ask(account, call): carries a call through the weather; raises NotSent,
              NoAnswer, Damaged; knows nothing of the service, so that any client can use it
  plan.py     Plan: which fault strikes which call; seasons steer to the coverage cells
  link.py     WorldLink: the adapter that is modelled (classify_create, id_of, unreadable and
              _is_late are what a mutant may spoil)
  process.py  HostProcess: one node of the service; HostStore: the store as it reaches it
  ground.py   World: everything together; World.run() plays it once
  size.py     Size, calm(), hostile(): how large a world is, and how hostile
"""

from judge.world.playing import Played, play, run
from judge.world.size import Size, calm, hostile

__all__ = ["Played", "Size", "calm", "hostile", "play", "run"]
