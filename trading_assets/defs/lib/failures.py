"""Why a step failed, in words for people."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from trading_assets.core.errors import TradingError


def failure_reason(event: dg.DagsterEvent) -> str:
    """The message of our own exception, without its class; else of the innermost one; empty for a blocking check."""
    error = event.step_failure_data.error
    if error is None:
        return event.message or "failed"
    if error.cls_name == "DagsterAssetCheckFailedError":
        return ""
    ours = {kind.__name__ for kind in _subclasses(TradingError)}
    chain = [error]
    while chain[-1].cause is not None:
        chain.append(chain[-1].cause)
    told = next((cause for cause in chain if cause.cls_name in ours), chain[-1])
    text = told.message.strip()
    return text.split(": ", 1)[1] if told.cls_name in ours and ": " in text else text


def _subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)
