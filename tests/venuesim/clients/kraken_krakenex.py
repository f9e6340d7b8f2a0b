"""krakenex against a simulated Kraken: run in the clients' own environment."""

import time

import krakenex
from talk import SETTINGS, tell, tick

PAIR = "XXBTZUSD"


def rising():
    """Return a nonce above all that went before, however quickly they are asked for."""
    rising.last = max(rising.last + 1, int(time.time() * 1000))
    return rising.last


rising.last = 0


def client_of(key, secret):
    api = krakenex.API(key, secret)
    api.uri = SETTINGS["url"]
    api._nonce = rising
    return api


def public(api):
    for name, values in [
        ("Time", {}),
        ("SystemStatus", {}),
        ("Assets", {"asset": "XBT,ETH,USD"}),
        ("AssetPairs", {"pair": "XBTUSD"}),
        ("Ticker", {"pair": "XBTUSD,ETHUSD"}),
        ("OHLC", {"pair": "XBTUSD", "interval": 1}),
        ("Depth", {"pair": "XBTUSD", "count": 3}),
        ("Trades", {"pair": "XBTUSD"}),
        ("Spread", {"pair": "XBTUSD"}),
    ]:
        answer = api.query_public(name, values)
        tell(name, answer["result"] if answer["error"] == [] else answer["error"])


def found(api, name, **values):
    answer = api.query_private(name, values)
    return answer["error"] or answer["result"]


def life_of_an_order(api):
    order = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.1"}
    placed = found(api, "AddOrder", **order, price="60000", cl_ord_id="mine")
    (txid,) = placed["txid"]
    tell("placed", placed)
    tell("open", found(api, "OpenOrders")["open"][txid])
    tick("BTC/USD", "59900")
    tell("closed", found(api, "QueryOrders", txid=txid, trades="true")[txid])
    tell("trades", found(api, "TradesHistory"))
    tell("ledger", found(api, "Ledgers"))
    (second,) = found(api, "AddOrder", **order, price="50000")["txid"]
    tell("cancelled", found(api, "CancelOrder", txid=second))
    tell("cancelled again", found(api, "CancelOrder", txid=second))
    tell("history", found(api, "ClosedOrders")["closed"][second]["status"])
    tell("too dear", found(api, "AddOrder", **(order | {"volume": "100"}), price="50000"))
    tell("too small", found(api, "AddOrder", **(order | {"volume": "0.00001"}), price="50000"))


def balances(api):
    tell("balance", found(api, "Balance"))
    tell("extended", found(api, "BalanceEx"))
    tell("rights", found(api, "GetApiKeyInfo")["permissions"])


def refusals(api):
    tell("wrong key", found(client_of("A" * 56, SETTINGS["secret"]), "Balance"))
    tell("wrong secret", found(client_of(SETTINGS["api_key"], "A" * 88), "Balance"))
    again = rising()
    api._nonce = lambda: again
    tell("first use", found(api, "Balance").keys() >= {"ZUSD"})
    tell("same nonce", found(api, "Balance"))


api = client_of(SETTINGS["api_key"], SETTINGS["secret"])
public(api)
balances(api)
life_of_an_order(api)
refusals(api)
api.close()
