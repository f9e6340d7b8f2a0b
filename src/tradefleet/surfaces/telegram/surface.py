"""The Telegram surface: it serves until cancelled, through any failure of the network."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from telegram import BotCommand, BotCommandScopeAllPrivateChats
from telegram.error import BadRequest
from telegram.ext import Application, TypeHandler

from tradefleet.clock import Clock, Ids
from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.user import Role
from tradefleet.store import Store
from tradefleet.surfaces.telegram.arrivals import KINDS, Arrival, Intake
from tradefleet.surfaces.telegram.bot import UpdatesAsTheyCame, build_bot, quiet_libraries
from tradefleet.surfaces.telegram.buttons import Buttons
from tradefleet.surfaces.telegram.conversation import Conversation
from tradefleet.surfaces.telegram.edge import Edge
from tradefleet.surfaces.telegram.errands import Errands
from tradefleet.surfaces.telegram.keys import KeyGuard
from tradefleet.surfaces.telegram.lanes import Lanes
from tradefleet.surfaces.telegram.manners import Manners
from tradefleet.surfaces.telegram.options import TelegramOptions, Webhook
from tradefleet.surfaces.telegram.polling import poll, poll_in_turn
from tradefleet.surfaces.telegram.presses import Presses
from tradefleet.surfaces.telegram.private_chat import PrivateChat
from tradefleet.surfaces.telegram.proofs import Proofs
from tradefleet.surfaces.telegram.questions import Questions
from tradefleet.surfaces.telegram.reach import persist
from tradefleet.surfaces.telegram.voice import Voice
from tradefleet.surfaces.telegram.webhook import webhook_server

logger = logging.getLogger(__name__)

PATIENCE_AT_END = 10.0  # seconds for commands that run when we are asked to stop
MENU_MAX = 100  # commands in Telegram's menu
BUTTONS = "telegram_buttons"  # the secret that marks them
SUMMARY_MAX = 256  # characters of one of them


class TelegramSurface:
    """Commands in, replies out.

    owner: this process's name among those that share the database, "" when it is the only one.
    """

    def __init__(
        self,
        options: TelegramOptions,
        *,
        dispatcher: Dispatcher,
        store: Store,
        clock: Clock,
        ids: Ids,
        owner: str = "",
    ) -> None:
        self._owner = owner
        self._options = options
        self._dispatcher = dispatcher
        self._store = store
        self._clock = clock
        self._ids = ids

    async def serve(self) -> None:
        quiet_libraries()
        bot, intake = build_bot(self._options), Intake()
        keys = KeyGuard(self._dispatcher, Voice(bot, self._clock))
        try:
            await persist("reach Telegram", bot.initialize, self._clock)
            keys.bot_name = bot.username.lower()
            async with self._working(bot, intake, keys):
                await self._bring_updates(bot, intake)
        finally:
            await bot.shutdown()

    async def _bring_updates(self, bot: UpdatesAsTheyCame, intake: Intake) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._show_menu(bot))
            if self._options.webhook is not None:
                group.create_task(self._receive(bot, intake, self._options.webhook))
            elif self._owner:
                duties, owner = self._store.duties, self._owner
                turns = poll_in_turn(bot, intake, self._clock, duties=duties, owner=owner)
                group.create_task(turns)
            else:
                group.create_task(poll(bot, intake, self._clock))

    async def _receive(self, bot: UpdatesAsTheyCame, intake: Intake, webhook: Webhook) -> None:
        """Listen first, and only then tell Telegram where; it stays told when we stop."""

        async def tell_telegram() -> None:
            await bot.set_webhook(
                webhook.url, secret_token=webhook.secret, allowed_updates=list(KINDS)
            )

        async with webhook_server(webhook, intake):
            await persist("set the webhook", tell_telegram, self._clock)
            await asyncio.Event().wait()

    async def _show_menu(self, bot: UpdatesAsTheyCame) -> None:
        """Tell Telegram which commands to offer while somebody types."""
        commands = sorted(
            self._dispatcher.catalog.commands.values(), key=lambda c: (c.group, c.place, c.name)
        )
        menu = [
            BotCommand(command.name, command.summary[:SUMMARY_MAX])
            for command in commands
            if command.role is Role.USER
        ][:MENU_MAX]

        async def show() -> None:
            try:
                await bot.set_my_commands(menu, scope=BotCommandScopeAllPrivateChats())
            except BadRequest as error:
                logger.warning("telegram: the menu of commands is refused: %s", error.message)

        await persist("show the commands", show, self._clock)

    @asynccontextmanager
    async def _working(
        self, bot: UpdatesAsTheyCame, intake: Intake, keys: KeyGuard
    ) -> AsyncIterator[None]:
        """Work on what comes in; at the end let what runs come to its end, but not for ever."""
        lanes = Lanes(intake, keys.remove)
        edge = self._edge(bot, keys, await self._store.secret(BUTTONS))
        builder = Application.builder().bot(bot).updater(None).job_queue(None)
        application = builder.update_queue(intake.queue).concurrent_updates(lanes).build()
        application.add_handler(TypeHandler(Arrival, edge.take))
        application.add_error_handler(note_fault)
        await application.initialize()
        await application.start()
        try:
            yield
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_AT_END):
                    await application.stop()
            await lanes.end()
            await application.shutdown()

    def _edge(self, bot: UpdatesAsTheyCame, keys: KeyGuard, secret: bytes) -> Edge:
        """Put together what answers an update; secret marks our buttons."""
        voice = Voice(bot, self._clock)
        manners = Manners(self._clock, self._dispatcher.request_limits)
        talk = Conversation(
            errands=Errands(self._dispatcher, self._store, Proofs(self._clock)),
            voice=voice,
            questions=Questions(self._clock, self._ids, self._store.identity),
            buttons=Buttons(secret),
        )
        chat = PrivateChat(conversation=talk, manners=manners)
        presses = Presses(conversation=talk, manners=manners, clock=self._clock)
        return Edge(
            bot=bot, keys=keys, private_chat=chat, presses=presses, voice=voice, ids=self._ids
        )


async def note_fault(_update: object, context: Any) -> None:
    """Log what even the edge could not take; the update stays out of the log."""
    logger.error("telegram: an update was lost: %s", type(context.error).__name__)
