"""Every command as a route, and those that are resources at their own place: from the catalog.

No command is named here: what a route is called, takes and gives is declared by the command.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import Parameter, Signature
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, create_model

from tradefleet.command import AnyCommand, Reply, Route
from tradefleet.dispatcher import Dispatcher, types_of
from tradefleet.domain.errors import NotAllowed, NotSignedIn, NotThere, Refused
from tradefleet.domain.market import Symbol
from tradefleet.domain.user import Role
from tradefleet.surfaces.api.bodies import body_of, example_in, inner_of, query_of
from tradefleet.surfaces.api.caller import Caller, Door, Right
from tradefleet.surfaces.api.errors import RESPONSES, json_response
from tradefleet.surfaces.api.matching import QUICK, QuickRoute, read_query
from tradefleet.surfaces.api.visits import address_of, caller_of

PREFIX = "/api/v1"
BODIES = frozenset({"POST", "PUT", "PATCH"})
READING = "GET"
FIELD = re.compile(r"\{(\w+)\}")
KEY_LENGTH_MAX = 128
HOW_TO_SIGN_IN = (
    "Sign in first: send the header Authorization: Bearer <token>. This service signs nobody in "
    "over HTTP yet; use Telegram, or tradefleet chat on its machine."
)
IN_PERSON = "A personal token may not change how you sign in; sign in yourself for that."
SECURITY = {"bearer": {"type": "http", "scheme": "bearer"}}

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=KEY_LENGTH_MAX,
        pattern=r"^[\x21-\x7e]+$",
        description="A name you give this request: sent again within 24 hours, with the same "
        "name and content, it is not done again but answered as before.",
    ),
]

Proof = Annotated[
    str | None,
    Header(
        alias="X-Second-Factor",
        max_length=16,
        description="Six digits of your authenticator, if you have a second factor and did not "
        "give it lately (POST /api/v1/auth/strong).",
    ),
]


class PngResponse(Response):
    """A picture."""

    media_type = "image/png"


class NoDoor:
    """Stands where nobody can sign in."""

    async def caller(self, authorization: str, address: str) -> Caller:
        raise NotSignedIn(HOW_TO_SIGN_IN)


def command_routes(dispatcher: Dispatcher, door: Door | None) -> APIRouter:
    """Return the routes of every command there is."""
    routes = APIRouter(prefix=PREFIX, redirect_slashes=False, route_class=QuickRoute)
    commands = dispatcher.catalog.commands.values()
    for command in sorted(commands, key=lambda each: (each.group, each.place, each.name)):
        maker = RouteMaker(command, dispatcher, door or NoDoor(), done_model(command))
        maker.add(routes, Route("POST", f"/commands/{command.name}"), "Commands", command.name)
        for number, route in enumerate(command.routes):
            name = f"{command.name}_resource{number or ''}"
            maker.add(routes, route, route.path.split("/")[1].capitalize(), name)
    return routes


def done_model(command: AnyCommand) -> type[BaseModel]:
    """Return the model of what a command answers when it is done."""
    data: Any = None if command.data is None else command.data | None
    return create_model(
        f"{camel(command.name)}Done",
        __config__=ConfigDict(title=f"{camel(command.name)}Done"),
        success=(Literal[True], ...),
        text=(str, ...),
        data=(data, ...),
    )


def camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def right_for(command: AnyCommand) -> Right:
    """Return what a caller must be allowed to do to run a command."""
    if command.role is Role.ADMIN:
        return Right.ADMIN
    return Right.TRADE if command.changes else Right.READ


def check_right(caller: Caller, right: Right) -> None:
    """Raise NotAllowed unless the caller has it."""
    if right not in caller.rights:
        raise NotAllowed(f"What you signed in with may not do this; it needs the right {right}.")


@dataclass(frozen=True, slots=True)
class RouteMaker:
    """Makes the routes of one command."""

    command: AnyCommand
    dispatcher: Dispatcher
    door: Door
    done: type[BaseModel]

    def add(self, routes: APIRouter, route: Route, tag: str, name: str) -> None:
        """Add one route: its path's fields, then a body or a query for the others."""
        in_path = FIELD.findall(route.path)
        routes.add_api_route(
            route.path,
            self.endpoint(route, in_path, camel(name)),
            methods=[route.method],
            name=name,
            operation_id=name,
            summary=self.command.summary,
            description=f"In chat: `{self.command.usage}`",
            tags=[tag],
            response_model=None if route.is_picture else self.done,
            response_class=PngResponse if route.is_picture else JSONResponse,
            response_description="A picture" if route.is_picture else "Done",
            responses=responses_of(route),
            openapi_extra={"security": [{"bearer": []}]},
        )

    def endpoint(self, route: Route, in_path: Sequence[str], name: str) -> Callable[..., Any]:
        """Return what serves a route, with the signature its parameters are read by."""
        caller_first = Annotated[Caller, Depends(self.caller)]
        parameters = [parameter("caller", caller_first), parameter("key", Key, None)]
        if self.command.needs_proof is not None:
            parameters.append(parameter("proof", Proof, None))
        if route.or_file:
            parameters.append(parameter("accept", Annotated[str, Depends(accepted)]))
        parameters += [self.path_parameter(field) for field in in_path]
        fixed = dict(route.fixed)
        left_out = (*in_path, *route.without, *fixed)
        query = query_of(self.command, f"{name}Query", left_out)
        if route.method in BODIES:
            body = body_of(self.command, f"{name}Body", left_out)
            needed = any(field.is_required() for field in body.model_fields.values())
            kind = body if needed else body | None
            parameters.append(
                parameter("given", Annotated[kind, Body()], *([] if needed else [None]))
            )
        elif query.model_fields:
            parameters.append(parameter("given", Annotated[query, Query()]))
        if route.method == READING:
            parameters = [each for each in parameters if each.name != "key"]

        async def serve(
            caller: Caller,
            key: str | None = None,
            proof: str | None = None,
            accept: str = "",
            given: BaseModel | None = None,
            **named: str,
        ) -> Response:
            values = {} if given is None else given.model_dump(exclude_none=True)
            values |= fixed | {field: self.in_path(field, text) for field, text in named.items()}
            reply = await self.run(caller, values, key or "", proof or "")
            if route.is_picture:
                return picture_of(reply)
            return file_of(reply, accept) if accept and accept == route.or_file else answer(reply)

        async def quick(request: Request) -> Response | None:
            values = read_query(request, query)
            if values is None:
                return None
            return answer(await self.run(await self.caller(request), {**values, **fixed}))

        serve.__name__ = name
        vars(serve)["__signature__"] = Signature(parameters)
        names = {each.name for each in parameters}
        if route.method == READING and names <= {"caller", "given"} and not route.is_picture:
            vars(serve)[QUICK] = quick
        return serve

    async def run(
        self, caller: Caller, values: Mapping[str, object], key: str = "", proof: str = ""
    ) -> Reply:
        return await self.dispatcher.run(
            caller.user_id,
            self.command.name,
            values,
            key=key,
            proof=proof,
            proven=caller.strong,
            surface="api",
            address=caller.address,
        )

    async def caller(self, request: Request) -> Caller:
        """Return who calls; raise unless they may."""
        caller = await caller_of(request, self.door, is_exit=self.command.is_exit)
        check_right(caller, right_for(self.command))
        if self.command.in_person and not caller.in_person:
            raise NotAllowed(IN_PERSON)
        return replace(caller, address=address_of(request.scope))

    def path_parameter(self, field: str) -> Parameter:
        example = example_in(self.command, field)
        examples = [] if example is None else [example]
        return parameter(field, Annotated[str, Path(min_length=1, examples=examples)])

    def in_path(self, field: str, text: str) -> str:
        """Return a field of the path; what names no pair names nothing that is there."""
        if inner_of(types_of(self.command.request)[field]) is Symbol:
            try:
                Symbol.parse(text)
            except Refused as refusal:
                raise NotThere(str(refusal)) from None
        return text


def parameter(name: str, kind: Any, *default: Any) -> Parameter:
    return Parameter(
        name,
        Parameter.KEYWORD_ONLY,
        annotation=kind,
        default=default[0] if default else Parameter.empty,
    )


def responses_of(route: Route) -> dict[int | str, dict[str, Any]]:
    if not route.or_file:
        return RESPONSES
    there = {route.or_file: {"schema": {"type": "string"}}}
    described = f"Done; or the file, for who accepts {route.or_file}"
    return {**RESPONSES, 200: {"description": described, "content": there}}


def accepted(request: Request) -> str:
    """Return the first media type that a caller accepts by its name, "" when they name none."""
    for each in request.headers.get("accept", "").split(","):
        name = each.partition(";")[0].strip().lower()
        if name and "*" not in name:
            return name
    return ""


def file_of(reply: Reply, media_type: str) -> Response:
    """Return a reply's file, to be kept under its name; without one, the reply."""
    for each in reply.attachments:
        if each.media_type == media_type:
            headers = {
                "Content-Disposition": f'attachment; filename="{each.name}"',
                "Cache-Control": "private, no-store",
            }
            return Response(each.content, media_type=media_type, headers=headers)
    return answer(reply)


def picture_of(reply: Reply) -> Response:
    """Return the first picture of a reply; Refused says why there is none."""
    for each in reply.attachments:
        if each.media_type == PngResponse.media_type:
            return PngResponse(each.content, headers={"Cache-Control": "private, no-store"})
    raise Refused(reply.text)


def answer(reply: Reply) -> Response:
    """Return a reply as the API says it; the text is the same as in every other place."""
    if reply.refused:
        raise Refused(reply.text)
    return json_response(200, {"success": True, "text": reply.text, "data": reply.data})
