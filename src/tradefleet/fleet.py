"""What a fleet is: wherever hosts run, in this process or on many machines."""

from typing import Protocol


class Fleet(Protocol):
    """Runs hosts until cancelled; which host runs which user is decided by leases alone."""

    async def run(self) -> None: ...
