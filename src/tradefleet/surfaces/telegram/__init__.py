"""Telegram: commands by long polling or webhook, answers in place, notices from the outbox."""

import os

# The library's own way to opt in to time spans as timedelta: without it, each 429 warns.
os.environ.setdefault("PTB_TIMEDELTA", "true")
