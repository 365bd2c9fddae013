"""Why a step failed, in words for people."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from trading_assets.errors import TradingError


def failure_reason(event: dg.DagsterEvent) -> str:
    """The innermost exception's message, without the class where it is one of ours; empty for a blocking check."""
    error = event.step_failure_data.error
    if error is None:
        return event.message or "failed"
    if error.cls_name == "DagsterAssetCheckFailedError":
        return ""
    while error.cause is not None:
        error = error.cause
    text = error.message.strip()
    ours = error.cls_name in {kind.__name__ for kind in _subclasses(TradingError)}
    return text.split(": ", 1)[1] if ours and ": " in text else text


def _subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)
