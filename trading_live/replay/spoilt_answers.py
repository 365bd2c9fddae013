"""Answers with rows that are not what they should be: what the local exchange's faults make of a good one. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

if TYPE_CHECKING:
    from trading_live.replay.faults import Fault


_LEFT_OUT: Final[Mapping[str, Mapping[str, str | None]]] = {
    "no_average": {"avgPrice": "0"},
    "empty_activation": {"activatePrice": ""},
    "no_trigger": {"triggerPrice": None, "workingType": None},
    "no_reduce_flag": {"reduceOnly": None, "isReduceOnly": None},
}
"""Fault -> what the venue writes into fields instead; None leaves them out."""


def past(hidden: Sequence[Fault], request: web.Request) -> web.Request:
    """The same request, begun behind the range that does not exist where it begins in there."""
    asked = since = int(request.query.get("startTime", 0))
    for fault in hidden:
        if fault.end is not None and _hides(fault, since):
            since = _ms(fault.end)
    return request if since == asked else request.clone(rel_url=request.rel_url.update_query(startTime=since))


def spoil(response: web.Response, faults: Sequence[Fault], limit: int) -> web.Response:
    """The answer with its rows changed, or cut off in the middle."""
    body = response.text or ""
    rows = json.loads(body)
    leaving = [_LEFT_OUT[fault.fault] for fault in faults if fault.fault in _LEFT_OUT]
    if leaving:
        rows = _without(rows, leaving)
        body = json.dumps(rows)
    if isinstance(rows, list):
        newest = len(rows) < limit
        for fault in faults:
            rows = rows if fault.fault == "revised" and not newest else _changed(fault, rows)
        body = json.dumps(rows)
    if any(fault.fault == "truncated" for fault in faults):
        body = body[: max(len(body) * 2 // 3, 1)]
    return web.Response(text=body, content_type="application/json")


def _without(row: Any, leaving: Sequence[Mapping[str, str | None]]) -> Any:
    """Rows without what is left out; Bybit lists them within its result."""
    if isinstance(row, list):
        return [_without(one, leaving) for one in row]
    if "result" in row or "list" in row:
        inner = "result" if "result" in row else "list"
        return row | {inner: _without(row[inner], leaving)}
    changes = {name: value for one in leaving for name, value in one.items()}
    known = row | {name: value for name, value in changes.items() if value is not None}
    return {name: value for name, value in known.items() if name not in changes or changes[name] is not None}


def _changed(fault: Fault, rows: list[Any]) -> list[Any]:
    match fault.fault:
        case "empty":
            return []
        case "duplicated":
            return [*rows, *rows[-fault.rows :]]
        case "reordered":
            return rows[::-1]
        case "revised":
            return [*rows[: -fault.rows], *map(_unsettled, rows[-fault.rows :])]
        case "missing":
            return [row for row in rows if not _hides(fault, row["fundingTime"] if isinstance(row, dict) else row[0])]
    return rows


def _unsettled(row: Any) -> Any:
    """A row that changes later: a bar that closes at its open with less volume, half of a funding rate."""
    if isinstance(row, dict):
        return row | {"fundingRate": _half(row["fundingRate"])}
    return [*row[:4], row[1], _half(row[5]), *row[6:]]


def _half(text: str) -> str:
    return f"{Decimal(text) / 2:f}"


def _hides(fault: Fault, ms: int) -> bool:
    return (fault.start is None or ms >= _ms(fault.start)) and (fault.end is None or ms < _ms(fault.end))


def _ms(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)
