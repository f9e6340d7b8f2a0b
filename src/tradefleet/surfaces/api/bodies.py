"""A typed body, and typed query parameters, for each command's request: nothing unknown passes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field as DataField
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr
from pydantic import create_model as make_model

from tradefleet.command import LONGEST, AnyCommand
from tradefleet.dispatcher import VALUE_LENGTH_MAX, is_required, name_and_words, named_words
from tradefleet.domain.credentials import Secret
from tradefleet.domain.market import Symbol

SECRET_LENGTH_MAX = 8192
INT_MAX = 999_999_999
NAMES_MAX = 50  # of an object of names and values
AMOUNT = r"^[0-9]{1,16}(\.[0-9]{1,8})?$"

Text = Annotated[StrictStr, Field(max_length=VALUE_LENGTH_MAX)]
Pair = Annotated[StrictStr, Field(min_length=1, max_length=40, description="Like BTC/USDT.")]
Hidden = Annotated[
    StrictStr,
    Field(
        max_length=SECRET_LENGTH_MAX, json_schema_extra={"writeOnly": True, "format": "password"}
    ),
]
AmountText = Annotated[StrictStr, Field(pattern=AMOUNT)]
Amount = Annotated[
    AmountText | Annotated[StrictInt, Field(gt=0)] | Annotated[StrictFloat, Field(gt=0)],
    Field(description="Above zero, at most 8 decimals; as a string every digit is kept."),
]
Count = Annotated[StrictInt, Field(ge=0, le=INT_MAX)]
Moment = Annotated[
    StrictStr, Field(max_length=40, description="Like 2026-01-31 or 2026-01-31T12:00:00Z (UTC).")
]
Values = Annotated[
    dict[str, Text | StrictInt | StrictFloat | StrictBool], Field(max_length=NAMES_MAX)
]
IN_BODY: Mapping[Any, Any] = {
    str: Text,
    Symbol: Pair,
    Secret: Hidden,
    Decimal: Amount,
    bool: StrictBool,
    int: Count,
    datetime: Moment,
}
# In a query everything comes as text.
IN_QUERY: Mapping[Any, Any] = {
    **IN_BODY,
    Decimal: AmountText,
    bool: Literal["true", "false"],
    int: Annotated[int, Field(ge=0, le=INT_MAX)],
}


def inner_of(kind: Any) -> Any:
    """Return the type of a field that may be left out."""
    if get_origin(kind) is Mapping:
        return Mapping
    return next((part for part in get_args(kind) if part is not NoneType), kind)


def shape_of(
    command: AnyCommand, without: Sequence[str], kinds: Mapping[Any, Any]
) -> dict[str, Any]:
    """Return the fields of a model for a request, some left out; a default is not filled in."""
    hints = get_type_hints(command.request)
    found: dict[str, Any] = {}
    for each in fields(command.request):
        inner = inner_of(hints[each.name])
        if each.name in without or (inner is Mapping and kinds is IN_QUERY):
            continue
        kind = Values if inner is Mapping else kinds[inner]
        if LONGEST in each.metadata:
            kind = Annotated[StrictStr, Field(max_length=each.metadata[LONGEST])]
        if is_required(each):
            found[each.name] = (kind, ...)
        else:
            found[each.name] = (kind | None, Field(default=None, description=usual(each)))
    return found


def usual(each: "DataField[Any]") -> str | None:
    """Say what is meant when a field is not given."""
    known = isinstance(each.default, str | int | Decimal) and not isinstance(each.default, Secret)
    return f"Without it: {each.default}." if known and each.default != "" else None


def body_of(command: AnyCommand, name: str, without: Sequence[str] = ()) -> type[BaseModel]:
    """Return the model of a command's request as a body, without what stands in the path."""
    shape = shape_of(command, without, IN_BODY)
    return model(name, shape, example_of(command, shape))


def query_of(command: AnyCommand, name: str, without: Sequence[str]) -> type[BaseModel]:
    """Return the model of a command's request as query parameters."""
    return model(name, shape_of(command, without, IN_QUERY), None)


def model(name: str, shape: Mapping[str, Any], example: Any) -> type[BaseModel]:
    config = ConfigDict(
        extra="forbid", json_schema_extra=None if example is None else {"example": example}
    )
    make: Callable[..., type[BaseModel]] = make_model
    return make(name, __config__=config, **shape)


def example_of(command: AnyCommand, shape: Mapping[str, Any]) -> dict[str, Any]:
    """Return the command's own example as a body."""
    named = named_words(command, name_and_words(command.example)[1])
    hints = get_type_hints(command.request)
    return {
        name: int(str(value)) if inner_of(hints[name]) is int else value
        for name, value in named.items()
        if name in shape
    }


def example_in(command: AnyCommand, name: str) -> str | None:
    """Return what stands for a field in the command's own example."""
    found = named_words(command, name_and_words(command.example)[1]).get(name)
    return None if found is None else str(found).replace("/", "-")
