"""What all streams of Bybit share: connection ids, messages as JSON, the words of an operation."""

from base64 import b32hexencode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import orjson

Send = Callable[[str], None]
Message = dict[str, object]


def connection_id(seed: int, number: int) -> str:
    """Return an id such as the venue gives connections; the same for the same run."""
    drawn = sha256(f"{seed}|connection|{number}".encode()).digest()
    return f"{b32hexencode(drawn)[:20].decode().lower()}-{number:x}"


def written(message: object) -> str:
    return orjson.dumps(message).decode()


@dataclass(frozen=True, slots=True)
class Operation:
    """What a client sends: {"op", "args", "req_id"}; id_of it goes into the answer as text."""

    op: str
    args: list[object]
    whole: Message
    number: str | None  # req_id, or reqId on the order entry

    @classmethod
    def read(cls, text: str, id_name: str = "req_id") -> "Operation | None":
        """Return None for what is no JSON object."""
        try:
            words = orjson.loads(text)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(words, dict):
            return None
        args, number = words.get("args"), words.get(id_name)
        return cls(
            op=str(words.get("op", "")),
            args=args if isinstance(args, list) else [],
            whole=words,
            number=None if number is None else str(number),
        )

    def topics(self) -> list[str]:
        return [str(topic) for topic in self.args]


UNREADABLE: Message = {
    "success": False,
    "ret_msg": "Failed to decode incoming data:readObjectStart: expect { or n",
    "op": "",
}
