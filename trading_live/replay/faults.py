"""Misbehaviour on demand: a script of faults that the local exchange commits, request by request.

A script is a list of faults (YAML: ``faults:``). Each counts the requests whose method and path contain ``path``, or
the user events of that name, leaves the first ``after`` of them alone and spoils the next ``times``. What the exchange
did is on record in ``Faults.asked``.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from trading_assets.core.errors import SettingsError
from trading_live.replay.fault_kinds import EVENT_KINDS, KINDS, ORDER_KINDS, VENUE_KINDS, Kind, usual_path
from trading_live.replay.spoilt_answers import past, spoil

_KEPT: Final = 100_000
_UNKNOWN: Final = (
    '{"code":-1007,"msg":"Timeout waiting for response from backend server. Send status unknown; '
    'execution status unknown."}'
)
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
    "unknown_not_placed": (408, _UNKNOWN),
    "not_found": (400, '{"code":-2013,"msg":"Order does not exist."}'),
}
_DONE: Final[Mapping[str, tuple[int, str]]] = {
    "unknown_placed": (408, _UNKNOWN),
    "rejected_placed": (400, '{"code":-2010,"msg":"NEW_ORDER_REJECTED"}'),
}
"""What is answered although the request was done."""

ORDER_FAULTS: Final = web.RequestKey("order_faults", frozenset)
"""The kinds of faults that the account itself commits for a request."""

AHEAD_MS: Final = web.RequestKey("ahead_ms", int)
"""By how much the venue's clock is ahead for a request."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Fault(BaseModel):
    """One fault and when it happens.

    Attributes
    ----------
    fault
        What goes wrong.
    path
        The requests concerned: those of which this text is part of method and path, e.g. ``POST /fapi/v1/order``; or
        the user events: those whose name it is part of. Empty for the usual ones of the fault.
    after, times
        How many of them go well before, and how many go wrong then; ``times`` of None means all.
    retry_after_s
        The Retry-After header of a refusal; None sends none.
    seconds
        How long a time-out is silent; how far ahead the clock is; how late an event is.
    start, end
        Of ``missing``: candles that open, and payments that are settled, in [start, end) do not exist; an open side has
        no limit. Without ``start``, the market was listed at ``end``. Of what happens to a symbol: from when on.
    rows
        Of ``duplicated``: how many of the page's newest rows; of ``revised``: how many of the newest of all, which
        come with other values than later on, as long as they are not settled.
    symbol
        Of what happens to a symbol: which one; all of them where empty.
    tick
        Of ``tick_size``: the new step of prices.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fault: Kind
    path: str = ""
    after: int = Field(0, ge=0)
    times: int | None = Field(1, ge=1)
    retry_after_s: float | None = Field(None, ge=0)
    seconds: float = Field(90.0, ge=0)
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    rows: Annotated[int, Field(ge=1)] = 3
    symbol: str = ""
    tick: float | None = Field(None, gt=0)

    @property
    def part(self) -> str:
        """The text that a request or an event is known by."""
        return self.path or usual_path(self.fault)

    def concerns(self, path: str) -> bool:
        """Whether requests of this path are counted."""
        return self.part in path

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
    method: str = "GET"


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

    def next(self, *kinds: Kind | None, path: str = "", **options: Any) -> None:
        """Let the coming requests or events go wrong, one after the other; None lets one go well.

        Without ``path`` these are the usual ones of the first fault.
        """
        part = path or usual_path(next((kind for kind in kinds if kind is not None), "500"))
        begin = self.counted(part)
        for place, kind in enumerate(kinds):
            if kind is not None:
                self.script.append(Fault(fault=kind, path=part, after=begin + place, **options))

    def counted(self, path: str = "/klines") -> int:
        """How many requests or events there were of this path since a fault has named it."""
        return self._counts.get(path, 0)

    def at_event(self, name: str) -> list[Fault]:
        """The faults of one message of the user stream; counts it."""
        return [fault for fault in self._striking(name) if fault.fault in EVENT_KINDS]

    def of_symbols(self, now: datetime) -> list[Fault]:
        """What has happened to symbols by an instant of the replayed clock."""
        found = [fault for fault in self.script if fault.fault in VENUE_KINDS]
        return [fault for fault in found if fault.start is None or fault.start <= now]

    def clear(self) -> None:
        """Go on without faults."""
        self.script.clear()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, or not, as the script says."""
        striking = self._striking(f"{request.method} {request.path}")
        kinds = tuple(fault.fault for fault in striking)
        self.asked.append(Asked(request.path, dict(request.query), kinds, request.method))
        request[ORDER_FAULTS] = frozenset(kinds) & ORDER_KINDS
        for fault in striking:
            if fault.fault == "clock_ahead":
                request[AHEAD_MS] = round(fault.seconds * 1000)
        for fault in striking:
            if (answer := await _instead(fault, request)) is not None:
                return answer
        hidden = [fault for fault in striking if fault.fault == "missing"]
        response = await handler(past(hidden, request))
        if (changed := _afterwards(kinds, request, response)) is not None:
            return changed
        spoilt = [fault for fault in striking if fault.fault != "clock_ahead"]
        if spoilt and isinstance(response, web.Response) and response.status == 200:
            response = spoil(response, spoilt, int(request.query.get("limit", 500)))
        if AHEAD_MS in request:
            ahead = datetime.now(UTC) + timedelta(milliseconds=request[AHEAD_MS])
            response.headers["Date"] = format_datetime(ahead, usegmt=True)
        return response

    def _striking(self, text: str) -> list[Fault]:
        """The faults of this request or event; counts it."""
        counted = {"/klines", *(fault.part for fault in self.script)}
        numbers = {part: self._counts.get(part, 0) for part in counted if part in text}
        self._counts |= {part: number + 1 for part, number in numbers.items()}
        return [fault for fault in self.script if fault.concerns(text) and fault.strikes(numbers[fault.part])]


def _afterwards(kinds: Sequence[Kind], request: web.Request, response: web.StreamResponse) -> web.Response | None:
    """What is answered where the request was done and the answer does not say so."""
    if response.status != 200:
        return None
    for kind in kinds:
        if kind in _DONE:
            status, text = _DONE[kind]
            return web.Response(status=status, text=text, content_type="application/json")
        if kind == "answer_lost":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
    return None


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


__all__ = ["AHEAD_MS", "KINDS", "ORDER_FAULTS", "Asked", "Fault", "Faults", "Handler", "Kind"]
