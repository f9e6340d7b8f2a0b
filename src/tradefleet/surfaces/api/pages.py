"""The pages that one-time links of the bot lead to: sign in, a password, a second factor, keys.

They need no script. Looking at one opens no link, so a preview of it in a chat does no harm; the
code is in the query and in a form, never in the path.
"""

from collections.abc import Awaitable, Callable, Mapping
from html import escape
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from tradefleet import second_factor
from tradefleet.dispatcher import Dispatcher
from tradefleet.domain.credentials import Secret
from tradefleet.domain.effects import Notify, Topic
from tradefleet.domain.errors import NotSignedIn, Refused
from tradefleet.domain.user import Mode
from tradefleet.identity import LinkUse
from tradefleet.operations.sign_in.sessions import SignIn

PREFIX = "/link"
FORM_MAX = 8  # fields
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} - Tradefleet</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
body {{ max-width: 30rem; margin: 12vh auto; padding: 0 1rem }}
label, input, button, textarea {{ display: block; width: 100%; box-sizing: border-box }}
input, button, textarea {{ font: inherit; padding: .6rem; margin: .3rem 0 1rem }}
code {{ overflow-wrap: anywhere }}
select {{ font: inherit; padding: .6rem; margin: .3rem 0 1rem; width: 100% }}
.hidden {{ -webkit-text-security: disc }}
.wrong {{ color: #c22 }}
p {{ white-space: pre-line; overflow-wrap: anywhere }}
</style></head><body><h1>{title}</h1>{body}</body></html>
"""
FORM = """<form method="post" autocomplete="off"><input type="hidden" name="code" value="{code}">
{fields}<button>{button}</button></form>"""
PASSWORD_FIELDS = """<label>New password, at least 12 characters
<input type="password" name="password" required minlength="12" maxlength="256"
autocomplete="new-password"></label>
<label>The same once more
<input type="password" name="again" required autocomplete="new-password"></label>"""
DIGITS_FIELD = """<input type="hidden" name="step" value="confirm">
<label>Six digits
<input name="digits" inputmode="numeric" required autocomplete="one-time-code"></label>"""
# A secret may be a key of many lines; it is shown as dots where the browser can.
KEY_FIELDS = """<label>Account<select name="exchange" required>{options}</select></label>
<label>API key
<input name="api_key" required maxlength="256" autocomplete="off" autocapitalize="off"
spellcheck="false"></label>
<label>Secret
<textarea name="api_secret" class="hidden" required maxlength="4096" rows="3" autocomplete="off"
autocapitalize="off" spellcheck="false"></textarea></label>"""
ABOUT_KEYS = (
    "<p>Make a key at the exchange that may read and trade but not withdraw. It is checked there, "
    "kept encrypted, and never shown again.</p>"
)
OPENED = "🔐 The page for your keys was used. If that was not you, say /disconnect now."
NO_ACCOUNTS = "This service speaks to no exchange that needs keys."
CHOOSE = "Choose an account from the list."
MODES = {Mode.LIVE: "real money", Mode.TESTNET: "testnet", Mode.PAPER: "paper"}
NOT_THE_SAME = "The two are not the same."
TITLES = {
    LinkUse.SIGN_IN: "Sign in",
    LinkUse.PASSWORD: "Set a password",
    LinkUse.SECOND_FACTOR: "Second factor",
    LinkUse.CONNECT: "Connect an exchange",
}
PATHS = {use: use.value.replace("_", "-") for use in TITLES}


def page(title: str, body: str, status: int = 200) -> Response:
    return HTMLResponse(PAGE.format(title=escape(title), body=body), status, HEADERS)


def form(code: str, fields: str, button: str, wrong: str = "") -> str:
    said = f'<p class="wrong">{escape(wrong)}</p>' if wrong else ""
    return said + FORM.format(code=escape(code), fields=fields, button=escape(button))


class Pages:
    """What each page shows, and what its form does."""

    def __init__(self, sign_in: SignIn, dispatcher: Dispatcher) -> None:
        self._sign_in = sign_in
        self._dispatcher = dispatcher

    async def look(self, use: LinkUse, code: str, chosen: str = "") -> Response:
        """Show the form; it opens nothing."""
        await self._sign_in.look(code, use)
        return page(TITLES[use], self._form(use, code, chosen=chosen))

    def _form(self, use: LinkUse, code: str, wrong: str = "", chosen: str = "") -> str:
        match use:
            case LinkUse.CONNECT:
                return self._form_for_keys(code, wrong, chosen)
            case LinkUse.PASSWORD:
                return form(code, PASSWORD_FIELDS, "Set it", wrong)
            case LinkUse.SECOND_FACTOR:
                why = "<p>From then on, changes to live trading ask for six digits of your app.</p>"
                return why + form(code, "", "Show the secret for my authenticator", wrong)
            case _:
                return form(code, "", "Sign in here", wrong)

    async def signed_in(self, given: Mapping[str, str], address: str) -> Response:
        signed = await self._sign_in.by_link(given.get("code", ""), address)
        body = (
            f"<p>You are signed in as {escape(signed.session.user_id)}.</p>"
            "<label>Access token, for one hour"
            f'<textarea readonly rows="6">{escape(signed.access.reveal())}</textarea></label>'
            "<label>Refresh token, for POST /api/v1/auth/refresh"
            f'<textarea readonly rows="2">{escape(signed.renewal.reveal())}</textarea></label>'
            "<p>Show them to nobody. /sessions in the chat lists and ends what is signed in.</p>"
        )
        return page(TITLES[LinkUse.SIGN_IN], body)

    async def password(self, given: Mapping[str, str], _address: str) -> Response:
        code, password = given.get("code", ""), given.get("password", "")
        title = TITLES[LinkUse.PASSWORD]
        if password != given.get("again"):
            return page(title, self._form(LinkUse.PASSWORD, code, NOT_THE_SAME), 400)
        try:
            user = await self._sign_in.set_password_by_link(code, Secret(password))
        except NotSignedIn:
            raise
        except Refused as refusal:
            return page(title, self._form(LinkUse.PASSWORD, code, str(refusal)), 400)
        body = (
            f"<p>Done. You sign in as {escape(user.id)} from now on; whoever was signed in "
            "before is not any more.</p>"
        )
        return page(title, body)

    async def connect(self, given: Mapping[str, str], address: str) -> Response:
        """Run the command that takes keys, as the user the link was given to."""
        title, chosen = TITLES[LinkUse.CONNECT], given.get("exchange", "")
        if chosen not in self._accounts():
            code = given.get("code", "")
            await self._sign_in.look(code, LinkUse.CONNECT)
            return page(title, self._form_for_keys(code, CHOOSE, chosen), 400)
        link = await self._sign_in.take_link(given.get("code", ""), LinkUse.CONNECT)
        name = next(
            command.name
            for command in self._dispatcher.catalog.commands.values()
            if command.form is LinkUse.CONNECT
        )
        words = {field: given.get(field, "") for field in ("exchange", "api_key", "api_secret")}
        reply = await self._dispatcher.run(
            link.user_id, name, words, surface="web", address=address
        )
        if reply.refused:
            fresh = (await self._sign_in.give_link_again(link)).reveal()
            return page(title, self._form_for_keys(fresh, reply.text, chosen), 400)
        now = self._dispatcher.clock.now()
        async with self._dispatcher.store.open(link.user_id) as store:
            told = f"{OPENED}\n{reply.text}"
            await store.notify(Notify(link.user_id, Topic.SYSTEM, told, now, priority=2))
        return page(title, f"<p>{escape(reply.text)}</p><p>You may close this page.</p>")

    def _form_for_keys(self, code: str, wrong: str, chosen: str) -> str:
        accounts = self._accounts()
        if not accounts:
            return f"<p>{NO_ACCOUNTS}</p>"
        options = "".join(option(value, shown, chosen) for value, shown in accounts.items())
        return ABOUT_KEYS + form(code, KEY_FIELDS.format(options=options), "Connect", wrong)

    def _accounts(self) -> Mapping[str, str]:
        """Return the accounts that take keys, as the command calls them and as people do."""
        catalog = self._dispatcher.catalog
        return {
            f"{venue.name}:{mode.value}": f"{venue.name} ({MODES[mode]})"
            for venue in catalog.venues.values()
            if venue.needs_keys
            for mode in sorted(venue.modes, key=list(MODES).index, reverse=True)
            if mode is not Mode.LIVE or not catalog.key_rules.live_ban
        }

    async def second_factor(self, given: Mapping[str, str], _address: str) -> Response:
        code, title = given.get("code", ""), TITLES[LinkUse.SECOND_FACTOR]
        wrong = ""
        if given.get("step") == "confirm":
            try:
                await self._sign_in.confirm_second_factor(code, given.get("digits", ""))
            except NotSignedIn:
                raise
            except Refused as refusal:
                wrong = str(refusal)
            else:
                return page(title, "<p>Done. Changes to live trading ask for it from now on.</p>")
        user_id, secret = await self._sign_in.show_second_factor(code)
        address = escape(second_factor.address_of(secret, user_id).reveal())
        body = (
            "<p>Add this secret to your authenticator app, then type the six digits it shows.</p>"
            f"<p><code>{escape(in_fours(secret.reveal()))}</code></p>"
            f'<p><a href="{address}">Open it in an app of this device</a></p>'
        )
        return page(title, body + form(code, DIGITS_FIELD, "Confirm", wrong), 400 if wrong else 200)


def option(value: str, shown: str, chosen: str) -> str:
    """Return one choice of a list; chosen: how the one that is selected begins."""
    selected = " selected" if chosen and value.startswith(chosen) else ""
    return f'<option value="{escape(value)}"{selected}>{escape(shown)}</option>'


def in_fours(text: str) -> str:
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


async def fields_of(request: Request) -> Mapping[str, str]:
    """Return a form's fields; nothing at all when it is odd."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=FORM_MAX)
    except ValueError:
        return {}
    return dict(pairs) if len(dict(pairs)) == len(pairs) else {}


def page_routes(sign_in: SignIn, dispatcher: Dispatcher) -> APIRouter:
    """Return the pages of one-time links; they are no part of the API."""
    routes = APIRouter(prefix=PREFIX, include_in_schema=False, redirect_slashes=False)
    pages = Pages(sign_in, dispatcher)
    posts: dict[LinkUse, Callable[[Mapping[str, str], str], Awaitable[Response]]] = {
        LinkUse.SIGN_IN: pages.signed_in,
        LinkUse.PASSWORD: pages.password,
        LinkUse.SECOND_FACTOR: pages.second_factor,
        LinkUse.CONNECT: pages.connect,
    }
    for use, post in posts.items():
        add_page(routes, pages, use, post)
    return routes


def add_page(
    routes: APIRouter,
    pages: Pages,
    use: LinkUse,
    post: Callable[[Mapping[str, str], str], Awaitable[Response]],
) -> None:
    @routes.get(f"/{PATHS[use]}")
    async def look(code: str = "", exchange: str = "") -> Response:
        return await shown(lambda: pages.look(use, code, exchange))

    @routes.post(f"/{PATHS[use]}")
    async def act(request: Request) -> Response:
        given = await fields_of(request)
        address = request.client.host if request.client else ""
        return await shown(lambda: post(given, address))

    async def shown(make: Callable[[], Awaitable[Response]]) -> Response:
        try:
            return await make()
        except Refused as refusal:
            return page(TITLES[use], f"<p>{escape(str(refusal))}</p>", 400)
