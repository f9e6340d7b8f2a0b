"""GET /docs: all that the API knows, as one page, written from its own description.

It asks nothing of any other address, and needs no script.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}: API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }}
body {{ display: grid; grid-template-columns: 15rem minmax(0, 60rem); gap: 2rem; margin: 1rem }}
nav {{ position: sticky; top: 1rem; align-self: start; max-height: 95vh; overflow: auto }}
nav a {{ display: block }}
section {{ border-top: 1px solid #8886; padding: .5rem 0 1rem }}
code, pre {{ font: .85rem/1.45 ui-monospace, monospace; overflow-wrap: anywhere }}
pre {{ background: #8882; padding: .6rem; overflow: auto; max-height: 24rem }}
.verb {{ font-weight: 700; display: inline-block; min-width: 4rem }}
table {{ border-collapse: collapse }} td, th {{ text-align: left; padding: .15rem 1rem .15rem 0 }}
@media (max-width: 50rem) {{ body {{ display: block }} nav {{ position: static }} }}
</style></head><body><nav>{contents}</nav><main><h1>{title} {version}</h1>{about}
<p>The same for programs: <a href="/openapi.json">/openapi.json</a>.</p>
{groups}</main></body></html>
"""
VERBS = ("get", "post", "put", "patch", "delete")
DEPTH_MAX = 8  # of an example that is made from a schema
JSON = "application/json"


def reference_routes(described: Callable[[], Mapping[str, Any]]) -> APIRouter:
    """Return the route of the page; described returns the app's description."""
    routes = APIRouter()

    @routes.get("/docs", include_in_schema=False)
    async def get_docs() -> Response:
        return HTMLResponse(reference(described()), headers=HEADERS)

    return routes


def reference(schema: Mapping[str, Any]) -> str:
    """Return the page that tells what an OpenAPI document tells."""
    groups: dict[str, list[str]] = {}
    for path, verb, operation in operations(schema):
        for tag in operation.get("tags") or ["Service"]:
            groups.setdefault(tag, []).append(section(schema, path, verb, operation))
    names = {tag: f"group-{number}" for number, tag in enumerate(groups)}
    info = schema["info"]
    paragraphs = info.get("description", "").split("\n\n")
    return PAGE.format(
        title=escape(info["title"]),
        version=escape(info["version"]),
        about="".join(f"<p>{escape(each)}</p>" for each in paragraphs),
        contents="".join(f'<a href="#{id}">{escape(tag)}</a>' for tag, id in names.items()),
        groups="".join(
            f'<h2 id="{names[tag]}">{escape(tag)}</h2>{"".join(parts)}'
            for tag, parts in groups.items()
        ),
    )


def operations(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, verbs in schema["paths"].items():
        for verb in VERBS:
            if verb in verbs:
                yield path, verb, verbs[verb]


def section(schema: Mapping[str, Any], path: str, verb: str, operation: Mapping[str, Any]) -> str:
    """Return what is told of one operation."""
    signed = " (signed in)" if operation.get("security") else ""
    told = [
        f'<section><h3><code><span class="verb">{verb.upper()}</span>{escape(path)}</code></h3>',
        f"<p>{escape(operation.get('summary', ''))}{signed}",
        f"<br>{escape(operation['description'])}</p>" if operation.get("description") else "</p>",
        parameters(operation.get("parameters", ())),
    ]
    body = operation.get("requestBody", {}).get("content", {}).get(JSON)
    if body is not None:
        told.append(f"<p>Body</p><pre>{written(example(schema, body['schema'], body))}</pre>")
    for status, answer in operation["responses"].items():
        content = answer.get("content", {}).get(JSON)
        if status.startswith("2") and content:
            shown = written(example(schema, content.get("schema", {}), content))
            told.append(f"<p>{status} {escape(answer['description'])}</p><pre>{shown}</pre>")
    others = [
        f"{status} {escape(answer['description'])}"
        for status, answer in operation["responses"].items()
        if not status.startswith("2")
    ]
    told.append(f"<details><summary>When not</summary>{'<br>'.join(others)}</details></section>")
    return "".join(told)


def parameters(found: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of what stands in path, query and headers."""
    rows = [
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
        f"<td>{'needed' if each.get('required') else ''}</td><td>{escape(meaning(each))}</td></tr>"
        for each in found
    ]
    return f"<table>{''.join(rows)}</table>" if rows else ""


def meaning(parameter: Mapping[str, Any]) -> str:
    said = parameter.get("description") or parameter["schema"].get("description")
    return str(said or "")


def written(value: object) -> str:
    return escape(json.dumps(value, indent=2, ensure_ascii=False), quote=False)


def example(
    schema: Mapping[str, Any], kind: Mapping[str, Any], given: Mapping[str, Any], depth: int = 0
) -> Any:
    """Return what is given as an example of a kind of value, or one made from its description."""
    for said in (given, kind):
        if "example" in said:
            return said["example"]
        if isinstance(said.get("examples"), list) and said["examples"]:
            return said["examples"][0]
    if depth > DEPTH_MAX:
        return None
    if "$ref" in kind:
        named = schema["components"]["schemas"][kind["$ref"].rpartition("/")[2]]
        return example(schema, named, {}, depth + 1)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in kind:
            return example(schema, kind[several][0], {}, depth + 1)
    if "const" in kind or "enum" in kind:
        return kind.get("const", kind.get("enum", [None])[0])
    match kind.get("type"):
        case "object":
            fields = kind.get("properties", {}).items()
            return {name: example(schema, of, {}, depth + 1) for name, of in fields}
        case "array":
            items = kind.get("prefixItems") or [kind.get("items", {})]
            return [example(schema, of, {}, depth + 1) for of in items]
        case plain:
            return PLAIN.get((plain, kind.get("format"))) or PLAIN.get((plain, None))


PLAIN: Mapping[tuple[str | None, str | None], Any] = {
    ("string", None): "text",
    ("string", "date-time"): "2026-01-31T12:00:00Z",
    ("string", "date"): "2026-01-31",
    ("integer", None): 1,
    ("number", None): 1.5,
    ("boolean", None): True,
}
