"""The OpenAPI document as one plain page: no script, no font, no request to anywhere."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1b1f24; }
h2 { margin-top: 2.5rem; } summary { cursor: pointer; padding: .4rem 0; } code, pre { font-size: .9rem; }
.method { display: inline-block; width: 4rem; font-weight: 700; } details { border-top: 1px solid #d0d7de; }
pre { background: #f6f8fa; padding: .8rem; overflow-x: auto; } dt { font-weight: 600; }
dl { margin: .4rem 0 1rem 1rem; }
"""


def page(document: Mapping[str, Any]) -> str:
    """The whole page for an OpenAPI 3 document."""
    info = document["info"]
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = operation.get("tags", ["other"])[0]
            groups.setdefault(tag, []).append("".join(_operation(method, path, operation)))
    schemas = document.get("components", {}).get("schemas", {})
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>",
        f"<p>{escape(info.get('description', ''))}</p><p><a href='/openapi.json'>openapi.json</a></p>",
        *(f"<h2>{escape(tag)}</h2>{''.join(operations)}" for tag, operations in groups.items()),
        "<h2>Schemas</h2>",
        *(_schema(name, schema) for name, schema in schemas.items()),
        "</body></html>",
    ]
    return "\n".join(parts)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    name = f"<span class='method'>{escape(method.upper())}</span> <code>{escape(path)}</code>"
    yield f"<details><summary>{name}</summary>"
    yield f"<p>{escape(operation.get('description', operation.get('summary', '')))}</p><dl>"
    for scheme in {name for entry in operation.get("security", []) for name in entry}:
        yield f"<dt>Authorization</dt><dd>Bearer token of the {escape(scheme)}</dd>"
    for parameter in operation.get("parameters", []):
        yield f"<dt><code>{escape(parameter['name'])}</code> in {escape(parameter['in'])}</dt>"
        yield f"<dd>{_type_of(parameter.get('schema', {}))}</dd>"
    for media, body in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<dt>Body, {escape(media)}</dt><dd>{_type_of(body.get('schema', {}))}</dd>"
    for status, response in operation.get("responses", {}).items():
        kinds = [f"{escape(m)} {_type_of(c.get('schema', {}))}" for m, c in response.get("content", {}).items()]
        yield f"<dt>{escape(status)}</dt><dd>{escape(response.get('description', ''))} {' or '.join(kinds)}</dd>"
    yield "</dl></details>"


def _type_of(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rsplit("/", 1)[-1])
        return f"<a href='#{name}'>{name}</a>"
    shown = {key: value for key, value in schema.items() if key != "title"}
    return f"<code>{escape(json.dumps(shown, ensure_ascii=False))}</code>" if shown else ""


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    text = escape(json.dumps(schema, ensure_ascii=False, indent=1))
    return f"<details id='{escape(name)}'><summary><code>{escape(name)}</code></summary><pre>{text}</pre></details>"
