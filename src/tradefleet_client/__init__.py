"""A client of a Tradefleet service: every command as a typed method, over its HTTP interface."""

from tradefleet_client.client import Client
from tradefleet_client.events import Event
from tradefleet_client.talk import Answer, RequestFailed

__all__ = ["Answer", "Client", "Event", "RequestFailed"]
