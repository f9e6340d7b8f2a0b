"""What is forged, changed, old or somebody else's signs nobody in: ten thousand times tried."""

import base64
import hashlib
import hmac
import json
import random
from datetime import timedelta
from urllib.parse import parse_qsl, quote, urlencode

import jwt
import pytest

from tests.makers import START, after_start
from tradefleet.domain.credentials import Secret
from tradefleet.domain.errors import NotSignedIn
from tradefleet.domain.ids import UserId
from tradefleet.identity import SESSION_LIFETIME, Session
from tradefleet.operations.sign_in.access import Access, AccessTokens, name_of
from tradefleet.operations.sign_in.telegram import read_mini_app, read_widget

MUTANTS = 4_000  # of each of three kinds
OLD, NEW = (Secret(letter * 8 + "0123456789abcdef" * 4) for letter in "on")
BOT = Secret("123456:" + "A" * 35)
OTHER_BOT = Secret("654321:" + "B" * 35)
SESSION = Session(
    id="a" * 32,
    user_id=UserId("alice"),
    how="password",
    address="192.0.2.1",
    created_at=START,
    seen_at=START,
    expires_at=START + SESSION_LIFETIME,
)
TOKENS = AccessTokens([NEW, OLD])
GOOD = TOKENS.sign(SESSION, START).reveal()
AT = int(START.timestamp())
CLAIMS = {
    "iss": "tradefleet",
    "aud": "tradefleet-api",
    "sub": "alice",
    "sid": "a" * 32,
    "typ": "access",
    "iat": AT,
    "nbf": AT,
    "exp": AT + 3600,
}


def forged(key=NEW, algorithm="HS256", header=None, **changes):
    """Return a token with a right signature but for what is changed; None takes a claim away."""
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    headers = {"kid": name_of(NEW), **(header or {})}
    return jwt.encode(claims, key.reveal() if key else None, algorithm, headers=headers)


def mutants(text, letters, seed):
    """Yield texts that differ from the one given: changed, shortened, doubled, swapped."""
    chance = random.Random(seed)
    for _ in range(MUTANTS):
        at, kind = chance.randrange(len(text)), chance.randrange(5)
        letter = chance.choice(letters)
        mutant = (
            text[:at] + letter + text[at + 1 :],
            text[:at] + letter + text[at:],
            text[:at] + text[at + 1 :],
            text[:at],
            text[:at] + text[at : at + 2][::-1] + text[at + 2 :],
        )[kind]
        if mutant != text:
            yield mutant


# ---- access tokens


def test_a_token_says_whose_session_it_is_for_an_hour():
    assert TOKENS.read(GOOD, START) == Access(UserId("alice"), "a" * 32)
    assert TOKENS.read(GOOD, after_start(minutes=59, seconds=59))
    with pytest.raises(NotSignedIn):
        TOKENS.read(GOOD, after_start(hours=1))
    with pytest.raises(NotSignedIn):
        TOKENS.read(GOOD, START - timedelta(seconds=6))


def test_a_token_of_the_key_before_is_read_and_one_of_a_key_taken_away_is_not():
    old = AccessTokens([OLD]).sign(SESSION, START).reveal()
    assert TOKENS.read(old, START)
    with pytest.raises(NotSignedIn):
        AccessTokens([NEW]).read(old, START)


def test_a_token_forged_with_the_right_claims_would_be_read():
    """So that the tests below fail for the one thing they change."""
    assert TOKENS.read(forged(), START)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-api"},
        {"aud": ["tradefleet-api"]},
        {"aud": None},
        {"iss": "somebody"},
        {"iss": None},
        {"typ": "refresh"},
        {"typ": None},
        {"sub": None},
        {"sub": 7},
        {"sid": None},
        {"sid": ["a" * 32]},
        {"exp": None},
        {"exp": AT},
        {"exp": AT + 0.5},
        {"exp": True},
        {"exp": "9999999999"},
        {"nbf": None},
        {"nbf": AT + 60},
        {"iat": None},
        {"iat": AT + 60},
        {"key": OLD},
        {"key": Secret("x" * 64)},
        {"algorithm": "HS512"},
        {"algorithm": "HS384"},
        {"header": {"kid": "unknown"}},
        {"header": {"kid": name_of(OLD)}},
        {"header": {"jku": "https://example.org/keys"}},
        {"header": {"jwk": {"kty": "oct", "k": "AAAA"}}},
        {"header": {"x5u": "https://example.org/cert"}},
        {"header": {"crit": ["exp"]}},
        {"header": {"typ": "at+jwt"}},
    ],
    ids=str,
)
def test_a_token_that_is_not_just_so_signs_nobody_in(changes):
    with pytest.raises(NotSignedIn):
        TOKENS.read(forged(**changes), START)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "RS256", "ES256", "HS256 ", ""])
@pytest.mark.parametrize("signature", ["", "AAAA"])
def test_a_token_that_names_another_algorithm_signs_nobody_in(algorithm, signature):
    header = {"alg": algorithm, "typ": "JWT", "kid": name_of(NEW)}
    parts = [
        base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in (header, CLAIMS)
    ]
    token = b".".join([*parts, signature.encode()]).decode()
    with pytest.raises(NotSignedIn):
        TOKENS.read(token, START)


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "\ud800.x.y", "x" * 5000, "\0", "é.é.é"])
def test_what_is_no_token_signs_nobody_in(token):
    with pytest.raises(NotSignedIn):
        TOKENS.read(token, START)


def test_no_mutant_of_a_token_signs_anybody_in():
    letters = "ABCXYZabcxyz0189-_.= "
    tried = list(mutants(GOOD, letters, 1))
    assert len(tried) > MUTANTS * 0.9
    assert [m for m in tried if is_read(lambda m=m: TOKENS.read(m, START))] == []


def is_read(read):
    try:
        read()
    except NotSignedIn:
        return False
    return True


# ---- Telegram's word


def widget(bot=BOT, **changes):
    """Return what the login widget gives, rightly signed by a bot but for what is changed."""
    fields = {"id": 42, "first_name": "Al", "username": "al", "auth_date": AT} | changes
    lines = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    key = hashlib.sha256(bot.reveal().encode()).digest()
    return {**fields, "hash": hmac.new(key, lines.encode(), "sha256").hexdigest()}


def mini_app(bot=BOT, **changes):
    """Return initData, rightly signed by a bot but for what is changed."""
    user = json.dumps({"id": 42, "first_name": "Al & Ü", "username": "al"})
    fields = {"query_id": "AAH", "user": user, "auth_date": str(AT), "signature": "s"} | changes
    lines = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    key = hmac.digest(b"WebAppData", bot.reveal().encode(), "sha256")
    hash = hmac.new(key, lines.encode(), "sha256").hexdigest()
    return urlencode({**fields, "hash": hash}, quote_via=quote)


def test_telegrams_word_counts_for_five_minutes():
    late = after_start(minutes=5)
    for now in (START, late, START - timedelta(seconds=30)):
        assert read_widget(widget(), BOT, now).telegram_id == 42
        assert read_mini_app(mini_app(), BOT, now).telegram_id == 42
    for now in (late + timedelta(seconds=1), START - timedelta(seconds=31)):
        with pytest.raises(NotSignedIn):
            read_widget(widget(), BOT, now)
        with pytest.raises(NotSignedIn):
            read_mini_app(mini_app(), BOT, now)


@pytest.mark.parametrize(
    "fields",
    [
        widget(OTHER_BOT),
        {**widget(), "id": 43},
        {**widget(), "extra": "x"},
        {**widget(), "hash": widget()["hash"].upper()},
        {**widget(), "hash": ""},
        {**widget(), "hash": "é" * 64},
        {name: value for name, value in widget().items() if name != "hash"},
        {name: value for name, value in widget().items() if name != "username"},
        widget(auth_date="soon"),
        widget(auth_date=-5),
        widget(auth_date=True),
        widget(id="me"),
        {},
        {"hash": None},
        {str(number): "x" for number in range(99)},
    ],
)
def test_what_the_widget_did_not_give_signs_nobody_in(fields):
    with pytest.raises(NotSignedIn):
        read_widget(fields, BOT, START)


@pytest.mark.parametrize(
    "text",
    [
        mini_app(OTHER_BOT),
        mini_app() + "&user=%7B%22id%22%3A43%7D",
        "user=%7B%22id%22%3A43%7D&" + mini_app(),
        mini_app() + "&auth_date=1",
        mini_app() + "&extra=1",
        mini_app() + "&hash=" + "0" * 64,
        mini_app(user="{}"),
        mini_app(user="[42]"),
        mini_app(user='{"id": "42"}'),
        mini_app(user='{"id": true}'),
        mini_app(user='{"id": -1}'),
        mini_app(user="nonsense"),
        mini_app(auth_date=""),
        "",
        "x",
        "&&&",
        "%ff=%ff",
        "a=" + "x" * 9000,
        "&".join(f"f{number}=1" for number in range(99)),
    ],
)
def test_what_no_mini_app_gave_signs_nobody_in(text):
    with pytest.raises(NotSignedIn):
        read_mini_app(text, BOT, START)


def test_the_widgets_word_does_not_open_the_mini_app_nor_the_other_way_round():
    fields = {name: str(value) for name, value in widget().items()}
    with pytest.raises(NotSignedIn):
        read_mini_app(urlencode({**fields, "user": '{"id":42}'}), BOT, START)
    with pytest.raises(NotSignedIn):
        read_widget(dict(parse_qsl(mini_app())), BOT, START)


def test_no_mutant_of_init_data_signs_anybody_in():
    good = mini_app()
    said = parse_qsl(good)
    letters = "ABCabc0189%&=+é\0{}"
    tried = [m for m in mutants(good, letters, 2) if sorted(parse_qsl(m)) != sorted(said)]
    assert len(tried) > MUTANTS * 0.9
    assert [m for m in tried if is_read(lambda m=m: read_mini_app(m, BOT, START))] == []


def test_no_mutant_of_a_login_signs_anybody_in():
    good, chance = widget(), random.Random(3)
    tried = 0
    for _ in range(MUTANTS):
        name = chance.choice(sorted(good))
        text = str(good[name])
        mutant = {**good, name: chance.choice(list(mutants_of_one(text, chance)))}
        if {k: str(v) for k, v in mutant.items()} == {k: str(v) for k, v in good.items()}:
            continue
        tried += 1
        assert not is_read(lambda m=mutant: read_widget(m, BOT, START)), mutant
    assert tried > MUTANTS * 0.9


def mutants_of_one(text, chance):
    at, letter = chance.randrange(len(text)), chance.choice("abcdef0123456789 \n=")
    yield text[:at] + letter + text[at + 1 :]
    yield text[:at] + letter + text[at:]
    yield text[:at] + text[at + 1 :]


def test_nothing_of_it_shows_itself():
    telling = read_mini_app(mini_app(), BOT, START)
    for shown in (repr(TOKENS), repr(TOKENS.sign(SESSION, START)), repr(BOT)):
        assert NEW.reveal() not in shown
        assert GOOD not in shown
    assert BOT.reveal() not in repr(telling)
    with pytest.raises(NotSignedIn) as error:
        TOKENS.read(GOOD + "x", START)
    assert GOOD[:20] not in repr(error.value)
    assert error.value.__cause__ is None
