"""A client that waits for ever: the tests' limit must end it."""

import threading

from talk import tell

tell("started", True)
threading.Event().wait()
