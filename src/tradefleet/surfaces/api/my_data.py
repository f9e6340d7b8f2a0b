"""GET /api/v1/me/export/file: the archive that /me/export had made, as a download."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import FileResponse

from tradefleet.domain.errors import NotAllowed, NotThere
from tradefleet.operations.privacy.archives import Archives
from tradefleet.surfaces.api.caller import Caller, Door, Right
from tradefleet.surfaces.api.errors import RESPONSES
from tradefleet.surfaces.api.matching import QuickRoute
from tradefleet.surfaces.api.routes import IN_PERSON, check_right
from tradefleet.surfaces.api.visits import caller_of

ZIP = "application/zip"
NONE = "There is no archive to fetch here: ask for one by GET /api/v1/me/export first."
ANSWERS: dict[int | str, dict[str, Any]] = {
    **RESPONSES,
    200: {
        "description": "A ZIP file",
        "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}},
    },
}


def my_data_routes(archives: Archives, door: Door) -> APIRouter:
    """Return the route of the download: for people, not for their programs' tokens."""
    routes = APIRouter(prefix="/api/v1", tags=["Me"], route_class=QuickRoute)

    async def who(request: Request) -> Caller:
        caller = await caller_of(request, door)
        check_right(caller, Right.READ)
        if not caller.in_person:
            raise NotAllowed(IN_PERSON)
        return caller

    @routes.get(
        "/me/export/file",
        operation_id="fetch_my_data",
        response_class=FileResponse,
        responses=ANSWERS,
        openapi_extra={"security": [{"bearer": []}]},
    )
    async def fetch(caller: Annotated[Caller, Depends(who)]) -> FileResponse:
        """Fetch the archive that was made for you within the last hour."""
        ready = archives.ready(caller.user_id)
        if ready is None:
            raise NotThere(NONE)
        return FileResponse(
            ready.file,
            media_type=ZIP,
            filename=f"my-data-{ready.made_at:%Y-%m-%d}.zip",
            headers={"Cache-Control": "private, no-store"},
        )

    return routes
