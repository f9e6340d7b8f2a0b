"""/balance: what each account holds by our books, and how much of it no pair owns."""

from dataclasses import dataclass
from decimal import Decimal

from tradefleet.command import CommandSpec, Context, Reply, Route
from tradefleet.domain.ledger import EXTERNAL, FREE, OWN, Balances
from tradefleet.domain.user import Account
from tradefleet.drawing import account_name, money


@dataclass(frozen=True, slots=True)
class Balance:
    pass


@dataclass(frozen=True, slots=True)
class AssetBalance:
    """One asset of one account: total = what its pairs own + unallocated + kept.

    kept is the user's own besides: deposits and trades that are none of ours. total and
    unallocated are None until a real account was held against its venue for the first time.
    """

    account: str
    asset: str
    total: Decimal | None
    in_pairs: Decimal
    unallocated: Decimal | None
    kept: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class AccountBalances:
    balances: tuple[AssetBalance, ...]


async def balance(request: Balance, context: Context) -> Reply:
    accounts = await context.store.accounts()
    if not accounts:
        text = "🏦 No account is connected yet. Try it without real money: /connect paper"
        return Reply(text=text, data=AccountBalances(()))
    found: list[AssetBalance] = []
    for account in accounts:
        found += await of_account(account, context)
    if not found:
        names = ", ".join(account.venue for account in accounts)
        return Reply(text=f"🏦 Nothing is booked yet on {names}.", data=AccountBalances(()))
    apart = [
        f"{each.account}: {money(each.kept, each.asset)} is your own and is not traded."
        for each in found
        if each.kept
    ]
    if any(each.total is None for each in found):
        apart.append("The exchange is asked what there is within the next two minutes.")
    return Reply(
        text="\n".join(["🏦 Your Balances", *apart]),
        columns=("Account", "Asset", "Total", "In pairs", "Unallocated"),
        rows=tuple(row(each) for each in found),
        data=AccountBalances(tuple(found)),
    )


async def of_account(account: Account, context: Context) -> list[AssetBalance]:
    books, is_compared = Balances(), False
    for entry in await context.store.entries(account.id):
        books.book(entry)
        is_compared |= any(posting.place == EXTERNAL for posting in entry.postings)
    name, found = account_name(account), []
    for asset, total in sorted(books.account_totals().items()):
        free, kept = books.of(FREE, asset), books.of(OWN, asset)
        in_pairs = total - free - kept
        if is_compared and (total or free or kept):
            found.append(AssetBalance(name, asset, total, in_pairs, free, kept))
        elif not is_compared and in_pairs:
            found.append(AssetBalance(name, asset, None, in_pairs, None, kept))
    return found


def row(each: AssetBalance) -> tuple[str, ...]:
    amounts = (each.total, each.in_pairs, each.unallocated)
    return (each.account, each.asset, *(shown(amount, each.asset) for amount in amounts))


def shown(amount: Decimal | None, asset: str) -> str:
    return "not compared yet" if amount is None else money(amount, asset)


COMMAND = CommandSpec(
    name="balance",
    summary="What your accounts hold",
    usage="/balance",
    example="/balance",
    request=Balance,
    handler=balance,
    place=5,
    refreshes=True,
    route=Route("GET", "/balances"),
    data=AccountBalances,
)
