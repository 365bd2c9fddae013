"""What can go wrong at the local exchange, by where it goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

AnswerKind = Literal[
    "429", "418", "500", "502", "503", "maintenance", "401", "403", "404", "timeout", "drop", "truncated", "html",
    "empty", "duplicated", "reordered", "revised", "missing", "clock_ahead",
]  # fmt: skip
"""Refusals, silence, answers that are none, and rows that are not what they should be."""

OrderKind = Literal[
    "unknown_placed", "unknown_not_placed", "answer_lost", "rejected_placed", "ended_later", "fill_after_cancel",
    "filled_in_parts",
    "no_average", "empty_activation", "no_trigger", "no_reduce_flag", "not_found",
]  # fmt: skip
"""Of requests about orders.

``unknown_placed`` and ``unknown_not_placed`` answer -1007, execution status unknown; with ``answer_lost`` the
connection breaks after the order was placed; ``rejected_placed`` says that it was rejected, and it was not;
``ended_later`` accepts it and ends it a moment later; ``fill_after_cancel`` says that it is canceled, and it is filled;
``filled_in_parts`` fills half of an order at the market at once and the rest with the next candle.
``not_found`` knows no order of that name. The others leave out of the answer, or empty, what the venue does: average
price, activation price, trigger, whether an order or a position only reduces.
"""

EventKind = Literal["event_lost", "event_doubled", "event_late", "event_swapped", "stream_broken", "key_expired"]
"""Of the user stream, at an event: it is not sent, sent twice, sent late or after the next one; the connection breaks
before it; the listen key expires before it."""

VenueKind = Literal["settling", "delisted", "tick_size", "liquidation"]
"""Of a symbol, from an instant of the replayed clock on: only reduce-only orders are taken; it is closed, with all that
is open; prices have another step; the position is liquidated."""

Kind = Literal[AnswerKind, OrderKind, EventKind, VenueKind]
"""What can go wrong."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
ORDER_KINDS: Final[frozenset[str]] = frozenset(get_args(OrderKind))
EVENT_KINDS: Final[frozenset[str]] = frozenset(get_args(EventKind))
VENUE_KINDS: Final[frozenset[str]] = frozenset(get_args(VenueKind))


def usual_path(kind: Kind) -> str:
    """The requests or events that a fault concerns where it does not say."""
    if kind in _PATHS:
        return _PATHS[kind]
    return "POST /fapi/v1/order" if kind in ORDER_KINDS else "ORDER_TRADE_UPDATE" if kind in EVENT_KINDS else "/klines"


_PATHS: Final[Mapping[str, str]] = {
    "fill_after_cancel": "DELETE /fapi/v1/order",
    "empty_activation": "lgo",  # algoOrder, openAlgoOrders
    "no_trigger": "/fapi/v1/openAlgoOrders",
    "no_reduce_flag": "GET /v5/position/list",
    "not_found": "GET /fapi/v1/order",
}
