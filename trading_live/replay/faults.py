"""Misbehaviour on demand: a script of faults that the local exchange commits, request by request.

A script is a list of faults (YAML: ``faults:``). Each counts the requests whose path contains ``path``, leaves the
first ``after`` of them alone and spoils the next ``times``. What the exchange did is on record in ``Faults.asked``.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import yaml
from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from trading_assets.core.errors import SettingsError
from trading_live.replay.server import AHEAD_MS

Kind = Literal[
    "429", "418", "500", "502", "503", "maintenance", "401", "403", "404", "timeout", "drop", "truncated", "html",
    "empty", "duplicated", "reordered", "revised", "missing", "clock_ahead",
]  # fmt: skip
"""What can go wrong: refusals, silence, answers that are none, and rows that are not what they should be."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_KEPT: Final = 100_000
_REFUSALS: Final[Mapping[str, tuple[int, str]]] = {
    "429": (429, '{"code":-1003,"msg":"Too many requests."}'),
    "418": (418, '{"code":-1003,"msg":"Way too many requests; IP banned."}'),
    "500": (500, '{"code":-1001,"msg":"Internal error; unable to process your request."}'),
    "502": (502, "<html><body>502 Bad Gateway</body></html>"),
    "503": (503, '{"code":-1008,"msg":"Server is currently overloaded."}'),
    "401": (401, '{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'),
    "403": (403, "<html><body>403 Forbidden</body></html>"),
    "404": (404, "<html><body>404 Not Found</body></html>"),
    "maintenance": (503, "<html><body>System is under maintenance.</body></html>"),
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Fault(BaseModel):
    """One fault and when it happens.

    Attributes
    ----------
    fault
        What goes wrong.
    path
        The requests concerned: those whose path contains this text.
    after, times
        How many of them go well before, and how many go wrong then; ``times`` of None means all.
    retry_after_s
        The Retry-After header of a refusal; None sends none.
    seconds
        How long a time-out is silent; how far ahead the clock is.
    start, end
        Of ``missing``: candles that open, and payments that are settled, in [start, end) do not exist; an open side has
        no limit. Without ``start``, the market was listed at ``end``.
    rows
        Of ``duplicated``: how many of the page's newest rows; of ``revised``: how many of the newest of all, which
        come with other values than later on, as long as they are not settled.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fault: Kind
    path: str = "/klines"
    after: int = Field(0, ge=0)
    times: int | None = Field(1, ge=1)
    retry_after_s: float | None = Field(None, ge=0)
    seconds: float = Field(90.0, ge=0)
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    rows: Annotated[int, Field(ge=1)] = 3

    def concerns(self, path: str) -> bool:
        """Whether requests of this path are counted."""
        return self.path in path

    def strikes(self, number: int) -> bool:
        """Whether the request with this number (from 0) among those counted goes wrong."""
        return self.after <= number and (self.times is None or number < self.after + self.times)


class _Script(BaseModel):
    model_config = ConfigDict(extra="forbid")

    faults: list[Fault]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request and what was wrong with its answer."""

    path: str
    query: Mapping[str, str]
    faults: tuple[Kind, ...]


@dataclass(eq=False, slots=True)
class Faults:
    """The faults of one local exchange; its :meth:`middleware` commits them.

    Attributes
    ----------
    script
        All faults; more may be added while the exchange serves.
    asked
        The newest requests and their faults, oldest first.
    """

    script: list[Fault] = field(default_factory=list)
    asked: deque[Asked] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _counts: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Faults:
        """Read a script.

        Raises
        ------
        SettingsError
            If the file cannot be read or holds something else.
        """
        try:
            return cls(_Script.model_validate(yaml.safe_load(file.read_text(encoding="utf-8"))).faults)
        except OSError as error:
            raise SettingsError(f"cannot be read: {error.strerror}", where=str(file)) from None
        except (yaml.YAMLError, UnicodeDecodeError, ValidationError) as error:
            raise SettingsError(
                f"not a script of faults: {' '.join(str(error).split())}",
                where=str(file),
                remedy=f"write `faults:` and a list such as - {{fault: '429', after: 3, times: 2}}; known: {KINDS}",
            ) from None

    def next(self, *kinds: Kind | None, path: str = "/klines", **options: Any) -> None:
        """Let the coming requests go wrong, one after the other; None lets one go well."""
        begin = self.counted(path)
        for place, kind in enumerate(kinds):
            if kind is not None:
                self.script.append(Fault(fault=kind, path=path, after=begin + place, **options))

    def counted(self, path: str = "/klines") -> int:
        """How many requests there were of this path."""
        return self._counts.get(path, 0)

    def clear(self) -> None:
        """Go on without faults."""
        self.script.clear()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, or not, as the script says."""
        striking = self._striking(request.path)
        self.asked.append(Asked(request.path, dict(request.query), tuple(fault.fault for fault in striking)))
        for fault in striking:
            if fault.fault == "clock_ahead":
                request[AHEAD_MS] = round(fault.seconds * 1000)
        for fault in striking:
            if (answer := await _instead(fault, request)) is not None:
                return answer
        hidden = [fault for fault in striking if fault.fault == "missing"]
        response = await handler(_past(hidden, request))
        spoilt = [fault for fault in striking if fault.fault != "clock_ahead"]
        if spoilt and isinstance(response, web.Response) and response.status == 200:
            response = _spoil(response, spoilt, int(request.query.get("limit", 500)))
        if AHEAD_MS in request:
            ahead = datetime.now(UTC) + timedelta(milliseconds=request[AHEAD_MS])
            response.headers["Date"] = format_datetime(ahead, usegmt=True)
        return response

    def _striking(self, path: str) -> list[Fault]:
        """The faults of this request; counts it."""
        counted = {"/klines", *(fault.path for fault in self.script)}
        numbers = {part: self._counts.get(part, 0) for part in counted if part in path}
        self._counts |= {part: number + 1 for part, number in numbers.items()}
        return [fault for fault in self.script if fault.concerns(path) and fault.strikes(numbers[fault.path])]


async def _instead(fault: Fault, request: web.Request) -> web.Response | None:
    """What is answered instead of the rows; None where rows are answered."""
    if fault.fault in _REFUSALS:
        status, text = _REFUSALS[fault.fault]
        headers = {} if fault.retry_after_s is None else {"Retry-After": f"{math.ceil(fault.retry_after_s)}"}
        kind = "application/json" if text.startswith("{") else "text/html"
        return web.Response(status=status, text=text, content_type=kind, headers=headers)
    if fault.fault == "html":
        return web.Response(text="<html><body>Checking your browser</body></html>", content_type="text/html")
    if fault.fault in ("timeout", "drop"):
        if fault.fault == "timeout":
            await asyncio.sleep(fault.seconds)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
    return None


def _past(hidden: list[Fault], request: web.Request) -> web.Request:
    """The same request, begun behind the range that does not exist where it begins in there."""
    asked = since = int(request.query.get("startTime", 0))
    for fault in hidden:
        if fault.end is not None and _hides(fault, since):
            since = _ms(fault.end)
    return request if since == asked else request.clone(rel_url=request.rel_url.update_query(startTime=since))


def _spoil(response: web.Response, faults: list[Fault], limit: int) -> web.Response:
    """The answer with its rows changed, or cut off in the middle."""
    body = response.text or ""
    rows = json.loads(body)
    if isinstance(rows, list):
        newest = len(rows) < limit
        for fault in faults:
            rows = rows if fault.fault == "revised" and not newest else _changed(fault, rows)
        body = json.dumps(rows)
    if any(fault.fault == "truncated" for fault in faults):
        body = body[: max(len(body) * 2 // 3, 1)]
    return web.Response(text=body, content_type="application/json")


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
