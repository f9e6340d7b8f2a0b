"""The risk notice, and the record that a user was shown it and agreed."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

TEXT = (
    "⚠️ Risk notice: trading can lose all the money you put in. What worked in the past need not "
    "work again. Bots, exchanges and this service can fail, and while they do, losses may grow. "
    "Nothing here is advice. Trade only with what you can afford to lose, and try it on paper "
    "first. Your data: /mydata gives you all of it, /deleteme erases you."
)
STOPPED_FOR_NOTICE = "the risk notice has changed; /risk shows it"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskNotice:
    """What every user agrees to before something new is opened; a higher version asks again."""

    version: int = 1
    text: str = TEXT
    text_hash: str = field(init=False)

    def __post_init__(self) -> None:
        written = self.text.encode("utf-8", "replace")
        object.__setattr__(self, "text_hash", hashlib.sha256(written).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """That a user agreed to a version of the notice; surface: where, text_hash: of its words."""

    version: int
    at: datetime
    surface: str
    text_hash: str
