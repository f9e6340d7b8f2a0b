"""Signing in over a store: who gets in, for how long, what ends it, and who is made to wait."""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from tests.doors import ALICE, BOB, START, Door
from tests.key_rig import vault_under
from tests.unit.test_sign_in_tokens import BOT, NEW, mini_app, widget
from tradefleet import second_factor
from tradefleet.counters.memory import MemoryCounters
from tradefleet.domain.credentials import Secret
from tradefleet.domain.effects import Topic
from tradefleet.domain.errors import NeedsProof, NotSignedIn, Refused, TooMany
from tradefleet.domain.ids import UserId
from tradefleet.domain.user import Role
from tradefleet.identity import SESSION_LIFETIME, SESSIONS_MAX, Right
from tradefleet.operations.sign_in.access import AccessTokens
from tradefleet.operations.sign_in.passwords import Passwords, check_new
from tradefleet.operations.sign_in.register import Register
from tradefleet.operations.sign_in.sessions import SignIn
from tradefleet.operations.sign_in.throttle import Throttle
from tradefleet.quota import Quotas

PASSWORD = Secret("correct horse battery")
QUICK = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)
HOME = "192.0.2.1"


class Front:
    """A service with people who may sign in."""

    def __init__(self) -> None:
        self.door = Door(vault=vault_under())
        still = self.door.still
        self.passwords = Passwords(QUICK)
        self.store = self.door.store
        self.sign_in = SignIn(
            store=self.store,
            clock=still,
            ids=still,
            access=AccessTokens([NEW]),
            passwords=self.passwords,
            throttle=Throttle(self.store.identity, still, Quotas(counters=MemoryCounters(still))),
            vault=self.door.dispatcher.vault,
            bot_token=BOT,
        )
        self.register = Register(
            store=self.store, clock=still, passwords=self.passwords, users_max=10
        )

    async def start(self) -> "Front":
        await self.register.add(ALICE, "Alice", Role.USER)
        await self.register.set_password(ALICE, PASSWORD)
        return self

    def later(self, **span: float) -> None:
        self.door.still.time += timedelta(**span)

    async def by_password(self, name="alice", password=PASSWORD, address=HOME, digits=""):
        return await self.sign_in.by_password(name, password, address, digits)

    async def known(self, signed):
        return await self.sign_in.known(signed.access.reveal())

    async def code_of(self, command: str) -> str:
        return (await self.door.ask(command)).text.partition("code=")[2].split()[0]

    async def digits(self) -> str:
        """Return what Alice's authenticator shows."""
        async with self.store.open(ALICE, reading=True) as own:
            factor = await own.identity.second_factor()
            secret = await second_factor.secret_of(own, self.sign_in.vault, factor)
        return second_factor.digits_at(secret, int(self.door.still.now().timestamp()) // 30)

    async def second_factor(self) -> None:
        """Let Alice set up a second factor."""
        code = await self.code_of("/totp on")
        await self.sign_in.show_second_factor(code)
        await self.sign_in.confirm_second_factor(code, await self.digits())
        self.later(seconds=60)


@pytest.fixture
async def front() -> Front:
    return await Front().start()


async def told(front: Front) -> list[tuple[Topic, str]]:
    """Return what Alice was told without having asked."""
    notices = await front.store.due_notices(now=front.door.still.now(), limit=100)
    return [(each.notice.topic, each.notice.text) for each in notices]


async def test_a_user_hears_of_a_sign_in_that_is_not_like_one_that_is_still_open(front):
    await front.by_password()
    await front.by_password()  # from the same place: nothing new
    ((topic, text),) = await told(front)
    assert topic is Topic.SECURITY
    assert "signed in as you by password, from 192.0.2.1" in text
    assert "/signout all" in text and "/password" in text
    await front.by_password(address="198.51.100.7")
    assert "from 198.51.100.7" in (await told(front))[1][1]
    with pytest.raises(NotSignedIn):
        await front.by_password(password=Secret("a wrong one"), address="198.51.100.8")
    front.later(seconds=SESSION_LIFETIME.total_seconds())
    await front.by_password()  # that session ended long ago
    assert len(await told(front)) == 3


async def test_a_user_hears_of_a_new_password_and_not_of_the_first(front):
    assert await told(front) == []
    await front.register.set_password(ALICE, Secret("another horse battery"))
    ((topic, text),) = await told(front)
    assert (topic, "password was changed" in text) == (Topic.SECURITY, True)


# ---- passwords


@pytest.mark.parametrize("name", ["alice", "ALICE", " alice ", "Alice"])
async def test_the_right_password_signs_in_by_id_or_name(front, name):
    signed = await front.by_password(name)
    known = await front.known(signed)
    assert (known.user.id, known.in_person, known.strong) == (ALICE, True, True)
    assert known.rights == {Right.READ, Right.TRADE}
    assert signed.session.expires_at == START + SESSION_LIFETIME


@pytest.mark.parametrize("name", ["alice", "nobody", "", "bob", "\0", "\ud800", "x" * 2000])
async def test_a_wrong_password_and_a_wrong_name_are_answered_alike(front, name):
    await front.register.add(BOB, "Bob", Role.USER)  # who has no password
    with pytest.raises(NotSignedIn, match=r"^Name or password is wrong\.$"):
        await front.by_password(name, Secret("wrong horse battery"))


async def test_a_name_there_is_not_takes_as_long_as_one_there_is(front, monkeypatch):
    looked = []
    work = front.passwords._work
    monkeypatch.setattr(front.passwords, "_work", lambda *a: looked.append(a[1]) or work(*a))
    for name in ("alice", "nobody"):
        with pytest.raises(NotSignedIn):
            await front.by_password(name, Secret("wrong"))
    assert [hash.startswith("$argon2id$") for hash in looked if hash] == [True, True]


async def test_an_admin_has_the_right_to_be_one_until_the_role_is_taken(front):
    await front.register.set_role(ALICE, Role.ADMIN)
    signed = await front.by_password()
    assert Right.ADMIN in (await front.known(signed)).rights
    await front.register.set_role(ALICE, Role.USER)
    assert Right.ADMIN not in (await front.known(signed)).rights


@pytest.mark.parametrize(
    "password", ["short", "aaaaaaaaaaaaaaa", "alice in wonderland", "x" * 257, "abababababab"]
)
def test_a_password_that_would_be_guessed_is_refused_without_repeating_it(password):
    with pytest.raises(Refused) as refusal:
        check_new(Secret(password), (ALICE, "Alice"))
    assert password not in str(refusal.value)


async def test_odd_letters_are_a_password_like_any(front):
    odd = Secret("pä\ud800ß🙂 word of odd letters")
    await front.register.set_password(ALICE, odd)
    assert await front.by_password(password=odd)


# ---- who tries too often


async def test_a_name_is_tried_five_times_a_minute_from_wherever(front):
    for number in range(5):
        assert await front.by_password(address=f"192.0.2.{number}")
    with pytest.raises(TooMany) as refusal:
        await front.by_password(address="192.0.2.99")
    assert 0 < refusal.value.seconds <= 60
    front.later(seconds=refusal.value.seconds)
    assert await front.by_password(address="192.0.2.99")


async def test_an_address_tries_five_times_a_minute_whatever_the_name(front):
    for number in range(5):
        with pytest.raises(NotSignedIn):
            await front.by_password(f"nobody{number}")
    with pytest.raises(TooMany):
        await front.by_password()
    assert await front.by_password(address="192.0.2.2")


async def test_links_and_telegrams_word_are_tries_of_their_address_too(front):
    for number in range(5):
        with pytest.raises(NotSignedIn):
            await front.sign_in.by_link(f"code {number}", HOME)
    code = await front.code_of("/web")
    for way in (
        front.sign_in.by_link(code, HOME),
        front.sign_in.by_widget(widget(), HOME),
        front.sign_in.by_mini_app(mini_app(), HOME),
        front.by_password(),
    ):
        with pytest.raises(TooMany) as refusal:
            await way
        assert 0 < refusal.value.seconds <= 60
    assert await front.sign_in.by_link(code, "192.0.2.2")


@pytest.mark.parametrize("name", ["alice", "nobody"])
async def test_wrong_passwords_in_a_row_lock_a_name_out_longer_and_longer(front, name):
    locked = []
    for number in range(8):
        with pytest.raises(NotSignedIn):
            await front.by_password(name, Secret("wrong"), address=f"192.0.2.{number}")
        if number >= 4:
            with pytest.raises(TooMany) as refusal:
                await front.by_password(name, PASSWORD, address="198.51.100.1")
            locked.append(refusal.value.seconds)
            front.later(seconds=refusal.value.seconds)
        front.later(seconds=60 if number < 4 else 0)
    assert locked == [60, 120, 240, 480]


async def test_of_many_guesses_at_once_five_are_looked_at(front):
    guesses = [front.by_password(password=Secret(f"guess {n}"), address=f"a{n}") for n in range(64)]
    done = await asyncio.gather(*guesses, return_exceptions=True)
    assert [type(each) for each in done].count(NotSignedIn) == 5
    assert [type(each) for each in done].count(TooMany) == 59


async def test_the_right_password_forgets_the_wrong_ones(front):
    for _ in range(4):
        with pytest.raises(NotSignedIn):
            await front.by_password(password=Secret("wrong"))
        front.later(minutes=1)
    await front.by_password()
    front.later(minutes=1)
    for _ in range(4):
        with pytest.raises(NotSignedIn):
            await front.by_password(password=Secret("wrong"))
        front.later(minutes=1)
    assert await front.by_password()


# ---- sessions


async def test_a_session_lives_an_hour_at_a_time_and_is_renewed(front):
    signed = await front.by_password()
    front.later(hours=1)
    with pytest.raises(NotSignedIn):
        await front.known(signed)
    renewed = await front.sign_in.renew(signed.renewal.reveal())
    assert (await front.known(renewed)).session == signed.session.id
    front.later(days=31)
    with pytest.raises(NotSignedIn):
        await front.sign_in.renew(renewed.renewal.reveal())


async def test_a_renewal_that_comes_again_ends_the_whole_family(front):
    signed = await front.by_password()
    renewed = await front.sign_in.renew(signed.renewal.reveal())
    front.later(minutes=1)
    with pytest.raises(NotSignedIn, match="used twice"):
        await front.sign_in.renew(signed.renewal.reveal())
    for each in (signed, renewed):
        with pytest.raises(NotSignedIn):
            await front.known(each)
    with pytest.raises(NotSignedIn):
        await front.sign_in.renew(renewed.renewal.reveal())


async def test_of_two_renewals_at_once_exactly_one_wins_and_the_session_goes_on(front):
    signed = await front.by_password()
    renew = front.sign_in.renew
    tries = [renew(signed.renewal.reveal()) for _ in range(2)]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(isinstance(each, NotSignedIn) for each in done) == [False, True]
    (won,) = [each for each in done if not isinstance(each, NotSignedIn)]
    assert await front.known(won)


@pytest.mark.parametrize("end", ["out", "command", "password", "register"])
async def test_a_session_that_was_ended_signs_nobody_in(front, end):
    signed = await front.by_password()
    if end == "out":
        await front.sign_in.end(await front.known(signed))
    elif end == "command":
        await front.door.ask("/signout all")
    elif end == "password":
        code = await front.code_of("/password")
        await front.sign_in.set_password_by_link(code, Secret("another horse battery"))
    else:
        await front.register.set_password(ALICE, Secret("another horse battery"))
    with pytest.raises(NotSignedIn):
        await front.known(signed)
    with pytest.raises(NotSignedIn):
        await front.sign_in.renew(signed.renewal.reveal())


async def test_a_session_too_many_ends_the_one_unused_longest(front):
    first = await front.by_password()
    for _ in range(SESSIONS_MAX):
        front.later(minutes=1)
        last = await front.by_password()
    with pytest.raises(NotSignedIn):
        await front.sign_in.renew(first.renewal.reveal())
    assert await front.known(last)


@pytest.mark.parametrize(
    "shown", ["", "tf_", "tf_" + "A" * 43, "tf_" + "x" * 999, "tfr_x", "\ud800"]
)
async def test_what_nobody_was_given_signs_nobody_in(front, shown):
    with pytest.raises(NotSignedIn):
        await front.sign_in.known(shown)
    with pytest.raises(NotSignedIn):
        await front.sign_in.renew(shown)


async def test_a_renewal_is_no_access_token_and_an_access_token_renews_nothing(front):
    signed = await front.by_password()
    with pytest.raises(NotSignedIn):
        await front.sign_in.known(signed.renewal.reveal())
    with pytest.raises(NotSignedIn):
        await front.sign_in.renew(signed.access.reveal())


# ---- links, Telegram, personal tokens


async def test_a_link_of_the_bot_signs_in_once_within_ten_minutes(front):
    code = await front.code_of("/web")
    assert (await front.known(await front.sign_in.by_link(code, HOME))).user.id == ALICE
    late = await front.code_of("/web")
    other = await front.code_of("/password")
    for refused in (code, other, "", "x"):
        with pytest.raises(NotSignedIn):
            await front.sign_in.by_link(refused, HOME)
    front.later(minutes=10)
    with pytest.raises(NotSignedIn):
        await front.sign_in.by_link(late, HOME)


async def test_telegrams_word_signs_in_its_user_once(front):
    async with front.store.open(ALICE) as own:
        await own.save_user(replace(await own.user(), telegram_id=42))
    for way, word in (
        (front.sign_in.by_widget, widget()),
        (front.sign_in.by_mini_app, mini_app()),
    ):
        assert (await way(word, HOME)).session.user_id == ALICE
        with pytest.raises(NotSignedIn):
            await way(word, HOME)


async def test_telegrams_word_about_a_stranger_signs_nobody_in(front):
    with pytest.raises(NotSignedIn, match="/start"):
        await front.sign_in.by_widget(widget(), HOME)
    without = replace(front.sign_in, bot_token=None)
    with pytest.raises(Refused, match="no Telegram bot"):
        await without.by_mini_app(mini_app(), HOME)


async def test_a_personal_token_does_what_it_was_made_for_until_it_ends(front):
    made = (await front.door.ask("/token create script read 1")).data
    known = await front.sign_in.known(made.value)
    assert (known.user.id, known.rights, known.in_person) == (ALICE, {Right.READ}, False)
    trading = (await front.door.ask("/token create bot trade 7")).data
    assert (await front.sign_in.known(trading.value)).rights == {Right.READ, Right.TRADE}
    front.later(days=1)
    with pytest.raises(NotSignedIn):
        await front.sign_in.known(made.value)
    await front.door.ask("/token revoke bot")
    with pytest.raises(NotSignedIn):
        await front.sign_in.known(trading.value)


async def test_an_admins_token_is_worth_no_more_than_the_admin(front):
    await front.register.set_role(ALICE, Role.ADMIN)
    made = (await front.door.ask("/token create all admin 7")).data
    assert (await front.sign_in.known(made.value)).rights == set(Right)
    await front.register.set_role(ALICE, Role.USER)
    assert (await front.sign_in.known(made.value)).rights == {Right.READ, Right.TRADE}


# ---- the second factor


async def test_a_second_factor_makes_a_session_strong_for_five_minutes(front):
    await front.second_factor()
    weak = await front.by_password()
    assert not (await front.known(weak)).strong
    strong = await front.by_password(digits=await front.digits())
    assert (await front.known(strong)).strong
    front.later(minutes=5)
    assert not (await front.known(strong)).strong
    await front.sign_in.strengthen(await front.known(strong), await front.digits())
    assert (await front.known(strong)).strong


async def test_digits_are_good_for_once_and_wrong_ones_lock_it(front):
    await front.second_factor()
    digits = await front.digits()
    await front.by_password(digits=digits)
    with pytest.raises(NeedsProof):
        await front.by_password(digits=digits)
    known = await front.known(await front.by_password())
    for _ in range(4):
        with pytest.raises(NeedsProof):
            await front.sign_in.strengthen(known, "000000")
    front.later(seconds=30)
    with pytest.raises(TooMany):
        await front.sign_in.strengthen(known, await front.digits())
    front.later(seconds=60)
    await front.sign_in.strengthen(known, await front.digits())


async def test_a_second_factor_counts_only_once_it_was_confirmed(front):
    code = await front.code_of("/totp on")
    user_id, secret = await front.sign_in.show_second_factor(code)
    assert (user_id, secret) == (ALICE, (await front.sign_in.show_second_factor(code))[1])
    assert "off" in await front.door.say("/totp")
    with pytest.raises(NeedsProof):
        await front.sign_in.confirm_second_factor(code, "123456")
    await front.sign_in.confirm_second_factor(code, await front.digits())
    assert "Second factor: on" in await front.door.say("/totp")
    with pytest.raises(NotSignedIn):
        await front.sign_in.show_second_factor(code)


# ---- the register


async def test_the_register_refuses_what_is_there_and_what_is_not(front):
    with pytest.raises(Refused, match="already"):
        await front.register.add(ALICE, "Alice", Role.USER)
    with pytest.raises(Refused, match="no user"):
        await front.register.set_role(UserId("nobody"), Role.ADMIN)
    with pytest.raises(Refused, match="no user"):
        await front.register.set_password(UserId("nobody"), PASSWORD)
    assert [user.id for user in await front.register.users()] == [ALICE]


# ---- nothing secret anywhere


async def test_nothing_that_signs_in_is_written_down_or_shown(front, caplog):
    caplog.set_level(logging.DEBUG)
    await front.second_factor()
    code = await front.code_of("/web")
    signed = await front.sign_in.by_link(code, HOME)
    token = (await front.door.ask("/token create script trade 7")).data.value
    with pytest.raises(NotSignedIn) as refusal:
        await front.by_password(password=Secret("canary wrong password"))
    rows = front.store._rows[ALICE]
    written = "\n".join(
        [repr(rows), repr(front.store._shared), caplog.text, repr(refusal.value), repr(signed)]
    )
    async with front.store.open(ALICE, reading=True) as own:
        factor = await own.identity.second_factor()
        secret = await second_factor.secret_of(own, front.sign_in.vault, factor)
    secrets = [code, token, signed.access, signed.renewal, PASSWORD, secret, NEW, BOT]
    texts = [each.reveal() if isinstance(each, Secret) else each for each in secrets]
    assert [text[:8] for text in [*texts, "canary wrong"] if text in written] == []
