"""The books of every simulated venue: money is conserved whatever happens, and orders end right."""

from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from venuesim import exchange as books
from venuesim.clock import ManualClock
from venuesim.exchange import BalanceChanged, Exchange, Happening, OrderChanged
from venuesim.instruments import Instrument, pair
from venuesim.orders import Kind, Lifetime, NewOrder, Order, Reason, Refusal, Side, Status
from venuesim.units import UNITS, units

PAIR = pair("BTC/USDT", "0.01", "0.00001", "0.00001")
NAME = PAIR.name


def coarse(**other: object) -> Instrument:
    """Return a pair whose costs are booked in cents, so that nearly every cost is rounded."""
    return replace(PAIR, amount_decimals=2, **other)


def opened(instrument: Instrument = PAIR, **options: object) -> Exchange:
    """Return books with one account, alice, and a pair at 100."""
    exchange = Exchange(clock=ManualClock(0), instruments={NAME: instrument}, **options)
    exchange.open_account("alice")
    exchange.prices[NAME] = units("100")
    return exchange


def funded(**options: object) -> Exchange:
    exchange = opened(**options)
    exchange.deposit("alice", "USDT", units("1000"))
    exchange.deposit("alice", "BTC", units("10"))
    return exchange


def order(side: str = "buy", kind: str = "limit", **fields: object) -> NewOrder:
    """Return a request for one coin; numbers are written as text."""
    amounts = ("quantity", "quote_quantity", "price", "stop_price")
    numbers = {name: units(str(fields.pop(name))) for name in amounts if name in fields}
    if not {"quantity", "quote_quantity"} & numbers.keys():
        numbers["quantity"] = units("1")
    if kind == "limit":
        numbers.setdefault("price", units("90"))
    return NewOrder(symbol=NAME, side=Side(side), kind=Kind(kind), **numbers, **fields)


def refused(exchange: Exchange, request: NewOrder) -> Reason:
    """Return why a request is refused, and check that it left no trace."""
    before = snapshot(exchange)
    with pytest.raises(Refusal) as caught:
        exchange.place("alice", request)
    assert snapshot(exchange) == before
    return caught.value.reason


def snapshot(exchange: Exchange) -> object:
    book = exchange.accounts["alice"]
    return dict(book.free), dict(book.locked), list(book.orders), list(book.live)


def money(exchange: Exchange) -> dict[str, tuple[int, int]]:
    """Return what alice has: free and locked of each asset."""
    book = exchange.accounts["alice"]
    return {asset: (book.free[asset], book.locked[asset]) for asset in sorted(book.free)}


def heard_by(exchange: Exchange) -> list[str]:
    """Return a list that fills with what orders go through."""
    heard: list[str] = []

    def hear(happening: Happening) -> None:
        if isinstance(happening, OrderChanged):
            heard.append(f"{happening.order.id} {happening.what} {happening.order.status}")

    exchange.listeners.append(hear)
    return heard


# ------------------------------------------------------------- what is traded


def test_a_market_order_trades_at_the_far_side_of_the_spread():
    exchange = funded(spread=1000)
    bought = exchange.place("alice", order("buy", "market"))
    sold = exchange.place("alice", order("sell", "market"))
    assert [bought.trades[0].price, sold.trades[0].price] == [units("100.06"), units("99.95")]
    assert bought.status is sold.status is Status.FILLED


def test_a_limit_order_waits_and_trades_at_its_own_price_as_maker():
    exchange = funded()
    waiting = exchange.place("alice", order(price="90"))
    assert waiting.status is Status.OPEN
    exchange.tick(NAME, units("90.01"))
    assert waiting.status is Status.OPEN
    exchange.tick(NAME, units("85"))
    assert (waiting.status, waiting.trades[0].price) == (Status.FILLED, units("90"))
    assert waiting.trades[0].maker
    exchange.tick(NAME, units("80"))
    assert len(exchange.accounts["alice"].trades) == 1


def test_orders_at_one_price_trade_in_the_order_they_came_and_better_prices_first():
    exchange = funded()
    for price in ("90", "91", "90", "92"):
        exchange.place("alice", order(price=price, quantity="0.1"))
    exchange.tick(NAME, units("90"))
    assert [trade.order_id for trade in exchange.accounts["alice"].trades] == [
        1004, 1002, 1001, 1003,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fee_from", "side", "left"),
    [
        ("quote", "buy", {"BTC": "11", "USDT": "899.9"}),
        ("received", "buy", {"BTC": "10.999", "USDT": "900"}),
        ("third", "buy", {"BNB": "0.99", "BTC": "11", "USDT": "900"}),
        ("quote", "sell", {"BTC": "9", "USDT": "1099.9"}),
        ("received", "sell", {"BTC": "9", "USDT": "1099.9"}),
        ("third", "sell", {"BNB": "0.99", "BTC": "9", "USDT": "1100"}),
    ],
)
def test_a_fee_is_paid_from_where_the_account_pays_it(fee_from, side, left):
    exchange = funded(spread=0, fee_from="quote")
    exchange.prices["BNB/USDT"] = units("10")
    book = exchange.accounts["alice"]
    book.fee_from = fee_from
    if fee_from == "third":
        book.fee_asset = "BNB"
        exchange.deposit("alice", "BNB", UNITS)
    exchange.place("alice", order(side, "market"))
    assert {asset: free for asset, (free, _) in money(exchange).items()} == {
        asset: units(amount) for asset, amount in left.items()
    }


def test_when_the_third_asset_is_used_up_the_fee_comes_from_what_is_received():
    exchange = funded(spread=0, fee_from="third")
    exchange.accounts["alice"].fee_asset = "BNB"
    exchange.prices["BNB/USDT"] = units("10")
    exchange.deposit("alice", "BNB", units("0.009"))
    bought = exchange.place("alice", order("buy", "market"))
    assert (bought.trades[0].fee_asset, bought.trades[0].fee) == ("BTC", units("0.001"))


def test_a_seller_who_wants_to_pay_in_base_pays_in_quote_when_he_sells_all_he_has():
    exchange = funded(spread=0)
    some, all_left = (
        exchange.place(
            "alice", order("sell", "market", quantity=quantity, tags={"fee_from": "base"})
        )
        for quantity in ("9", "0.991")
    )
    assert [some.trades[0].fee_asset, all_left.trades[0].fee_asset] == ["BTC", "USDT"]
    assert money(exchange)["BTC"] == (0, 0)


def test_a_buyer_who_pays_in_quote_sets_the_fee_apart_and_cannot_spend_his_last_coin():
    exchange = opened(spread=0)
    exchange.deposit("alice", "USDT", units("100"))
    assert refused(exchange, order("buy", "market")) is Reason.INSUFFICIENT_BALANCE
    exchange.deposit("alice", "USDT", units("0.1"))
    assert exchange.place("alice", order("buy", "market")).status is Status.FILLED
    assert money(exchange) == {"BTC": (units("1"), 0), "USDT": (0, 0)}


def test_in_however_many_parts_an_order_trades_it_never_lacks_the_money_it_set_apart():
    exchange = opened(coarse(), fill_parts=5, spread=0)
    exchange.deposit("alice", "USDT", units("100.1"))
    waiting = exchange.place("alice", order(price="99.99", quantity="1.00007"))
    assert waiting.locked == units("100.1")
    exchange.tick(NAME, units("99.99"))
    assert (waiting.status, len(waiting.trades)) == (Status.FILLED, 5)
    assert money(exchange)["USDT"][0] >= 0


def test_an_order_is_filled_in_parts_and_its_status_says_so():
    exchange = funded(fill_parts=3)
    heard = heard_by(exchange)
    filled = exchange.place("alice", order("buy", "market", quantity="0.1"))
    assert heard == ["1001 new open", "1001 trade partial", "1001 trade partial",
                     "1001 trade filled"]  # fmt: skip
    assert sum(trade.quantity for trade in filled.trades) == units("0.1")
    assert filled.cost == sum(trade.cost for trade in filled.trades)


def test_an_order_at_the_price_others_trade_at_gets_no_more_than_they_trade():
    exchange = funded(fills_by_volume=True)
    first, second = (exchange.place("alice", order(price="90")) for _ in range(2))
    exchange.tick(NAME, units("90"), units("0.4"))
    assert (first.filled, first.status, second.filled) == (units("0.4"), Status.PARTIAL, 0)
    exchange.tick(NAME, units("90"), units("1"))
    assert (first.status, second.filled) == (Status.FILLED, units("0.4"))
    exchange.cancel("alice", second)
    assert (second.status, second.filled) == (Status.CANCELED, units("0.4"))
    assert money(exchange)["USDT"][1] == 0


def test_a_market_is_only_as_deep_as_it_is():
    exchange = funded(depth={NAME: units("0.3")})
    rest = exchange.place("alice", order(price="101"))
    assert (rest.status, rest.filled) == (Status.PARTIAL, units("0.3"))
    at_once = exchange.place("alice", order(price="101", lifetime=Lifetime.IOC))
    assert (at_once.status, at_once.filled) == (Status.EXPIRED, units("0.3"))
    assert refused(exchange, order(price="101", lifetime=Lifetime.FOK)) is Reason.FOK_UNFILLED
    whole = exchange.place("alice", order(price="101", quantity="0.3", lifetime=Lifetime.FOK))
    assert whole.status is Status.FILLED
    exchange.tick(NAME, units("100"))
    assert rest.status is Status.FILLED


# ------------------------------------------------------------- how long it waits


def test_an_instant_order_takes_what_it_can_and_never_waits():
    exchange = funded()
    missed = exchange.place("alice", order(price="90", lifetime=Lifetime.IOC))
    taken = exchange.place("alice", order(price="101", lifetime=Lifetime.IOC))
    assert (missed.status, taken.status) == (Status.EXPIRED, Status.FILLED)
    assert exchange.accounts["alice"].live == {}
    exchange.tick(NAME, units("80"))
    assert missed.filled == 0


def test_all_or_nothing_is_refused_when_it_is_nothing_or_expires_where_a_venue_says_so():
    request = order(price="90", lifetime=Lifetime.FOK)
    assert refused(funded(), request) is Reason.FOK_UNFILLED
    assert funded(fok_expires=True).place("alice", request).status is Status.EXPIRED


def test_an_order_that_may_not_take_is_refused_when_it_would():
    exchange = funded()
    assert refused(exchange, order(price="101", post_only=True)) is Reason.WOULD_TAKE
    assert exchange.place("alice", order(price="99", post_only=True)).status is Status.OPEN


# ------------------------------------------------------------- triggers


@pytest.mark.parametrize(
    ("side", "kind", "stop", "not_yet", "reached"),
    [
        ("sell", "stop_market", "95", "95.01", "95"),
        ("buy", "stop_market", "105", "104.99", "105"),
        ("sell", "profit_market", "105", "104.99", "105"),
        ("buy", "profit_market", "95", "95.01", "95"),
    ],
)
def test_a_trigger_waits_for_its_price_and_then_trades_at_the_market(
    side, kind, stop, not_yet, reached
):
    exchange = funded()
    heard = heard_by(exchange)
    waiting = exchange.place("alice", order(side, kind, stop_price=stop))
    exchange.tick(NAME, units(not_yet))
    assert waiting.status is Status.WAITING
    exchange.tick(NAME, units(reached))
    assert (waiting.status, waiting.triggered) == (Status.FILLED, True)
    assert heard[1:] == ["1001 triggered open", "1001 trade filled"]


def test_a_triggered_limit_waits_for_its_limit():
    exchange = funded()
    waiting = exchange.place("alice", order("sell", "stop_limit", stop_price="95", price="97"))
    exchange.tick(NAME, units("94"))
    assert waiting.status is Status.OPEN
    exchange.tick(NAME, units("96.99"))
    assert waiting.status is Status.OPEN
    exchange.tick(NAME, units("97"))
    assert (waiting.status, waiting.trades[0].price) == (Status.FILLED, units("97"))


def test_a_trigger_on_the_wrong_side_of_the_market_is_refused():
    request = order("sell", "stop_market", stop_price="100")
    assert refused(funded(), request) is Reason.WOULD_TRIGGER


@pytest.mark.parametrize("parts", [1, 3])
def test_a_triggered_buy_that_became_dearer_buys_what_can_be_paid_and_no_more(parts):
    exchange = opened(spread=0, fill_parts=parts)
    exchange.deposit("alice", "USDT", units("110.11"))
    told: list[int] = []
    exchange.listeners.append(lambda happening: told.append(getattr(happening, "free", 0)))
    waiting = exchange.place("alice", order("buy", "stop_market", stop_price="110"))
    exchange.tick(NAME, units("120"))
    assert waiting.status is Status.EXPIRED
    assert units("0.91") < waiting.filled < units("0.92")
    left = money(exchange)["USDT"]
    assert left[1] == 0 and 0 <= left[0] < units("0.002")
    assert min(told) >= 0


def test_an_order_that_holds_nothing_before_its_trigger_is_ended_when_the_money_is_gone():
    exchange = funded()
    waiting = exchange.place("alice", order("sell", "stop_market", stop_price="95", holds=False))
    assert waiting.locked == 0
    exchange.deposit("alice", "BTC", -units("10"))
    exchange.tick(NAME, units("95"))
    assert (waiting.status, waiting.filled) == (Status.CANCELED, 0)


# ------------------------------------------------------------- one cancels the other


def both(exchange: Exchange, side: str = "sell", quantity: str = "10") -> list[Order]:
    """Return the legs of a list: a limit on the good side, a stop on the bad."""
    limit, stop = ("110", "90") if side == "sell" else ("90", "110")
    return exchange.place_oco(
        "alice",
        [
            order(side, "limit", price=limit, quantity=quantity),
            order(side, "stop_market", stop_price=stop, quantity=quantity),
        ],
    )


def test_a_list_sets_the_money_apart_once_and_keeps_its_number():
    exchange = funded()
    limit, stop = both(exchange)
    assert money(exchange)["BTC"] == (0, units("10"))
    assert limit.oco == stop.oco == 1
    exchange.cancel("alice", stop)
    assert (limit.status, stop.status) == (Status.CANCELED, Status.CANCELED)
    assert limit.oco == stop.oco == 1
    assert money(exchange)["BTC"] == (units("10"), 0)


@pytest.mark.parametrize(("price", "winner"), [("110", 0), ("90", 1)])
@pytest.mark.parametrize("side", ["sell", "buy"])
def test_when_one_leg_trades_the_other_expires_and_nothing_stays_locked(side, price, winner):
    exchange = funded()
    quantity = "10" if side == "sell" else "5"
    legs = both(exchange, side, quantity)
    if side == "buy":
        winner = 1 - winner
    exchange.tick(NAME, units(price))
    assert [leg.status for leg in legs] == [
        Status.FILLED if number == winner else Status.EXPIRED for number in (0, 1)
    ]
    assert [locked for _, locked in money(exchange).values()] == [0, 0]


def test_the_lock_of_a_list_is_enough_for_the_leg_that_costs_more():
    exchange = opened(spread=0)
    exchange.deposit("alice", "USDT", units("110.11"))
    limit, stop = both(exchange, "buy", "1")
    assert limit.locked + stop.locked == units("110.11")
    exchange.tick(NAME, units("110"))
    assert (stop.status, money(exchange)["USDT"]) == (Status.FILLED, (0, 0))


def test_a_leg_that_is_half_filled_has_ended_the_other_and_keeps_its_own_lock():
    exchange = funded(fills_by_volume=True)
    limit, stop = both(exchange)
    exchange.tick(NAME, units("110"), units("4"))
    assert (limit.status, stop.status) == (Status.PARTIAL, Status.EXPIRED)
    assert (limit.locked, stop.locked, money(exchange)["BTC"]) == (units("6"), 0, (0, units("6")))
    exchange.cancel("alice", limit)
    assert money(exchange)["BTC"] == (units("6"), 0)


def test_a_list_that_cannot_be_accepted_whole_leaves_no_trace():
    exchange = funded()
    before = snapshot(exchange)
    good, bad = order("sell", price="110"), order("sell", "stop_market", stop_price="101")
    with pytest.raises(Refusal):
        exchange.place_oco("alice", [good, bad])
    twice = [order("sell", price="110", client_id="x"),
             order("sell", "stop_market", stop_price="90", client_id="x")]  # fmt: skip
    with pytest.raises(Refusal) as caught:
        exchange.place_oco("alice", twice)
    assert caught.value.reason is Reason.DUPLICATE_CLIENT_ID
    assert snapshot(exchange) == before


# ------------------------------------------------------------- names and limits


def test_a_client_id_is_free_again_when_its_order_has_ended_where_it_is_unique_among_the_open():
    exchange = funded(unique_ids="live")
    first = exchange.place("alice", order(client_id="x"))
    assert refused(exchange, order(client_id="x")) is Reason.DUPLICATE_CLIENT_ID
    exchange.cancel("alice", first)
    second = exchange.place("alice", order(client_id="x"))
    assert exchange.find("alice", client_id="x") is second


def test_a_client_id_is_never_free_again_where_it_is_unique_for_ever(monkeypatch):
    monkeypatch.setattr(books, "ORDERS_KEPT", 10)
    exchange = funded(unique_ids="ever")
    exchange.cancel("alice", exchange.place("alice", order(client_id="x")))
    for number in range(20):
        exchange.cancel("alice", exchange.place("alice", order(client_id=f"n{number}")))
    assert exchange.find("alice", client_id="x") is None  # forgotten, but not its name
    assert refused(exchange, order(client_id="x")) is Reason.DUPLICATE_CLIENT_ID


def test_two_accounts_may_use_one_client_id():
    exchange = funded()
    exchange.open_account("bob")
    exchange.deposit("bob", "USDT", units("1000"))
    exchange.place("alice", order(client_id="x"))
    assert exchange.place("bob", order(client_id="x")).account == "bob"


def test_old_orders_are_forgotten_and_live_ones_never(monkeypatch):
    monkeypatch.setattr(books, "ORDERS_KEPT", 10)
    exchange = funded()
    kept = exchange.place("alice", order(client_id="keep"))
    for number in range(50):
        exchange.cancel("alice", exchange.place("alice", order(client_id=f"n{number}")))
    book = exchange.accounts["alice"]
    assert len(book.orders) <= 11
    assert exchange.find("alice", client_id="keep") is kept
    assert len(book.by_client_id) == len(book.orders)


@pytest.mark.parametrize(
    ("request_of", "reason"),
    [
        (order(quantity="0.000001"), Reason.BAD_QUANTITY_STEP),
        (order(price="90.001"), Reason.BAD_PRICE_TICK),
        (order(quantity="0.0001"), Reason.NOTIONAL_TOO_SMALL),
        (order(quantity="20"), Reason.INSUFFICIENT_BALANCE),
        (order("sell", quantity="11", price="110"), Reason.INSUFFICIENT_BALANCE),
        (order(quantity="20000000000"), Reason.QUANTITY_TOO_LARGE),
    ],
)
def test_what_a_venue_does_not_take_is_refused_with_its_reason(request_of, reason):
    assert refused(funded(), request_of) is reason


def test_no_more_orders_are_open_than_may_be():
    exchange = funded(open_orders_max=2)
    for _ in range(2):
        exchange.place("alice", order(quantity="0.1"))
    assert refused(exchange, order(quantity="0.1")) is Reason.TOO_MANY_ORDERS


def test_an_order_of_another_account_cannot_be_cancelled_or_amended():
    exchange = funded()
    exchange.open_account("bob")
    waiting = exchange.place("alice", order())
    for act in (exchange.cancel, exchange.amend):
        with pytest.raises(Refusal) as caught:
            act("bob", waiting)
        assert caught.value.reason is Reason.NOT_FOUND


def test_an_amended_order_waits_for_its_new_price_and_not_for_the_old():
    exchange = funded()
    waiting = exchange.place("alice", order(price="90"))
    exchange.amend("alice", waiting, price=units("80"))
    exchange.tick(NAME, units("85"))
    assert waiting.status is Status.OPEN
    exchange.amend("alice", waiting, quantity=units("2"), price=units("84"))
    exchange.tick(NAME, units("84"))
    assert (waiting.status, waiting.filled) == (Status.FILLED, units("2"))


def test_who_cannot_pay_out_what_is_locked_is_refused():
    exchange = funded()
    exchange.place("alice", order("sell", price="110", quantity="10"))
    with pytest.raises(Refusal):
        exchange.deposit("alice", "BTC", -1)


def test_a_stalled_pair_trades_on_but_only_those_who_record_hear_of_it():
    exchange = funded()
    told, recorded = [], []
    exchange.listeners.append(told.append)
    exchange.recorders.append(recorded.append)
    waiting = exchange.place("alice", order(price="90"))
    exchange.stalled.add(NAME)
    told.clear(), recorded.clear()
    exchange.tick(NAME, units("90"))
    assert waiting.status is Status.FILLED
    assert [type(happening).__name__ for happening in told] == [
        type(happening).__name__ for happening in recorded[1:]
    ]
    assert type(recorded[0]).__name__ == "Ticked"
    exchange.stalled.clear()
    exchange.tick(NAME, units("91"))
    assert type(told[-1]).__name__ == "Ticked"


# ------------------------------------------------------------- whatever happens

PRICES = st.integers(8000, 12000).map(lambda cents: cents * UNITS // 100)
SIZES = st.integers(5000, 500_000).map(lambda steps: steps * PAIR.step)
ACCOUNTS = st.sampled_from(["alice", "bob"])
SIDES = st.sampled_from(list(Side))


class Books(RuleBasedStateMachine):
    """Orders of every kind meet prices of every kind; after each step the money is counted."""

    @initialize(
        parts=st.integers(1, 4),
        spread=st.sampled_from([0, 100, 5000]),
        decimals=st.sampled_from([2, 5, 8]),
        fees=st.sampled_from([(0, 0), (1000, 1000), (2500, 4000)]),
        paying=st.lists(st.sampled_from(["quote", "received", "third"]), min_size=2, max_size=2),
        by_volume=st.booleans(),
        depth=st.one_of(st.none(), SIZES),
    )
    def begin(self, parts, spread, decimals, fees, paying, by_volume, depth):
        maker, taker = fees
        instrument = pair("BTC/USDT", "0.01", "0.00001", "0.00001")
        self.exchange = Exchange(
            clock=ManualClock(0),
            instruments={
                NAME: Instrument(
                    base="BTC", quote="USDT", tick=instrument.tick, step=instrument.step,
                    quantity_min=1000, amount_decimals=decimals, maker_fee=maker, taker_fee=taker,
                )
            },
            spread=spread, fill_parts=parts, fills_by_volume=by_volume, fok_expires=by_volume,
            depth={} if depth is None else {NAME: depth},
        )  # fmt: skip
        self.paid_in: Counter[str] = Counter()
        self.told: defaultdict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
        self.exchange.listeners.append(self.hear)
        self.exchange.prices["BNB/USDT"] = units("7.77")
        for name, pays in zip(("alice", "bob"), paying, strict=True):
            book = self.exchange.open_account(name)
            book.fee_from, book.fee_asset = pays, "BNB" if pays == "third" else ""
            for asset, amount in (("USDT", "313.37"), ("BTC", "3.1337"), ("BNB", "0.02")):
                self.pay(name, asset, units(amount))
        self.exchange.tick(NAME, units("100"))

    def hear(self, happening: Happening) -> None:
        if isinstance(happening, BalanceChanged):
            assert happening.free >= 0
            assert happening.locked >= 0
            self.told[happening.account, happening.asset] = (happening.free, happening.locked)

    def pay(self, name: str, asset: str, amount: int) -> None:
        try:
            self.exchange.deposit(name, asset, amount)
        except Refusal:
            return
        self.paid_in[asset] += amount

    @rule(name=ACCOUNTS, asset=st.sampled_from(["USDT", "BTC", "BNB"]), amount=PRICES,
          sign=st.sampled_from([1, -1]))  # fmt: skip
    def pays(self, name, asset, amount, sign):
        self.pay(name, asset, sign * amount)

    @rule(price=PRICES, quantity=SIZES)
    def ticks(self, price, quantity):
        self.exchange.tick(NAME, price, quantity)

    @rule(
        name=ACCOUNTS, side=SIDES, kind=st.sampled_from(list(Kind)), price=PRICES, stop=PRICES,
        quantity=SIZES, lifetime=st.sampled_from(list(Lifetime)), post_only=st.booleans(),
        holds=st.booleans(), client_id=st.sampled_from(["", "x", "y"]),
        tags=st.sampled_from([{}, {"fee_from": "base"}]),
    )  # fmt: skip
    def places(
        self, name, side, kind, price, stop, quantity, lifetime, post_only, holds, client_id, tags
    ):
        request = NewOrder(
            symbol=NAME, side=side, kind=kind, quantity=quantity,
            price=price if kind.has_limit else 0, stop_price=stop if kind.triggers else 0,
            lifetime=lifetime, post_only=post_only and kind is Kind.LIMIT, client_id=client_id,
            holds=holds, tags=dict(tags),
        )  # fmt: skip
        self.trying(lambda: self.exchange.place(name, request))

    @rule(name=ACCOUNTS, side=SIDES, worth=PRICES)
    def places_by_quote(self, name, side, worth):
        request = NewOrder(symbol=NAME, side=side, kind=Kind.MARKET, quote_quantity=worth)
        self.trying(lambda: self.exchange.place(name, request))

    @rule(name=ACCOUNTS, side=SIDES, near=PRICES, far=PRICES, quantity=SIZES)
    def places_a_list(self, name, side, near, far, quantity):
        assume(near != far)
        legs = [
            NewOrder(symbol=NAME, side=side, kind=Kind.LIMIT, quantity=quantity, price=near),
            NewOrder(
                symbol=NAME, side=side, kind=Kind.STOP_MARKET, quantity=quantity, stop_price=far
            ),
        ]
        self.trying(lambda: self.exchange.place_oco(name, legs))

    @rule(name=ACCOUNTS, number=st.integers(0, 20))
    def cancels(self, name, number):
        live = list(self.exchange.accounts[name].live.values())
        if live:
            self.exchange.cancel(name, live[number % len(live)])

    @rule(name=ACCOUNTS, number=st.integers(0, 20), price=PRICES, quantity=SIZES)
    def amends(self, name, number, price, quantity):
        live = [each for each in self.exchange.accounts[name].live.values() if not each.oco]
        if live:
            chosen = live[number % len(live)]
            limit = price if chosen.kind.has_limit else 0
            self.trying(lambda: self.exchange.amend(name, chosen, quantity=quantity, price=limit))

    @rule(name=ACCOUNTS, asset=st.sampled_from(["USDT", "BTC", "BNB"]))
    def pays_out_all(self, name, asset):
        self.pay(name, asset, -self.exchange.accounts[name].free[asset])

    @rule(
        name=ACCOUNTS, side=SIDES, price=PRICES, stop=PRICES, in_base=st.booleans(),
        kind=st.sampled_from([Kind.LIMIT, Kind.STOP_MARKET, Kind.STOP_LIMIT, Kind.MARKET]),
        as_list=st.booleans(),
    )  # fmt: skip
    def spends_all(self, name, side, price, stop, in_base, kind, as_list):
        """Place the largest order that is accepted, so that not a unit is left over."""
        legs = (Kind.LIMIT, Kind.STOP_LIMIT) if as_list else (kind,)

        def requests(quantity: int) -> list[NewOrder]:
            return [
                NewOrder(
                    symbol=NAME, side=side, kind=each, quantity=quantity,
                    price=price if each.has_limit else 0, stop_price=stop if each.triggers else 0,
                    tags={"fee_from": "base"} if in_base else {},
                )
                for each in legs
            ]  # fmt: skip

        def fits(steps: int) -> bool:
            try:
                for request in requests(steps * PAIR.step):
                    self.exchange.test(name, request)
            except Refusal as refusal:
                return refusal.reason is not Reason.INSUFFICIENT_BALANCE
            return True

        low, high = 0, 10_000_000
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        act = self.exchange.place_oco if as_list else self.exchange.place
        wanted = requests(low * PAIR.step)
        self.trying(lambda: act(name, wanted if as_list else wanted[0]))

    def trying(self, act) -> None:
        before = self.state()
        try:
            act()
        except Refusal:
            assert self.state() == before, "a refusal left a trace"

    def state(self) -> object:
        return [
            (dict(book.free), dict(book.locked), list(book.live), len(book.orders))
            for book in self.exchange.accounts.values()
        ]

    @invariant()
    def no_money_comes_or_goes(self):
        totals: defaultdict[str, int] = defaultdict(int)
        for ours in (self.exchange.market, self.exchange.fees):
            for asset, amount in ours.items():
                totals[asset] += amount
        for book in self.exchange.accounts.values():
            for asset in {*book.free, *book.locked}:
                totals[asset] += book.free[asset] + book.locked[asset]
        assert {a: n for a, n in totals.items() if n} == {
            a: n for a, n in self.paid_in.items() if n
        }

    @invariant()
    def nothing_is_below_zero(self):
        for book in self.exchange.accounts.values():
            assert min(book.free.values()) >= 0, dict(book.free)
            assert min(book.locked.values(), default=0) >= 0, dict(book.locked)
        assert min(self.exchange.fees.values(), default=0) >= 0

    @invariant()
    def what_is_locked_is_what_live_orders_lock(self):
        for book in self.exchange.accounts.values():
            locks: defaultdict[str, int] = defaultdict(int)
            for each in book.orders.values():
                asset = each.instrument.base if each.side is Side.SELL else each.instrument.quote
                locks[asset] += each.locked
                assert each.is_live == (each.id in book.live)
                assert each.is_live or not each.locked
            assert {a: n for a, n in locks.items() if n} == {
                a: n for a, n in book.locked.items() if n
            }

    @invariant()
    def an_order_is_the_sum_of_its_trades(self):
        for book in self.exchange.accounts.values():
            for each in book.orders.values():
                assert each.filled == sum(trade.quantity for trade in each.trades)
                assert each.cost == sum(trade.cost for trade in each.trades)
                assert 0 <= each.filled <= each.quantity
                assert (each.status is Status.FILLED) == (each.left == 0)

    @invariant()
    def every_live_order_waits_for_its_price_once(self):
        waiting = Counter(each.id for each in self.exchange._levels[NAME])
        live = Counter(
            each.id for book in self.exchange.accounts.values() for each in book.live.values()
        )
        assert waiting == live

    @invariant()
    def every_live_order_has_set_apart_what_it_may_cost(self):
        for book in self.exchange.accounts.values():
            lists: defaultdict[int, list[Order]] = defaultdict(list)
            for each in book.live.values():
                if each.request.sets_apart or each.status is not Status.WAITING:
                    lists[each.oco or -each.id].append(each)
            for legs in lists.values():
                needs = [
                    self.exchange._lock_for(book, each.instrument, each.request, each.left)[1]
                    for each in legs
                ]
                assert sum(each.locked for each in legs) == max(needs)

    @invariant()
    def no_order_with_a_limit_lacks_money_in_the_end(self):
        for book in self.exchange.accounts.values():
            for each in book.orders.values():
                waits = each.kind.has_limit and each.request.lifetime is Lifetime.GTC
                if waits and each.status is Status.EXPIRED:
                    assert each.oco
                    assert not each.filled

    @invariant()
    def of_two_legs_never_both_traded(self):
        lists: Counter[int] = Counter()
        for book in self.exchange.accounts.values():
            for each in book.orders.values():
                lists[each.oco] += bool(each.oco and each.filled)
        assert max(lists.values(), default=0) <= 1

    @invariant()
    def what_was_told_last_of_an_asset_is_so(self):
        for (name, asset), told in self.told.items():
            book = self.exchange.accounts[name]
            assert told == (book.free[asset], book.locked[asset])


Books.TestCase.settings = settings(
    max_examples=120, stateful_step_count=30, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip
TestBooks = Books.TestCase
