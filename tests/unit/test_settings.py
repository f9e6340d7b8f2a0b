"""Settings are read, resolved and explained; what is shown never holds a secret."""

import re
from pathlib import Path

import pytest

from tradefleet.domain.errors import Refused
from tradefleet.domain.limits import TIERS, RequestLimits
from tradefleet.settings import (
    FAMILY,
    NAMES,
    Settings,
    hide_password,
    inspect_settings,
    is_secret,
    load_settings,
    mask,
    read_tiers,
)

ROOT = Path(__file__).parents[2]
SECRETS = {
    "TELEGRAM_BOT_TOKEN": "123456:ABCdefGHIjklMNOpqrSTUvwxYZ",
    "TELEGRAM_WEBHOOK_SECRET": "s3cr3t-s3cr3t-s3cr3t-s3cr3t",
    "WEBHOOK_URL": "https://hooks.example.org/services/T000/B000/XXXXXXXXXXXX",
    "DATABASE_URL": "postgresql://user:hunter2hunter2@db.example.org/tradefleet",
    "ENCRYPTION_KEY": "canary0123456789abcdefghijklmnop",
    "JWT_SECRET": "canaryjwtsecretcanaryjwtsecretcanary",
    "RBS_BINANCE_API_KEY_PROD": "canaryapikeycanaryapikey1",
    "RBS_BINANCE_SECRET_KEY_PROD": "canarysecretcanarysecret2",
}


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch, tmp_path):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


MASTER = "0123456789abcdefghijklmnopqrstuv"
SIGNING = "0123456789abcdefghijklmnopqrstuvwxyz"


def fault_names(**variables):
    write_env(**variables)
    return [fault.name for fault in inspect_settings().faults]


def write_env(**variables):
    Path(".env").touch(mode=0o600)
    Path(".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))


def resolved():
    return {each.name: each for each in inspect_settings().variables}


# ---- defaults, files, environment


def test_nothing_set_is_a_sound_configuration():
    settings = load_settings()
    assert settings.faults() == []
    assert settings.mock_trading is True
    assert settings.database_url.get_secret_value() == "sqlite:///data/trading_service.db"


def test_the_database_lies_in_the_data_directory():
    write_env(DATA_DIR="/srv/bots")
    url = load_settings().database_url.get_secret_value()
    assert url == "sqlite:////srv/bots/trading_service.db"


@pytest.mark.parametrize(
    ("environment", "mocked", "users", "level", "log"),
    [
        ("development", True, 50, "DEBUG", "text"),
        ("staging", True, 200, "INFO", "text"),
        ("production", False, 1000, "INFO", "json"),
        ("Production", False, 1000, "INFO", "json"),
    ],
)
def test_the_environment_decides_defaults(environment, mocked, users, level, log):
    write_env(ENVIRONMENT=environment, ENCRYPTION_KEY=MASTER, JWT_SECRET=SIGNING)
    settings = load_settings()
    assert (settings.mock_trading, settings.max_concurrent_users) == (mocked, users)
    assert (settings.log_level, settings.log_format) == (level, log)


def test_what_is_said_wins_over_what_the_environment_decides():
    write_env(
        ENVIRONMENT="production",
        ENCRYPTION_KEY=MASTER,
        JWT_SECRET=SIGNING,
        MAX_CONCURRENT_USERS="7",
        LOG_LEVEL="warning",
    )
    assert load_settings().max_concurrent_users == 7
    assert load_settings().log_level == "WARNING"


def test_each_value_says_where_it_comes_from(monkeypatch):
    write_env(HTTP_PORT="9000", HTTP_HOST="0.0.0.0", ENVIRONMENT="staging", TELEGRAM_BOT_TOKEN="")
    monkeypatch.setenv("HTTP_PORT", "9001")
    found = resolved()
    assert (found["HTTP_PORT"].value, found["HTTP_PORT"].source) == ("9001", "environment")
    assert (found["HTTP_HOST"].value, found["HTTP_HOST"].source) == ("0.0.0.0", ".env")
    assert (found["LEASE_TTL"].value, found["LEASE_TTL"].source) == ("30", "default")
    assert found["MAX_CONCURRENT_USERS"].source == "default of staging"
    assert found["TELEGRAM_BOT_TOKEN"].source == "default"


# ---- what is wrong, and the cure


@pytest.mark.parametrize(
    ("variables", "wrong"),
    [
        ({"HTTP_PORT": "eighty"}, ["HTTP_PORT"]),
        ({"HTTP_PORT": "70000"}, ["HTTP_PORT"]),
        ({"ENVIRONMENT": "live"}, ["ENVIRONMENT"]),
        ({"LOG_LEVEL": "LOUD"}, ["LOG_LEVEL"]),
        ({"MAX_CONCURRENT_USERS": "0", "PAPER_FEE": "2"}, ["MAX_CONCURRENT_USERS", "PAPER_FEE"]),
        ({"PAPER_FEE": "NaN"}, ["PAPER_FEE"]),
        ({"DATABASE_URL": "mysql://x/y"}, ["DATABASE_URL"]),
        ({"PAPER_MARKET": "nasdaq"}, ["PAPER_MARKET"]),
        ({"PAPER_MARKET": "kraken", "VENUES": "binance"}, ["PAPER_MARKET"]),
        ({"VENUES": "binance,nasdaq"}, ["VENUES"]),
        ({"BINANCE_URL": "ws://127.0.0.1:9300"}, ["BINANCE_URL"]),
        ({"KRAKEN_WS_URL": "http://127.0.0.1:9300"}, ["KRAKEN_WS_URL"]),
        ({"TELEGRAM_BOT_TOKEN": "your_telegram_bot_token"}, ["TELEGRAM_BOT_TOKEN"]),
        ({"TELEGRAM_API_URL": "localhost:80"}, ["TELEGRAM_API_URL"]),
        ({"WEBHOOK_URL": "ftp://x"}, ["WEBHOOK_URL"]),
        ({"ADMIN_TELEGRAM_IDS": "12345, 678"}, []),
        ({"ADMIN_TELEGRAM_IDS": "@boss"}, ["ADMIN_TELEGRAM_IDS"]),
        ({"ADMIN_TELEGRAM_IDS": "123 456"}, ["ADMIN_TELEGRAM_IDS"]),
        (
            {
                "ENVIRONMENT": "production",
                "MOCK_TRADING": "true",
                "ENCRYPTION_KEY": MASTER,
                "JWT_SECRET": SIGNING,
            },
            ["MOCK_TRADING"],
        ),
        ({"ENVIRONMENT": "production"}, ["ENCRYPTION_KEY", "JWT_SECRET"]),
        ({"JWT_SECRET": "short"}, ["JWT_SECRET"]),
        ({"JWT_SECRET": "a" * 64}, ["JWT_SECRET"]),
        ({"JWT_SECRET": f"{SIGNING},"}, ["JWT_SECRET"]),
        ({"JWT_SECRET": f"{SIGNING},{MASTER}"}, []),
        ({"PUBLIC_URL": "bots.example.org"}, ["PUBLIC_URL"]),
        ({"ENCRYPTION_KEY": "your_32_byte_key"}, ["ENCRYPTION_KEY"]),
        ({"ENCRYPTION_KEY": "a" * 32}, ["ENCRYPTION_KEY"]),
        ({"ENCRYPTION_KEY": f"{MASTER},"}, ["ENCRYPTION_KEY"]),
        ({"ENCRYPTION_KEY": MASTER[:-1] + "ü"}, ["ENCRYPTION_KEY"]),
        ({"ENCRYPTION_KEY": "!" + "A1b2C3d4" * 5 + "xy="}, ["ENCRYPTION_KEY"]),
        ({"ENCRYPTION_KEY": "A1b2C3d4" * 5 + "xyzw"}, ["ENCRYPTION_KEY"]),
        ({"RBS_CREDENTIAL_ENCRYPTION_KEY": "short"}, ["RBS_CREDENTIAL_ENCRYPTION_KEY"]),
        (
            {"RBS_CREDENTIAL_ENCRYPTION_KEY": MASTER, "ENCRYPTION_KEY": MASTER[::-1]},
            ["RBS_CREDENTIAL_ENCRYPTION_KEY"],
        ),
        ({"RBS_BINANCE_API_KEY_TEST": "k"}, ["RBS_BINANCE_SECRET_KEY_TEST"]),
        ({"RBS_BINANCE_SECRET_KEY_PROD": "s"}, ["RBS_BINANCE_API_KEY_PROD"]),
        ({"OPERATOR_USER": "The Boss"}, ["OPERATOR_USER"]),
        ({"TELEGRAM_MODE": "webhook"}, ["TELEGRAM_WEBHOOK_URL", "TELEGRAM_WEBHOOK_SECRET"]),
        ({"TIERS_FILE": "nowhere.toml"}, ["TIERS_FILE"]),
        ({"ALERT_THRESHOLDS": "cpus=70/90"}, ["ALERT_THRESHOLDS"]),
        ({"ALERT_THRESHOLDS": "cpu=90/70"}, ["ALERT_THRESHOLDS"]),
        ({"REDIS_URL": "127.0.0.1:6379"}, ["REDIS_URL"]),
        ({"TRUSTED_PROXIES": "10.0.0.1/8"}, ["TRUSTED_PROXIES"]),
        ({"TRUSTED_PROXIES": "nginx"}, ["TRUSTED_PROXIES"]),
        ({"RATE_LIMIT_PER_MINUTE": "0"}, ["RATE_LIMIT_PER_MINUTE"]),
        ({"LOG_FILE": "error.log"}, ["LOG_FILE"]),
        ({"LOG_FILE": "logs/.."}, ["LOG_FILE"]),
        ({"HTTP_PORT": "x", "PAPER_MARKET": "moon"}, ["HTTP_PORT", "PAPER_MARKET"]),
    ],
)
def test_a_fault_names_its_variable(variables, wrong):
    assert fault_names(**variables) == wrong


def test_the_webhook_of_production_is_https():
    webhook = {"TELEGRAM_MODE": "webhook", "TELEGRAM_WEBHOOK_SECRET": "x" * 16}
    address = {"TELEGRAM_WEBHOOK_URL": "http://bot.example.org"}
    assert fault_names(**webhook, **address) == []
    keys = {"ENCRYPTION_KEY": MASTER, "JWT_SECRET": SIGNING}
    production = {"ENVIRONMENT": "production", **keys}
    assert fault_names(**webhook, **address, **production) == ["TELEGRAM_WEBHOOK_URL"]


def test_people_sign_in_over_https_in_production():
    address = {"PUBLIC_URL": "http://bots.example.org/"}
    assert fault_names(**address) == []
    assert load_settings().web_url() == "http://bots.example.org"
    production = {"ENVIRONMENT": "production", "ENCRYPTION_KEY": MASTER, "JWT_SECRET": SIGNING}
    assert fault_names(**address, **production) == ["PUBLIC_URL"]


def test_our_pages_are_where_the_server_listens_unless_said_otherwise():
    assert Settings(http_host="0.0.0.0", http_port=81).web_url() == "http://127.0.0.1:81"
    assert Settings(http_host="bots.local").web_url() == "http://bots.local:8080"


def test_the_operators_people_are_known_by_their_numbers():
    write_env(ADMIN_TELEGRAM_IDS="12345, 678,")
    assert load_settings().admin_ids() == (12345, 678)


def test_nobody_trades_on_the_operators_key_not_even_when_told_to():
    assert fault_names(ALLOW_OPERATOR_FALLBACK="false") == []
    assert fault_names(ALLOW_OPERATOR_FALLBACK="true") == ["ALLOW_OPERATOR_FALLBACK"]


def test_a_start_with_faults_is_refused_with_all_of_them():
    write_env(HTTP_PORT="eighty", PAPER_MARKET="moon")
    with pytest.raises(
        Refused, match=r"(?s)HTTP_PORT: .*8080.*PAPER_MARKET: .*say one of synthetic"
    ):
        load_settings()


def test_a_misspelt_variable_is_pointed_out(monkeypatch):
    write_env(TELEGRM_BOT_TOKEN="1:a", METAAPI_TOKEN="x")
    monkeypatch.setenv("DATABSE_URL", "sqlite:///x.db")
    assert inspect_settings().hints == (
        "TELEGRM_BOT_TOKEN is not a setting; did you mean TELEGRAM_BOT_TOKEN?",
        "METAAPI_TOKEN is not used by this version",
        "DATABSE_URL is not a setting; did you mean DATABASE_URL?",
    )


# ---- what production is not run with

PRODUCTION = {"ENVIRONMENT": "production", "ENCRYPTION_KEY": MASTER, "JWT_SECRET": SIGNING}


@pytest.mark.parametrize(
    ("variables", "wrong"),
    [
        ({}, []),
        ({"DATABASE_URL": "postgresql://bots:Postgres@db/x"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql://bots:bots@db/x"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql://bots:change%2Dme@db/x"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql://bots:xK7tQ2mPz@db/x"}, []),
        ({"DATABASE_URL": "postgresql:///x?host=/run/postgresql"}, []),
        ({"REDIS_URL": "redis://:redis@cache:6379/0"}, ["REDIS_URL"]),
        ({"REDIS_URL": "redis://127.0.0.1:6379/0"}, []),
        ({"TELEGRAM_API_URL": "http://bots.example.org"}, ["TELEGRAM_API_URL"]),
        ({"TELEGRAM_API_URL": "http://127.0.0.1:8081"}, []),
        ({"WEBHOOK_URL": "http://alerts.example.org/x"}, ["WEBHOOK_URL"]),
        ({"WEBHOOK_URL": "http://localhost:9000/x"}, []),
        ({"BYBIT_URL": "http://10.0.0.3:9300"}, ["BYBIT_URL"]),
        ({"KRAKEN_WS_URL": "ws://sim.example.org"}, ["KRAKEN_WS_URL"]),
        ({"KRAKEN_WS_URL": "ws://[::1]:9300"}, []),
        ({"WEBHOOK_ALLOW_LOCAL": "true"}, ["WEBHOOK_ALLOW_LOCAL"]),
    ],
)
def test_production_is_not_run_with_what_is_unsafe(variables, wrong):
    assert fault_names(**variables, **PRODUCTION) == wrong
    assert fault_names(**variables) == []


def test_production_does_not_start_with_secrets_that_everybody_can_read():
    write_env(**PRODUCTION)
    Path(".env").chmod(0o644)
    (fault,) = inspect_settings().faults
    assert (fault.name, fault.text.endswith("chmod 600 .env")) == (".env", True)
    with pytest.raises(Refused, match="chmod 600"):
        load_settings()
    Path(".env").chmod(0o640)
    assert inspect_settings().faults == ()
    write_env(ENVIRONMENT="staging")
    Path(".env").chmod(0o644)
    assert inspect_settings().faults == ()


def test_names_of_other_days_lead_to_ours(monkeypatch):
    write_env(TELEGRAM_TOKEN="1:a", PORT="80", RBS_CREDENTIAL_ENCRYPTION_KEY=MASTER)
    monkeypatch.setenv("PORT", "8080")
    monkeypatch.setenv("DB_URL", "x")
    assert inspect_settings().hints == (
        "TELEGRAM_TOKEN is not a setting: here it is called TELEGRAM_BOT_TOKEN",
        "PORT is not a setting: here it is called HTTP_PORT",
        "RBS_CREDENTIAL_ENCRYPTION_KEY is another name of ENCRYPTION_KEY, which is better said",
        "DB_URL is not a setting: here it is called DATABASE_URL",
    )


def test_an_empty_name_of_the_log_is_something_to_say(monkeypatch):
    assert load_settings().log_file == "bot.log"
    write_env(LOG_FILE="")
    assert (load_settings().log_file, resolved()["LOG_FILE"].source) == ("", ".env")
    write_env(LOG_FILE="other.log")
    monkeypatch.setenv("LOG_FILE", "")
    assert (load_settings().log_file, resolved()["LOG_FILE"].source) == ("", "environment")


# ---- secrets


def test_no_secret_is_ever_shown():
    write_env(**SECRETS)
    everything = repr(inspect_settings()) + repr(load_settings()) + str(resolved())
    for name, value in SECRETS.items():
        assert value not in everything, name
    assert "hunter2" not in everything
    assert resolved()["TELEGRAM_BOT_TOKEN"].value == "set, 33 characters"


def test_no_secret_is_shown_when_something_is_wrong():
    write_env(**{name: f"{value} broken" for name, value in SECRETS.items()}, HTTP_PORT="x")
    inspection = inspect_settings()
    assert inspection.faults
    for value in (*SECRETS.values(), "hunter2"):
        assert value not in repr(inspection)


def test_every_setting_that_sounds_secret_is_one():
    sounding = {name for name in NAMES if re.search("(TOKEN|SECRET|KEY|PASSWORD)(_|$)", name)}
    addresses = {"APPRISE_URLS", "AUDIT_CHECKPOINT_URL", "DATABASE_URL", "REDIS_URL"}
    addresses |= {"DISCORD_WEBHOOK_URL", "SLACK_WEBHOOK_URL", "WEBHOOK_URL"}
    assert {name for name in NAMES if is_secret(name)} == sounding | addresses


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("SLACK_WEBHOOK_URL", "hooks.example/hidden", "must be an address"),
        ("DISCORD_WEBHOOK_URL", "ftp://example.com/hidden", "must be an address"),
        ("WEBHOOK_SECRET", "hidden", "16 characters"),
        ("METRICS_TOKEN", "hidden", "16 characters"),
    ],
)
def test_what_alerts_and_figures_need_is_checked_and_not_repeated(name, value, wrong):
    write_env(**{name: value})
    (fault,) = inspect_settings().faults
    assert fault.name == name
    assert wrong in fault.text
    assert "hidden" not in fault.text


def test_apprise_is_asked_for_only_where_it_is_installed(monkeypatch):
    write_env(APPRISE_URLS="json://127.0.0.1/")
    assert not inspect_settings().faults
    monkeypatch.setattr("tradefleet.settings.find_spec", lambda name: None)
    (fault,) = inspect_settings().faults
    assert fault.name == "APPRISE_URLS"
    assert "pip install 'tradefleet[apprise]'" in fault.text


def test_of_a_secret_its_length_alone_is_shown():
    assert mask("hunter2") == "set, 7 characters"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///data/x.db", "sqlite:///data/x.db"),
        ("sqlite:////home/me@work/x.db", "sqlite:////home/me@work/x.db"),
        ("postgresql://h/db", "postgresql://h/db"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("postgresql://u:pw@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("postgresql://u:p@w@h/db", "postgresql://u:***@h/db"),
        ("postgresql://h/db?user=u&password=pw", "postgresql://h/db?user=u&password=***"),
        ("postgresql://u:p/w@h/db", "set, 23 characters"),
        ("postgresql://[u:pw@h/db", "set, 23 characters"),
    ],
)
def test_a_database_address_is_shown_without_its_password(url, expected):
    assert hide_password(url) == expected


# ---- master keys

FERNET = "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY="  # what MASTER stands for


@pytest.mark.parametrize("name", ["ENCRYPTION_KEY", "RBS_CREDENTIAL_ENCRYPTION_KEY"])
@pytest.mark.parametrize("said", [MASTER, FERNET, f" {MASTER} "])
def test_a_master_key_is_read_in_either_form_by_either_name(name, said):
    write_env(**{name: said})
    assert [key.reveal() for key in load_settings().encryption_keys()] == [FERNET]


def test_of_several_master_keys_the_first_encrypts():
    old = "abcdefghijklmnopqrstuvwxyz012345"
    write_env(ENCRYPTION_KEY=f"{MASTER}, {old}")
    first, second = load_settings().encryption_keys()
    assert first.reveal() == FERNET
    assert second != first


def test_both_names_may_say_the_same():
    assert fault_names(ENCRYPTION_KEY=MASTER, RBS_CREDENTIAL_ENCRYPTION_KEY=MASTER) == []


def test_without_a_master_key_there_is_none():
    assert load_settings().encryption_keys() == ()


def test_real_money_needs_two_words():
    settings = load_settings()
    assert (settings.mock_trading, settings.trading_enabled) == (True, False)
    write_env(ENVIRONMENT="production", ENCRYPTION_KEY=MASTER, JWT_SECRET=SIGNING)
    assert load_settings().trading_enabled is False


# ---- the tiers file


def test_a_tiers_file_changes_tiers_and_adds_some():
    Path("tiers.toml").write_text("[free]\nbots = 5\n")
    write_env(TIERS_FILE="tiers.toml")
    tiers = load_settings().tiers()
    assert (tiers["free"].bots, tiers["free"].entries_per_day) == (5, 5)
    assert tiers["premium"] == TIERS["premium"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('# bots = 3\n[free]\nbots = 5\n\n[premium]\n# bots\nbots = "many"\n', 7),
        ("[premium]\nbots = 7\n[free]\nbotz = 5\n", 4),
        ("free.bots = 2\npremium.bots = -1\n", 2),
        ("free = 3\n", 1),
        ("\n[trial]\nbots = 1\n", 2),
        ("[free]\nbots = 1\n[requests]\nanonymous_per_hour = 0\n", 4),
        ("premium = {open_positions = 2, bots = 1.5}\n", 1),
    ],
)
def test_a_mistake_in_a_tiers_file_is_told_with_its_line(text, line):
    Path("tiers.toml").write_text(text)
    with pytest.raises(Refused, match=rf"^tiers\.toml, line {line}: "):
        read_tiers(Path("tiers.toml"))
    write_env(TIERS_FILE="tiers.toml")
    (fault,) = inspect_settings().faults
    assert (fault.name, f"line {line}: " in fault.text) == ("TIERS_FILE", True)


def test_a_mistake_in_json_is_told_with_its_line_too():
    Path("tiers.json").write_text('{\n "free": {"bots": 3},\n "premium": {\n  "bots": true}\n}\n')
    with pytest.raises(Refused, match=r"^tiers\.json, line 4: bots of tier 'premium'"):
        read_tiers(Path("tiers.json"))
    Path("tiers.json").write_text("[]")
    with pytest.raises(Refused, match=r"^tiers\.json: A tiers file holds one section"):
        read_tiers(Path("tiers.json"))


def test_the_same_file_says_how_often_one_may_ask():
    assert load_settings().request_limits() == RequestLimits()
    Path("tiers.toml").write_text("[requests]\nanonymous_per_hour = 7\n[free]\nbots = 1\n")
    write_env(TIERS_FILE="tiers.toml", RATE_LIMIT_PER_MINUTE="60")
    expected = RequestLimits(anonymous_per_hour=7, calls_per_minute_max=60)
    assert load_settings().request_limits() == expected


def test_proxies_are_addresses_or_networks():
    assert load_settings().proxies() == ()
    write_env(TRUSTED_PROXIES="10.0.0.0/8, ::1 192.0.2.1")
    found = [str(each) for each in load_settings().proxies()]
    assert found == ["10.0.0.0/8", "::1/128", "192.0.2.1/32"]


def test_the_password_of_redis_is_not_shown():
    write_env(REDIS_URL="redis://:canary@127.0.0.1:6379/0")
    shown = {each.name: each.value for each in inspect_settings().variables}
    assert shown["REDIS_URL"] == "redis://:***@127.0.0.1:6379/0"


def test_without_a_tiers_file_the_tiers_are_the_built_in_ones():
    assert load_settings().tiers() == TIERS


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.toml", "[free\n", "not TOML"),
        ("t.json", "{", "not JSON"),
        ("t.json", "[]", "one section per tier"),
        ("t.json", '{"free": 3}', "section of limits"),
    ],
)
def test_a_tiers_file_that_cannot_be_read_is_refused(name, text, message):
    Path(name).write_text(text)
    with pytest.raises(Refused, match=message):
        read_tiers(Path(name))


# ---- the example file


def example_lines():
    return (ROOT / ".env.example").read_text().splitlines()


def test_the_example_shows_every_variable_once_with_its_default():
    shown = {}
    for line in example_lines():
        if match := re.fullmatch(r"(?:# )?([A-Z_]+)=(.*)", line):
            assert match[1] not in shown
            shown[match[1]] = match[2]
    shown = {name: value for name, value in shown.items() if not FAMILY.fullmatch(name)}
    assert shown == {name: each.value for name, each in resolved().items()}


def test_the_example_as_it_stands_is_a_sound_configuration():
    inspection = inspect_settings(ROOT / ".env.example")
    assert (inspection.faults, inspection.hints) == ((), ())


def test_every_variable_of_the_example_is_explained():
    block = []
    for line in [*example_lines(), ""]:
        if line:
            block.append(line)
            continue
        names = [line for line in block if re.fullmatch(r"(?:# )?[A-Z_]+=.*", line)]
        assert not names or len(block) > len(names), block
        block = []


def test_both_example_files_are_the_same():
    assert (ROOT / "environment.example").read_text() == (ROOT / ".env.example").read_text()


def test_a_setting_cannot_be_changed_later():
    with pytest.raises(ValueError, match="frozen"):
        Settings().http_port = 1
