"""The share of the account that each model trades with: read from the portfolio's file, followed without a restart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import structlog

from trading_assets.core.errors import ModelError
from trading_assets.registry.sleeve_weights import WEIGHTS, read_weights
from trading_assets.settings import Settings

_LOG: Final = structlog.get_logger(__name__)

Tell = Callable[[str, str], None]
"""(event, detail): into the node's journal."""


class WeightsInUse:
    """Asked before each entry: the newest weight of a model, 0 where it has none.

    Trades that are open keep their size. Where the file cannot be read any more, the weights of before stay.

    Parameters
    ----------
    live_dir
        The node's folder.
    tell
        Told of every change, and of a file that cannot be read.
    """

    def __init__(self, live_dir: Path, tell: Tell) -> None:
        self._live_dir = live_dir
        self._tell = tell
        self._weights: Mapping[str, float] = {}
        self._seen: tuple[int, int] | None = None
        self._refresh(first=True)

    def __call__(self, model: str) -> float:
        """The share of the account's equity, 0 to 1, that a model trades with."""
        self._refresh()
        return self._weights.get(model, 0.0)

    def _refresh(self, *, first: bool = False) -> None:
        stamp = self._stamp()
        if stamp == self._seen and not first:
            return
        self._seen = stamp
        try:
            told = read_weights(self._live_dir)
        except ModelError as error:
            kept = "the weights of before stay" if self._weights else "nothing is entered"
            self._say("portfolio weights refused", f"{error}; {kept}", warning=True)
            return
        if told is None:
            what = "none are decided yet: nothing is entered before the job rebalance has decided them"
            self._weights = {}
            self._say("no portfolio weights", what, warning=True)
            return
        self._weights = told.weights
        shares = ", ".join(f"{name} {share:.1%}" for name, share in sorted(told.weights.items()))
        self._say("portfolio weights", f"{shares or 'none'} by {told.method} of {told.decided_at:%Y-%m-%d}")

    def _stamp(self) -> tuple[int, int] | None:
        try:
            stat = (self._live_dir / WEIGHTS).stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino

    def _say(self, event: str, detail: str, *, warning: bool = False) -> None:
        (_LOG.warning if warning else _LOG.info)(event, detail=detail)
        self._tell(event, detail)


def weight_of(settings: Settings, tell: Tell) -> WeightsInUse | None:
    """What is asked for a model's weight; None where the settings ask for no portfolio: each has the whole."""
    return None if settings.portfolio is None else WeightsInUse(settings.live_dir, tell)
