"""The service, put together from its settings: store, paper venue, host, surfaces."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from tradefleet import strategies
from tradefleet.alert import AlertBook
from tradefleet.counter import Counters
from tradefleet.counters.redis import RedisCounters
from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.errors import Refused, StoreUnavailable
from tradefleet.domain.tally import RequestTally
from tradefleet.fleets.local import LocalFleet
from tradefleet.notifier import Notifier
from tradefleet.notifiers.log import LogNotifier
from tradefleet.operations.alarms import Alarms
from tradefleet.operations.alert_delivery.couriers import Pouch, empty_pouch
from tradefleet.operations.answers import AnswersForgotten
from tradefleet.operations.doctor.configuration import warnings_of
from tradefleet.operations.key_checks import KeyChecks
from tradefleet.operations.logs.masking import Masks
from tradefleet.operations.logs.starting import secrets_of, write_logs
from tradefleet.operations.sign_in.clearing import OldSignInsForgotten
from tradefleet.plugins import find_plugins
from tradefleet.runtime.feed import Feed
from tradefleet.runtime.host import Host
from tradefleet.runtime.node import Node
from tradefleet.runtime.outbox import Outbox
from tradefleet.runtime.ownership import Ownership
from tradefleet.settings import Environment, Settings, load_settings
from tradefleet.strategy import StrategySpec
from tradefleet.surfaces.api.auth import auth_routes
from tradefleet.surfaces.api.door import SignInDoor
from tradefleet.surfaces.api.my_data import my_data_routes
from tradefleet.surfaces.api.pages import page_routes
from tradefleet.surfaces.api.seed_routes import seed_routes
from tradefleet.surfaces.api.server import HttpSurface
from tradefleet.surfaces.telegram.notifier import TelegramNotifier
from tradefleet.surfaces.telegram.options import TelegramOptions, Webhook
from tradefleet.surfaces.telegram.surface import TelegramSurface
from tradefleet.wiring.alerts import couriers_over, telling_without_database
from tradefleet.wiring.audit import check_of, checkpoints_of, serving
from tradefleet.wiring.backup import schedule_of
from tradefleet.wiring.demo import DEMO_TICK, connecting, seed_demo
from tradefleet.wiring.family import Family, members_of
from tradefleet.wiring.figures import figures_over
from tradefleet.wiring.ground import Ground, open_ground
from tradefleet.wiring.health import health_over
from tradefleet.wiring.keys import key_rules
from tradefleet.wiring.live import live_over
from tradefleet.wiring.operator import operator_lines
from tradefleet.wiring.privacy import erasures_over, notice_over, retention_over
from tradefleet.wiring.processes import let_go_of_the_dead, process_name
from tradefleet.wiring.sign_in import sign_in_over
from tradefleet.wiring.simulated import simulated_venues
from tradefleet.wiring.venues import ensure_reached
from tradefleet.wiring.waiting_room import first_words, is_all_database, wait_for_database
from tradefleet.wiring.walls import warn_of_walls

logger = logging.getLogger(__name__)

Say = Callable[[str], None]


async def serve_with_simulated_venues(db: str | None, demo: bool, say: Say) -> None:
    """Serve beside simulated venues; they begin anew each time, and so does their database."""
    settings = load_settings()
    file = settings.data_dir / "simulated.db"
    if db is None:
        forget(file)
    async with simulated_venues(settings.paper_seed) as simulation:
        os.environ.update(simulation.variables())
        for venue, url in simulation.urls.items():
            say(f"Simulated:  {venue} at {url}")
        say(f"Simulated:  admin at {simulation.admin}")
        connects = connecting(simulation.keys) if demo else {}
        await serve(db or f"sqlite:///{file}", demo, say, connects)


async def serve(
    db: str | None, demo: bool, say: Say, connects: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Run everything until Ctrl-C or SIGTERM; Refused or StoreUnavailable say what is wrong.

    connects: messages by which demo users connect accounts and add bots there, before others.
    A database that goes away while everything runs is waited for; then all starts again.
    """
    stop, book, pouch = asyncio.Event(), AlertBook(), empty_pouch()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    has_run = False  # a database that never answered is no outage but a wrong address, say
    while True:
        ran = asyncio.Event()
        try:
            await serve_once(db, demo, say, connects, stop=stop, ran=ran, book=book, pouch=pouch)
        except (StoreUnavailable, BaseExceptionGroup) as error:
            has_run = has_run or ran.is_set()
            if not has_run or not is_all_database(error):
                raise
            logger.error("the database went away: %s", first_words(error))
            async with telling_without_database(process_name(), pouch) as couriers:
                await wait_for_database(db, stop, book, [couriers])
        if stop.is_set():
            break
    say("Stopped; everything is written down.")


async def serve_once(
    db: str | None,
    demo: bool,
    say: Say,
    connects: Mapping[str, Sequence[str]] | None,
    *,
    stop: asyncio.Event,
    ran: asyncio.Event,
    book: AlertBook,
    pouch: Pouch,
) -> None:
    """Run everything until it is stopped or fails; ran is set once every user was taken."""
    async with open_ground(db, DEMO_TICK if demo else timedelta(seconds=1)) as ground:
        settings = ground.settings
        write_logs(settings)
        if demo and settings.environment is Environment.PRODUCTION:
            raise Refused("--demo makes users who trade by themselves: not with production.")
        for each in warnings_of(settings):
            logger.warning("%s: %s", each.name, each.text)
        await warn_of_walls(settings, db)
        if settings.paper_market in ground.real:
            await ensure_reached(settings.paper_market, ground.paper.source)
        node = await build_node(ground)
        sign_in = await sign_in_over(ground)
        node.recovered = ran
        checkpoints = checkpoints_of(ground, process_name())
        requests = RequestTally()
        couriers = couriers_over(settings, ground.store, ground.clock, process_name(), pouch)
        looked = health_over(
            ground,
            node,
            db=db,
            telegram=telegram_options(settings),
            requests=requests,
            sinks=[couriers],
            book=book,
            more=[check_of(checkpoints)],
        )
        health = looked.report
        dispatcher, door = ground.door(health, couriers.test), SignInDoor(sign_in)
        figures = figures_over(node, ground, dispatcher, requests, looked.watch.report)
        live = live_over(ground, door)
        http = HttpSurface(
            host=settings.http_host,
            port=settings.http_port,
            health=health,
            is_ready=node.recovered.is_set,
            dispatcher=dispatcher,
            door=door,
            more=[
                auth_routes(sign_in),
                page_routes(sign_in, dispatcher),
                *seed_routes(dispatcher, door, health, figures.gauges.told),
                figures.routes,
                my_data_routes(ground.archives, door),
                *live.routes,
            ],
            quotas=ground.quotas,
            proxies=settings.proxies(),
            tally=requests,
            clock=ground.clock,
        )
        listener = http.listen()
        checks = key_checks(ground)
        await checks.obey_rules()
        await notice_over(ground).run()
        node.others = [
            lambda: http.serve(listener),
            *telegram_tasks(ground, say, dispatcher),
            ground.paper.commits.run,
            checks.run,
            AnswersForgotten(store=ground.store, clock=ground.clock).run,
            OldSignInsForgotten(store=ground.store, clock=ground.clock).run,
            schedule_of(ground, db, process_name()).run,
            checkpoints.run,
            ground.archives.run,
            erasures_over(ground).run,
            retention_over(ground, process_name()).run,
            *alarms(ground),
            *looked.tasks,
            couriers.run,
            figures.gauges.run,
            *live.tasks,
        ]
        if demo:
            await seed_demo(ground.door(), ground.store, say, connects)
        announce(ground, listener, say)
        say(f"Requests:   counted {await counted_where(ground.counters)}")
        async for line in operator_lines(ground):
            say(f"Operator:   {line}")
        if members := members_of(settings):
            family = Family(ground=ground, members=members, say=say, door=ground.door())
            await family.start()
            node.others = [*node.others, family.keep_trying, family.tell_cycles]
        async with serving(ground, process_name()):
            await LocalFleet(node, stop).run()


def forget(file: Path) -> None:
    """Remove an SQLite database and what belongs to it."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)


async def build_node(ground: Ground, *more: StrategySpec) -> Node:
    """Put host, feed and ownership together; more: strategies beside the plug-ins."""
    settings, start = ground.settings, ground.start
    start.ends("venues")
    await let_go_of_the_dead(ground.store)
    start.ends("leases")
    host = Host(
        store=ground.store,
        clock=ground.clock,
        venues=ground.venues,
        strategies=find_plugins(strategies, "STRATEGY") | {each.name: each for each in more},
        tiers=settings.tiers(),
        order_key=await ground.store.secret("order_ids"),
        owner=process_name(),
    )
    feeds = {
        name: Feed(venue=name, market=venue.market, host=host, clock=ground.clock)
        for name, venue in ground.venues.items()
    }
    ownership = Ownership(host=host, feeds=feeds, lease_seconds=settings.lease_ttl)
    if ground.keys_ahead is not None:
        ownership.read_keys = ground.keys_ahead.read
    start.ends("strategies")
    return Node(host=host, feeds=feeds, ownership=ownership, start=start)


def key_checks(ground: Ground) -> KeyChecks:
    """Return the daily look at connected keys, over the venues that are open here."""
    return KeyChecks(
        store=ground.store,
        vault=ground.vault,
        desk=ground.desk,
        clock=ground.clock,
        rules=key_rules(ground.settings),
        per_minute=ground.settings.keys_checked_per_minute,
    )


def alarms(ground: Ground) -> list[Callable[[], Awaitable[None]]]:
    """Return what tells the operator's people of errors, when it is said who they are."""
    ids = ground.settings.admin_ids()
    if not ids:
        return []
    masks = Masks(secrets_of(ground.settings))
    return [Alarms(store=ground.store, clock=ground.clock, telegram_ids=ids, masks=masks).run]


def telegram_tasks(
    ground: Ground, say: Say, dispatcher: Dispatcher | None = None
) -> list[Callable[[], Awaitable[None]]]:
    """Return what runs for Telegram, when there is a token, and the outbox in any case."""
    options = telegram_options(ground.settings)
    notifiers: list[Notifier] = [LogNotifier()]
    tasks: list[Callable[[], Awaitable[None]]] = []
    if options is not None:
        notifiers.insert(0, TelegramNotifier(options))
        surface = TelegramSurface(
            options,
            dispatcher=dispatcher or ground.door(),
            store=ground.store,
            clock=ground.clock,
            ids=ground.ids,
            owner=process_name(),
        )
        tasks.append(surface.serve)
    else:
        say("Telegram:   off (set TELEGRAM_BOT_TOKEN to switch it on)")
    outbox = Outbox(
        store=ground.store, notifiers=notifiers, clock=ground.clock, owner=process_name()
    )
    return [*tasks, outbox.run]


def telegram_options(settings: Settings) -> TelegramOptions | None:
    if settings.telegram_bot_token is None:
        return None
    webhook = None
    if settings.telegram_mode == "webhook" and settings.telegram_webhook_secret is not None:
        webhook = Webhook(
            url=settings.telegram_webhook_url,
            secret=settings.telegram_webhook_secret.get_secret_value(),
            host=settings.http_host,
            port=settings.telegram_webhook_port,
        )
    return TelegramOptions(
        token=settings.telegram_bot_token.get_secret_value(),
        api_url=settings.telegram_api_url,
        webhook=webhook,
    )


async def counted_where(counters: Counters) -> str:
    """Say where requests are counted."""
    if not isinstance(counters, RedisCounters):
        return "by this process alone (set REDIS_URL when there are several)"
    if await counters.is_reached():
        return "in Redis, for all processes together"
    return "by this process alone, for Redis at REDIS_URL cannot be reached; it is tried again"


def announce(ground: Ground, listener: socket.socket, say: Say) -> None:
    """Say where everything is to be found."""
    host, port = listener.getsockname()[:2]
    settings = ground.settings
    say(f"Database:   {ground.database}")
    say(f"Keys:       sealed under {ground.masters.source}")
    say(f"Real money: {key_rules(ground.settings).live_ban or 'live accounts may be connected'}")
    seed = "" if settings.paper_market in ground.real else f", seed {settings.paper_seed}"
    say(f"Market:     paper ({settings.paper_market}{seed})")
    say(f"Venues:     {', '.join(ground.venues)}")
    say(f"Health:     http://{host}:{port}/health")
    say(f"API:        http://{host}:{port}/docs")
    where = "" if ground.is_default_database else f" --db {ground.database}"
    say(f'Speak to it: .venv/bin/tradefleet chat --user alice{where} "/status"')
    say("Ctrl-C stops it.")
