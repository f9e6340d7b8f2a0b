"""What a surface is: it brings commands in and takes replies out."""

from typing import Protocol


class Surface(Protocol):
    """Serves until cancelled."""

    async def serve(self) -> None: ...
