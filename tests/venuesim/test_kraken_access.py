"""The simulated Kraken's door: keys, signatures, nonces, addresses, rights, counters and modes."""

import json
from base64 import b64decode

import pytest

from tests.venuesim.kraken_asking import Kraken, simulated_kraken
from venuesim import kraken
from venuesim.kraken.access import NONCES_KEPT, signature
from venuesim.kraken.keys import RIGHTS
from venuesim.kraken.limits import LOCKOUT_AFTER, LOCKOUT_MS, PUBLIC_MAX
from venuesim.kraken.routes import PRIVATE, PUBLIC
from venuesim.wire import Call


@pytest.fixture
def venue() -> Kraken:
    return simulated_kraken()


@pytest.fixture
def strict() -> Kraken:
    """A venue that counts."""
    return simulated_kraken(limits=True)


# ------------------------------------------------------------ key and signature


def test_a_signature_is_that_of_krakens_own_example():
    secret = (
        "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
    )
    body = b"nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"
    expected = (
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
    )
    assert signature(secret, "/0/private/AddOrder", "1616492376594", body) == expected


def test_a_key_has_the_lengths_of_krakens_and_every_key_is_another(venue: Kraken):
    alice, bob = venue.client("alice").key, venue.client("bob").key
    assert len(alice.api_key) == 56
    assert len(b64decode(alice.secret)) == 64
    assert {alice.api_key, alice.secret}.isdisjoint({bob.api_key, bob.secret})


def test_a_permission_kraken_does_not_have_is_refused_when_a_key_is_made(venue: Kraken):
    with pytest.raises(ValueError, match="no permission called fly"):
        kraken.make_key(venue.place, "alice", {"read", "fly"})


def test_an_unknown_or_revoked_or_ended_key_is_invalid(venue: Kraken):
    alice = venue.client()
    alice.ask("Balance")
    alice.key.expires_ms = venue.clock.now_ms() + 1000
    alice.ask("Balance")
    venue.later(1)
    assert alice.refusal("Balance") == "EAPI:Invalid key"
    alice.key.expires_ms = None
    alice.ask("Balance")
    alice.key.revoked = True
    assert alice.refusal("Balance") == "EAPI:Invalid key"
    alice.key.revoked = False
    alice.key.api_key = "nobody's"
    assert alice.refusal("Balance") == "EAPI:Invalid key"


def test_a_call_without_a_key_is_invalid(venue: Kraken):
    answer = venue.desk.handle(Call(method="POST", path="/0/private/Balance", body=b"nonce=1"))
    assert answer.body == b'{"error":["EAPI:Invalid key"]}'


def test_another_secret_gives_an_invalid_signature_and_uses_no_nonce(venue: Kraken):
    alice, bob = venue.client("alice"), venue.client("bob")
    assert alice.refusal("Balance", secret=bob.key.secret, nonce=9) == "EAPI:Invalid signature"
    alice.ask("Balance", nonce=9)


def test_a_changed_body_gives_an_invalid_signature(venue: Kraken):
    alice = venue.client()
    body, path = b"nonce=1&volume=1", "/0/private/Balance"
    headers = {
        "api-key": alice.key.api_key,
        "api-sign": signature(alice.key.secret, path, "1", body),
    }
    changed = Call(method="POST", path=path, body=body + b"0", headers=headers)
    assert venue.desk.handle(changed).body == b'{"error":["EAPI:Invalid signature"]}'


def test_a_form_and_json_are_signed_alike(venue: Kraken):
    alice = venue.client()
    assert alice.ask("QueryOrders", txid="OAAAAA-AAAAA-AAAAAA") == {}
    assert alice.ask("QueryOrders", {"txid": "OAAAAA-AAAAA-AAAAAA"}, as_json=True) == {}


def test_a_body_that_is_no_json_is_an_invalid_argument(venue: Kraken):
    alice = venue.client()
    path = "/0/private/Balance"
    for body in (b"{", b"[1]"):
        headers = {
            "api-key": alice.key.api_key,
            "api-sign": signature(alice.key.secret, path, "", body),
            "content-type": "application/json",
        }
        answer = venue.desk.handle(Call(method="POST", path=path, body=body, headers=headers))
        assert answer.body == b'{"error":["EGeneral:Invalid arguments"]}'


def test_a_key_bound_to_addresses_is_denied_elsewhere(venue: Kraken):
    alice = venue.client(ips=("203.0.113.7",))
    assert alice.refusal("Balance") == "EGeneral:Permission denied"
    alice.ask("Balance", ip="203.0.113.7")


# ------------------------------------------------------------------- the nonce


def test_a_nonce_must_rise(venue: Kraken):
    alice = venue.client()
    alice.ask("Balance", nonce=1000)
    assert alice.refusal("Balance", nonce=1000) == "EAPI:Invalid nonce"
    assert alice.refusal("Balance", nonce=999) == "EAPI:Invalid nonce"
    alice.ask("Balance", nonce=1001)


@pytest.mark.parametrize("nonce", ["", "0", "-5", "1.5", "soon", str(2**64)])
def test_a_nonce_is_a_whole_number_of_64_bits(venue: Kraken, nonce: str):
    assert venue.client().refusal("Balance", nonce=nonce) == "EAPI:Invalid nonce"


def test_a_nonce_window_lets_late_calls_pass_once(venue: Kraken):
    alice = venue.client()
    alice.key.nonce_window = 100
    alice.ask("Balance", nonce=1000)
    alice.ask("Balance", nonce=950)
    assert alice.refusal("Balance", nonce=950) == "EAPI:Invalid nonce"
    assert alice.refusal("Balance", nonce=1000) == "EAPI:Invalid nonce"
    assert alice.refusal("Balance", nonce=900) == "EAPI:Invalid nonce"
    alice.ask("Balance", nonce=901)


def test_what_is_remembered_of_nonces_has_an_end(venue: Kraken):
    alice = venue.client()
    alice.key.nonce_window = 10
    for nonce in range(1, NONCES_KEPT + 50):
        venue.desk.floor.access._use_nonce(alice.key, {"nonce": str(nonce)})
    assert len(venue.desk.floor.access._nonces[alice.key.api_key]) <= NONCES_KEPT


def test_a_call_refused_for_itself_has_used_its_nonce(venue: Kraken):
    alice = venue.client(permissions=("read",))
    assert alice.refusal("AddOrder", alice.order(), nonce=7) == "EGeneral:Permission denied"
    assert alice.refusal("Balance", nonce=7) == "EAPI:Invalid nonce"


# ---------------------------------------------------------------------- rights


def test_every_private_call_but_that_about_the_key_needs_a_right(venue: Kraken):
    nobody = venue.client("nobody", permissions=())
    allowed = {name for name in PRIVATE if nobody.answer(name).body.startswith(b'{"error":[],')}
    assert allowed == {"GetApiKeyInfo"}
    for name in PRIVATE:
        if name not in allowed:
            assert nobody.refusal(name) == "EGeneral:Permission denied"


def test_a_key_that_only_reads_can_look_at_everything_and_change_nothing(venue: Kraken):
    reader = venue.client(permissions=("read",))
    for name, route in PRIVATE.items():
        denied = b"Permission denied" in reader.answer(name).body
        assert denied == (route.action in ("create", "cancel", "other")), name


def test_rights_can_be_given_in_krakens_words(venue: Kraken):
    alice = venue.client(permissions=("query-funds", "close-trades"))
    alice.ask("Balance")
    alice.ask("CancelAll")
    assert alice.refusal("OpenOrders") == "EGeneral:Permission denied"
    assert alice.refusal("AddOrder", alice.order()) == "EGeneral:Permission denied"


def test_what_a_key_is_told_about_itself_has_krakens_fields(venue: Kraken):
    alice = venue.client(permissions=("read", "trade", "withdraw"), ips=("127.0.0.1",))
    alice.key.label = "first bot"
    told = alice.ask("GetApiKeyInfo", nonce=1772627060997)
    assert told == {
        "apiKeyName": "first bot",
        "apiKey": alice.key.api_key,
        "nonce": "1772627060997",
        "nonceWindow": 0,
        "permissions": [
            "query-funds", "withdraw-funds", "query-open-trades", "query-closed-trades",
            "modify-trades", "close-trades", "query-ledger", "create-ws-token",
        ],
        "iban": told["iban"],
        "validUntil": "0",
        "queryFrom": "0",
        "queryTo": "0",
        "createdTime": str(venue.clock.now_ms() // 1000),
        "modifiedTime": str(venue.clock.now_ms() // 1000),
        "ipAllowlist": ["127.0.0.1"],
        "lastUsed": str(venue.clock.now_ms() // 1000),
    }  # fmt: skip
    assert [len(part) for part in told["iban"].split()] == [4, 4, 4, 4]
    alice.key.permissions = set(RIGHTS)
    assert alice.ask("GetApiKeyInfo", nonce=1772627060998)["permissions"] == list(RIGHTS)


def test_the_answer_says_whose_key_signed_even_when_it_says_no(venue: Kraken):
    alice = venue.client(permissions=("read",))
    assert alice.answer("Balance").account == "alice"
    denied = alice.answer("AddOrder", alice.order(cl_ord_id="first"))
    assert (denied.account, denied.client_id, denied.order) == ("alice", "first", None)
    assert alice.answer("Balance", secret="AAAA").account == ""


# ------------------------------------------------------------------ the counters


def test_calls_are_counted_for_each_key_and_forgotten_with_time(strict: Kraken):
    alice, bob = strict.client("alice"), strict.client("bob")
    strict.desk.floor.limits.tiers["alice"] = kraken.STARTER
    for _ in range(15):
        alice.ask("Balance")
    assert alice.refusal("Balance") == "EAPI:Rate limit exceeded"
    bob.ask("Balance")
    strict.later(3)  # 0.33 a second
    assert alice.refusal("Balance") == "EAPI:Rate limit exceeded"
    strict.later(0.1)
    alice.ask("Balance")
    assert alice.refusal("Balance") == "EAPI:Rate limit exceeded"


def test_history_counts_twice_and_orders_do_not_count(strict: Kraken):
    alice = strict.client()
    for _ in range(10):
        alice.ask("TradesHistory")
    assert alice.refusal("Ledgers") == "EAPI:Rate limit exceeded"
    alice.place()
    alice.ask("CancelOrder", txid=alice.place())


@pytest.mark.parametrize(
    ("tier", "calls", "orders"),
    [(kraken.STARTER, 15, 60), (kraken.INTERMEDIATE, 20, 125), (kraken.PRO, 20, 180)],
)
def test_a_tier_says_how_much_is_too_much(
    strict: Kraken, tier: kraken.Tier, calls: int, orders: int
):
    alice = strict.client(USD="1000000")
    strict.desk.floor.limits.tiers["alice"] = tier
    for _ in range(calls):
        alice.ask("Balance")
    assert alice.refusal("Balance") == "EAPI:Rate limit exceeded"
    for _ in range(orders):
        alice.ask("AddOrder", alice.order(validate="true"))
    assert alice.refusal("AddOrder", alice.order()) == "EOrder:Rate limit exceeded"
    other = alice.order(pair="ETHUSD", price="3000", validate="true")
    assert alice.refusal("AddOrder", alice.order()) == "EOrder:Rate limit exceeded"
    alice.ask("AddOrder", other)


@pytest.mark.parametrize(
    ("age", "cost"),
    [(0, 8), (4.9, 8), (5, 6), (10, 5), (15, 4), (45, 2), (90, 1), (300, 0)],
)
def test_a_young_order_costs_more_to_cancel(strict: Kraken, age: float, cost: int):
    alice = strict.client()
    txid = alice.place()
    strict.later(age)
    counter = strict.desk.floor.limits.orders.of("alice", "BTC/USD")
    before = counter.now(strict.clock.now_ms(), kraken.INTERMEDIATE.orders_decay)
    alice.ask("CancelOrder", txid=txid)
    assert counter.level - before == pytest.approx(cost)


def test_a_cancel_is_never_too_much(strict: Kraken):
    alice = strict.client()
    txids = [alice.place(volume="0.01") for _ in range(20)]
    for txid in txids[:-1]:
        assert alice.ask("CancelOrder", txid=txid) == {"count": 1}
    assert alice.refusal("AddOrder", alice.order()) == "EOrder:Rate limit exceeded"
    assert alice.ask("CancelOrder", txid=txids[-1]) == {"count": 1}


def test_an_order_counts_even_if_it_is_refused_for_itself(strict: Kraken):
    alice = strict.client()
    alice.refusal("AddOrder", alice.order(volume="1000"))
    assert strict.desk.floor.limits.orders.of("alice", "BTC/USD").level == 1


def test_so_many_orders_of_one_pair_may_be_open(venue: Kraken):
    alice = venue.client(USD="1000000")
    venue.desk.floor.limits.tiers["alice"] = kraken.STARTER
    for _ in range(60):
        alice.place(volume="0.001")
    assert alice.refusal("AddOrder", alice.order()) == "EOrder:Orders limit exceeded"
    alice.place(pair="ETHUSD", price="3000", volume="0.01")


def test_public_calls_are_counted_by_address_and_histories_by_pair(strict: Kraken):
    for _ in range(PUBLIC_MAX):
        strict.public("Time")
    assert strict.public_answer("Ticker") == {"error": ["EGeneral:Too many requests"]}
    assert strict.public_answer("Time", ip="203.0.113.7")["error"] == []
    for _ in range(PUBLIC_MAX):
        strict.public("OHLC", pair="XBTUSD")
    assert strict.public_answer("OHLC", pair="XBTUSD")["error"] == ["EGeneral:Too many requests"]
    strict.public("OHLC", pair="ETHUSD")
    strict.later(1)
    strict.public("Time")


def test_a_key_that_fails_too_often_in_a_row_is_locked_out_for_a_while(strict: Kraken):
    alice, bob = strict.client("alice"), strict.client("bob")
    for _ in range(LOCKOUT_AFTER - 1):
        assert alice.refusal("Balance", secret="AAAA") == "EAPI:Invalid signature"
    alice.ask("Balance")
    for _ in range(LOCKOUT_AFTER):
        assert alice.refusal("Balance", secret="AAAA") == "EAPI:Invalid signature"
    assert alice.refusal("Balance") == "EGeneral:Temporary lockout"
    bob.ask("Balance")
    strict.later(LOCKOUT_MS / 1000)
    alice.ask("Balance")


def test_nothing_is_counted_where_limits_are_off(venue: Kraken):
    alice = venue.client(USD="1000000")
    for _ in range(130):
        alice.ask("Balance")
        alice.ask("AddOrder", alice.order(validate="true"))
        venue.public("Time")


# ------------------------------------------------------------- modes and routes


@pytest.mark.parametrize("mode", ["maintenance", "cancel_only", "post_only", "limit_only"])
def test_the_status_says_the_mode_by_krakens_word(venue: Kraken, mode: str):
    assert venue.public("SystemStatus")["status"] == "online"
    venue.place.maintenance = mode
    assert venue.public("SystemStatus") == {
        "status": mode,
        "timestamp": "2026-11-21T12:00:00Z",
    }


def test_in_maintenance_all_but_the_time_and_the_status_is_unavailable(venue: Kraken):
    alice = venue.client()
    txid = alice.place()
    venue.place.maintenance = "maintenance"
    for name in PRIVATE:
        assert alice.refusal(name) == "EService:Unavailable"
    open_calls = {name for name in PUBLIC if venue.public_answer(name)["error"] == []}
    assert open_calls == {"Time", "SystemStatus"}
    venue.place.maintenance = ""
    assert alice.row(txid)["status"] == "open"


def test_modes_let_through_what_they_are_called_after(venue: Kraken):
    alice = venue.client()
    txid = alice.place()
    venue.place.maintenance = "cancel_only"
    for method, values in (
        ("AddOrder", alice.order()),
        ("AmendOrder", {"txid": txid, "limit_price": "59000"}),
    ):
        assert alice.refusal(method, values) == "EService:Market in cancel_only mode"
    assert alice.ask("CancelOrder", txid=txid) == {"count": 1}
    venue.place.maintenance = "post_only"
    assert alice.refusal("AddOrder", alice.order()) == "EService:Market in post_only mode"
    alice.place(oflags="post")
    venue.place.maintenance = "limit_only"
    market = alice.order(ordertype="market", price=None)
    assert alice.refusal("AddOrder", market) == "EService:Market in limit_only mode"
    alice.place()


def test_what_there_is_no_call_for_is_an_unknown_method(venue: Kraken):
    assert venue.public_answer("Weather") == {"error": ["EGeneral:Unknown method"]}
    assert venue.client().refusal("WithdrawEverything") == "EGeneral:Unknown method"
    assert venue.client().refusal("Balance", http="GET") == "EGeneral:Unknown method"
    elsewhere = venue.desk.handle(Call(method="GET", path="/nowhere"))
    assert elsewhere.status == 404
    assert json.loads(elsewhere.body) == {"error": ["EGeneral:Unknown method"]}


def test_every_call_is_about_something_the_journal_and_faults_know(venue: Kraken):
    known = {
        "create", "cancel", "order", "orders", "trades", "balance", "key", "market", "time",
        "stream", "other",
    }  # fmt: skip
    for kind, routes in (("public", PUBLIC), ("private", PRIVATE)):
        for name, route in routes.items():
            call = Call(method="POST", path=f"/api.kraken.com/0/{kind}/{name}")
            assert venue.desk.action(call) == route.action
            assert route.action in known
    assert venue.desk.action(Call(method="GET", path="/0/public/Weather")) == "other"
    about = {name: PRIVATE[name].action for name in ("AddOrder", "CancelOrder", "QueryOrders")}
    assert about == {"AddOrder": "create", "CancelOrder": "cancel", "QueryOrders": "order"}
