"""Updates by webhook: a small server of our own that believes only who knows the secret."""

import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from tradefleet.surfaces.telegram.arrivals import Intake, is_number
from tradefleet.surfaces.telegram.options import Webhook

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
BODY_MAX = 256 * 1024  # bytes; an update has a few thousand


@asynccontextmanager
async def webhook_server(options: Webhook, intake: Intake) -> AsyncIterator[None]:
    """Listen for updates, and put them where polling would."""
    app = web.Application(client_max_size=BODY_MAX)
    app.router.add_post(options.path, Receiver(options.secret, intake).receive)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, options.host, options.port, reuse_address=True).start()
        yield
    finally:
        await runner.cleanup()


class Receiver:
    """Answers Telegram at once; the work is done afterwards."""

    def __init__(self, secret: str, intake: Intake) -> None:
        self._secret = secret.encode()
        self._intake = intake

    async def receive(self, request: web.Request) -> web.Response:
        if not self.is_genuine(request):
            return web.Response(status=403)
        try:
            update = json.loads(await request.read())
        except ValueError:
            return web.Response(status=400)
        if not isinstance(update, dict) or not is_number(update.get("update_id")):
            return web.Response(status=400)
        # 503: Telegram keeps the update and brings it again.
        return web.Response(status=200 if self._intake.offer(update) else 503)

    def is_genuine(self, request: web.Request) -> bool:
        """Compare the secret in a time that tells nothing about it."""
        given = request.headers.getall(SECRET_HEADER, [])
        said = given[0].encode("utf-8", "surrogateescape") if len(given) == 1 else b""
        return hmac.compare_digest(said, self._secret)
