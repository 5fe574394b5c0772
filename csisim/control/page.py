"""The page at /docs: every endpoint out of the OpenAPI document, without scripts or anything from elsewhere."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

CONTENT_SECURITY_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE: Final = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
    "code,pre{font-family:monospace;background:#f3f3f3;padding:.1em .3em}pre{padding:.6em;overflow:auto}"
    "h3{margin:1.4em 0 .2em}b{display:inline-block;min-width:5em}small{color:#666}"
)


def page(document: Mapping[str, Any]) -> str:
    """HTML for an OpenAPI document."""
    info = document["info"]
    head = f"<title>{escape(info['title'])}</title><meta charset='utf-8'><style>{_STYLE}</style>"
    body = "".join(_operations(document))
    return (
        f"<!doctype html><html lang='en'><head>{head}</head><body><h1>{escape(info['title'])}</h1>"
        f"<p>{escape(info['description'])}</p>"
        "<p>The same for machines: <a href='/openapi.json'>/openapi.json</a>. Every error is JSON with "
        "<code>error</code> and <code>status</code>.</p>"
        '<pre>curl -X POST localhost:PORT/rules -d \'{"rule": "mount.umount: 2*error(EBUSY)"}\'</pre>'
        f"{body}</body></html>"
    )


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    seen = ""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", [""])[0]
            if tag != seen:
                seen = tag
                yield f"<h2>{escape(tag)}</h2>"
            yield f"<h3><b>{method.upper()}</b> <code>{escape(path)}</code></h3>"
            yield f"<div>{escape(operation.get('description', ''))}</div>"
            for parameter in operation.get("parameters", ()):
                yield f"<div><code>{escape(parameter['name'])}</code> <small>in {escape(parameter['in'])}</small> "
                yield f"{escape(parameter.get('description', ''))}</div>"
            if "requestBody" in operation:
                content = operation["requestBody"]["content"].get("application/json", {})
                shapes = sorted(set(_names(content.get("schema", {}))))
                yield f"<div><small>takes {escape(', '.join(shapes) or 'JSON')}</small></div>"


def _names(schema: Any) -> Iterator[str]:
    """The names of the shapes that a schema refers to."""
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield str(schema["$ref"]).rpartition("/")[2]
        for value in schema.values():
            yield from _names(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _names(value)
