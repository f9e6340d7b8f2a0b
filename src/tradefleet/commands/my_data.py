"""/mydata: all that the service keeps of you, as one archive."""

from dataclasses import dataclass

from tradefleet.command import Attachment, CommandSpec, Context, Question, Reply, Route, VenueDesk
from tradefleet.domain.errors import Refused
from tradefleet.domain.privacy import MyData, Stage
from tradefleet.drawing import count, size_text

NOT_HERE = "Archives are not made here; ask the service itself."
WAIT = "🗄 Your archive is being put together; ask /mydata again in a minute."
FETCH = "/api/v1/me/export/file"


@dataclass(frozen=True, slots=True)
class MyDataAsked:
    pass


@dataclass(frozen=True, slots=True)
class MyDataGiven:
    """stage: waiting or ready; fetch: where the file is then, for so many minutes more."""

    stage: str
    name: str
    size: int
    rows: int
    tables: int
    sha256: str
    fetch: str
    minutes: int


async def ask(request: MyDataAsked, context: Context) -> Question | None:
    """Have the archive made: outside of any transaction, for it may take long."""
    make, user_id = context.catalog.my_data, context.user.id
    if make is None:
        raise Refused(NOT_HERE)

    async def put(desk: VenueDesk) -> MyData:
        return await make(user_id)

    return put


async def my_data(request: MyDataAsked, context: Context) -> Reply:
    made = context.answer
    if not isinstance(made, MyData):
        raise Refused(NOT_HERE)
    if made.stage is not Stage.READY:
        return Reply(text=WAIT, data=MyDataGiven(made.stage, "", 0, 0, 0, "", "", 0))
    text = (
        f"🗄 {made.name}: all that is kept of you, {count(made.rows, 'row')} of "
        f"{count(made.tables, 'table')}, {size_text(made.size)}. Keys and passwords are not in it."
    )
    files: tuple[Attachment, ...] = ()
    if made.content:
        files = (Attachment(made.name, "application/zip", made.content),)
    else:
        text += (
            f"\nIt is too large to send. Sign in (/web) and fetch {context.catalog.web_url}{FETCH} "
            f"within {made.kept_minutes} minutes."
        )
    data = MyDataGiven(
        stage=made.stage,
        name=made.name,
        size=made.size,
        rows=made.rows,
        tables=made.tables,
        sha256=made.sha256,
        fetch=FETCH,
        minutes=made.kept_minutes,
    )
    return Reply(text=text, attachments=files, data=data)


COMMAND = CommandSpec(
    name="mydata",
    summary="All that is kept of you, as one archive",
    usage="/mydata",
    example="/mydata",
    request=MyDataAsked,
    handler=my_data,
    asks=ask,
    place=15,
    for_banned=True,
    in_person=True,
    route=Route("GET", "/me/export"),
    data=MyDataGiven,
)
