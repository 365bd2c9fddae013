"""The reference page of the settings, from their declarations: ``python -m trading_assets.settings.describe``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from trading_assets.settings.root import Settings

_HEAD: Final = """# Settings

Written from `trading_assets/settings/` by `python -m trading_assets.settings.describe`; do not edit.

`trading.yaml` is the base, environment variables win over it, command flags over both. A variable's name is the key's
in capitals behind `TRADING_`, parts joined by two underscores: `gates.min_sharpe` is `TRADING_GATES__MIN_SHARPE`. Keys,
ranges and names are checked when a command starts; `trading check` says what they amount to. `<name>` is your own.
"""

_RANGE: Final = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}

Schema = Mapping[str, Any]


def settings_markdown() -> str:
    """The page: every key with its type, default, range and meaning, one table per section."""
    schema = Settings.model_json_schema()
    definitions: Schema = schema["$defs"]
    single: list[str] = []
    sections: list[str] = []
    for key, value in schema["properties"].items():
        found = list(_section(key, value, definitions))
        if found:
            sections += found
        else:
            single.append(_row(key, value, definitions, required=key in schema.get("required", ())))
    return "\n".join([_HEAD, _table(single), *sections])


def _section(key: str, value: Schema, definitions: Schema) -> Iterator[str]:
    """The tables of what stands below a key: one, or one per kind where there are several; none for a plain value."""
    inner = value.get("additionalProperties")
    name, below = (f"{key}.<name>", inner) if isinstance(inner, Mapping) else (key, value)
    for reference in _references(below):
        part = definitions[reference]
        kind = part["properties"].get("kind", {}).get("const")
        title = f"{name} (kind: {kind})" if kind else name
        required = part.get("required", ())
        rows, nested = [], []
        for child, described in part["properties"].items():
            if tables := list(_section(f"{name}.{child}", described, definitions)):
                nested += tables
            else:
                rows.append(_row(child, described, definitions, required=child in required))
        yield f"## {title}\n\n{_text(part.get('description', ''))}\n\n{_table(rows)}"
        yield from nested


def _references(value: Schema) -> list[str]:
    options = [value, *value.get("anyOf", ()), *value.get("oneOf", ()), *value.get("allOf", ())]
    return [option["$ref"].rpartition("/")[2] for option in options if "$ref" in option]


def _row(key: str, value: Schema, definitions: Schema, *, required: bool) -> str:
    default = "required" if required else f"`{json.dumps(value.get('default'))}`".replace("`null`", "")
    cells = (f"`{key}`", _type(value), default, _text(value.get("description", "")))
    return f"| {' | '.join(cells)} |"


def _type(value: Schema | bool) -> str:
    if isinstance(value, bool):  # anything goes
        return "any value"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{one}`" for one in value["enum"])
    if "anyOf" in value:
        return " or ".join(_type(one) for one in value["anyOf"] if one.get("type") != "null")
    kind = value.get("format") or value.get("type", "")
    if kind == "array":
        return f"list of {_type(value.get('items', {}))}"
    if kind == "object":
        return f"names to {_type(value.get('additionalProperties', {}))}"
    limits = " ".join(f"{sign} {value[bound]:g}" for bound, sign in _RANGE.items() if bound in value)
    return f"{kind} {limits}".strip()


def _text(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _table(rows: list[str]) -> str:
    if not rows:
        return ""
    return "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows, ""])


if __name__ == "__main__":
    sys.stdout.write(settings_markdown())
