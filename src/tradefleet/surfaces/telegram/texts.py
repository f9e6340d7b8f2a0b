"""What the bot itself says, besides the replies of commands."""

from math import ceil

DELETED = "🗑 I deleted your message, because it held keys."
NOT_DELETED = (
    "⚠️ I could not delete your message with the keys. Delete it yourself now, and revoke those "
    "keys at the exchange."
)
LOOKED_LIKE_KEYS = (
    "It looked as if it held an API key. If you want to connect an exchange, /help says how."
)
NOT_EDITED = "I do not run edited messages; send the command anew."
NO_COMMAND = "I understand commands, such as /status. /help lists them all."
FORWARDED = "I do not run what was forwarded; type the command yourself."
IN_GROUP = "Let us talk in private: open a chat with me and send /start."
KEYS_IN_GROUP = (
    "⚠️ Never send keys to a group: others may have read them. {fate} Revoke those keys at the "
    "exchange now, make new ones, and talk to me in private."
)
GROUP_DELETED = "I deleted your message."
GROUP_NOT_DELETED = "I could not delete your message; delete it yourself."

UNKNOWN_BUTTON = "I do not know this button; send the command again."
NOT_YOUR_BUTTON = "This button is not for you."
CLOSED = "This question is closed; send the command again."
EXPIRED = "⌛ {command}: you did not answer within a minute, so nothing was changed."
CANCELLED = "❌ {command}: cancelled, nothing was changed."
CONFIRMED = "✅ {command}: confirmed."
QUESTION = "⚠️ {command}\n{summary}. Are you sure? Answer within a minute."

UNKNOWN_OUTCOME = (
    "⏳ The exchange has not said whether it accepted this. We are finding out; please do not send "
    "it again. /status shows what came of it."
)
VENUE_REFUSED = "❌ The exchange refused: {reason}"
VENUE_AWAY = "❌ The exchange cannot be reached now; nothing was changed. Try again in a minute."
STORE_AWAY = "❌ Our database cannot be used now; nothing was changed. Try again in a minute."
FAULT = (
    "❌ Something went wrong on our side; nothing was changed. Please try again. If it happens "
    "again, tell support this number: {number}"
)
FAULT_AFTERWARDS = (
    "❌ Your command was carried out, but something went wrong on our side when answering. If it "
    "happens again, tell support this number: {number}"
)


def too_many(wait: float) -> str:
    return f"Too many commands; try again in {ceil(wait)} s."


def fate_of_keys(deleted: bool) -> str:
    return DELETED if deleted else NOT_DELETED


def keys_in_group(deleted: bool) -> str:
    return KEYS_IN_GROUP.format(fate=GROUP_DELETED if deleted else GROUP_NOT_DELETED)
