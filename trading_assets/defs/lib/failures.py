"""Why a step failed, in words for people."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import dagster as dg

from trading_assets.core.errors import TradingError
from trading_assets.core.plugins.modules import PACKAGES
from trading_assets.settings import PROJECT_ROOT

_NO_PLUGINS: Final = tuple(Path(folder) for folder in (sys.prefix, sys.base_prefix)) + tuple(
    PROJECT_ROOT / package for package in sorted(PACKAGES)
)


def failure_reason(event: dg.DagsterEvent) -> str:
    """The message of our own exception, without its class; empty for a blocking check.

    Else that of the innermost one, after the line of a plug-in that it passed through.
    """
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
    if told.cls_name in ours:
        return text.split(": ", 1)[1] if ": " in text else text
    return f"{place}: {text}" if (place := _in_a_plugin(told.stack)) else text


def _in_a_plugin(stack: Sequence[str]) -> str:
    """The innermost line of a traceback that belongs neither to the project nor to a library; empty without one."""
    for frame in reversed(stack):
        found = re.match(r'\s*File "(.+)", line (\d+)', frame)
        if found and Path(found[1]).is_absolute() and not any(map(Path(found[1]).is_relative_to, _NO_PLUGINS)):
            return f"{found[1]}:{found[2]}"
    return ""


def _subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)
