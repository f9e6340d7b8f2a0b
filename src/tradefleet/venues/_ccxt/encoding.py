"""Parameters as a query string."""

import re
from collections.abc import Mapping
from urllib.parse import quote

PLAIN = re.compile(r"[A-Za-z0-9._=&~-]*")


def encoded(params: Mapping[str, str]) -> str:
    """Return parameters as they go into a query or a form, in their order."""
    joined = "&".join([f"{name}={value}" for name, value in params.items()])
    if PLAIN.fullmatch(joined) and joined.count("=") == len(params) > joined.count("&"):
        return joined
    return "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in params.items())
