"""The part of a history that is asked for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from trading_live.replay.orders.binance.requests import Malformed, Params, symbol_of, whole_number
from trading_live.replay.orders.exchange import Exchange

_MOST: Final = 1_000


def optional_symbol(exchange: Exchange, params: Params) -> str | None:
    """The symbol, if one is asked for."""
    return symbol_of(params, exchange) if params.get("symbol") else None


def page[T: Any](
    rows: Iterable[T],
    params: Params,
    at_ms: Callable[[T], int],
    first: str | None,
    *,
    usual: int = 500,
    shown: Callable[[T], Any] = lambda row: row,
    kind: str | None = None,
) -> list[Any]:
    """The part of a history that is asked for: from a number or a time on the first rows, else the last ones."""
    start, end = whole_number(params, "startTime"), whole_number(params, "endTime")
    number = whole_number(params, first) if first else None
    limit = whole_number(params, "limit", usual) or usual
    if not 1 <= limit <= _MOST:
        raise Malformed(-1130, "Data sent for parameter 'limit' is not valid.")
    found = [
        shown(row)
        for row in rows
        if (start is None or at_ms(row) >= start)
        and (end is None or at_ms(row) <= end)
        and (number is None or row.id >= number)
    ]
    if kind:
        found = [row for row in found if row["incomeType"] == kind]
    return found[-limit:] if start is None and number is None else found[:limit]
