"""The ledger: against the venue's balances, against itself, against what bots say they hold."""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from judge.case import Case, units_of
from judge.checks.exposure import shown
from judge.finding import Finding
from judge.journals import balances

FEES = "fees"
OUTSIDE = frozenset({"market", FEES, "external"})  # places that are not in the account
ZERO = Decimal(0)


def ledger_diff(case: Case) -> Iterable[Finding]:
    """Compare what the ledger says an account has with what the venue's own lines come to."""
    here: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for posting in case.evidence.database.postings:
        if posting.place not in OUTSIDE:
            here[posting.account_id, posting.asset] += posting.amount
    there: defaultdict[tuple[str, str], int] = defaultdict(int)
    for venue, journal in case.journals.items():
        for account, amounts in balances(journal).items():
            owned = case.places.get((venue, account))
            for asset, amount in amounts.items() if owned is not None else ():
                if owned is not None:
                    there[owned.account_id, asset] += amount
    for account_id, asset in sorted({*here, *there}):
        if account_id not in case.owners:
            continue
        booked, held = here[account_id, asset], there[account_id, asset]
        off = abs(units_of(booked - Decimal(held).scaleb(-8)))
        if off:
            yield Finding(
                counter="ledger_diff_units",
                at_ms=case.ended_ms,
                account_id=account_id,
                text=f"the ledger has {booked} {asset} and the venue {shown(held)}",
                asset=asset,
                amount=off,
            )


def unbalanced(case: Case) -> Iterable[Finding]:
    sums: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    accounts: dict[tuple[str, str, str], str] = {}
    for posting in case.evidence.database.postings:
        key = (posting.user_id, posting.entry_id, posting.asset)
        sums[key] += posting.amount
        accounts[key] = posting.account_id
    seen: set[tuple[str, str]] = set()
    for key, total in sums.items():
        user, entry, asset = key
        if total and (user, entry) not in seen:
            seen.add((user, entry))
            yield Finding(
                counter="unbalanced_tx",
                at_ms=case.ended_ms,
                account_id=accounts[key],
                text=f"ledger entry {entry} is off by {total} {asset}",
                asset=asset,
            )


def positions(case: Case) -> Iterable[Finding]:
    """No bot may count on more of a coin than its own place in the ledger has."""
    places: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for posting in case.evidence.database.postings:
        places[posting.place, posting.asset] += posting.amount
    accounts = {
        contract.bot_id: owned.account_id
        for owned in case.evidence.owned
        for contract in owned.contracts
    }
    for held in case.evidence.database.held:
        base = held.symbol.partition("/")[0]
        has = places[f"bot:{held.bot_id}", base]
        if held.quantity > has:
            yield Finding(
                counter="position_diff_units",
                at_ms=case.ended_ms,
                account_id=accounts.get(held.bot_id, ""),
                text=f"{held.bot_id} holds {held.quantity} {base}, and its place in the ledger"
                f" has {has}",
                asset=base,
                amount=units_of(held.quantity - has),
            )


def fees(case: Case) -> Iterable[Finding]:
    """Each fill's fee must be in its ledger entry: a difference may else pass for a movement."""
    booked: defaultdict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    for posting in case.evidence.database.postings:
        if posting.place == FEES:
            of_fill = posting.entry_id.rpartition(":")[2]
            booked[posting.account_id, of_fill, posting.asset] += posting.amount
    for fill in case.evidence.database.fills:
        has = booked[fill.account_id, fill.id, fill.fee_asset]
        if has != fill.fee:
            yield Finding(
                counter="fee_diff_units",
                at_ms=case.ended_ms,
                account_id=fill.account_id,
                text=f"fill {fill.id} took a fee of {fill.fee} {fill.fee_asset}, and its ledger"
                f" entry has {has}",
                orders=(fill.order_id,),
                asset=fill.fee_asset,
                amount=units_of(abs(fill.fee - has)),
            )


def reservations(case: Case) -> Iterable[Finding]:
    """Read what the world saw set apart in the end, though nothing was under way."""
    for each in case.happened("reserved"):
        amount = units_of(Decimal(str(each.fields.get("amount", 0))))
        if amount:
            yield Finding(
                counter="unreleased_reservations",
                at_ms=each.at_ms,
                account_id=str(each.fields.get("account_id", "")),
                text=f"{each.fields.get('bot_id', 'a bot')} still sets {shown(amount)} apart,"
                " and no order of it is under way",
                orders=(str(each.fields["order"]),) if each.fields.get("order") else (),
            )
