"""Instruments that a venue changes while the node runs: what changed, and whether the bars held are still exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps in which a market's prices and quantities are written."""

    tick: Decimal
    lot: Decimal

    @classmethod
    def of(cls, instrument: Any) -> Steps:
        """Those of an engine's instrument."""
        return cls(Decimal(str(instrument.price_increment)), Decimal(str(instrument.size_increment)))


@dataclass(frozen=True, slots=True)
class Change:
    """A market whose steps the venue changed.

    Attributes
    ----------
    text
        Market, old and new steps.
    effect
        ``none``: every bar held is exact in the new steps and those of before were, too. ``reload``: bars since the
        change may have been rounded to the old steps. ``refuse``: no steps write all bars of the look-back.
    """

    market: str
    text: str
    effect: Literal["none", "reload", "refuse"]


class InstrumentWatch:
    """Compares the venue's instruments with those that the node began with.

    Parameters
    ----------
    find
        Market -> the engine's instrument, or None.
    reloads
        Whether the venue's adapter reads bars by the new steps (``Venue.reloads_instruments``).
    """

    def __init__(self, find: Mapping[str, Callable[[], Any | None]], *, reloads: bool) -> None:
        self._find = find
        self._reloads = reloads
        self._steps: dict[str, Steps] = {}

    def changes(self) -> list[Change]:
        """What changed since the last call; the first call only remembers."""
        found = []
        for market, find in self._find.items():
            instrument = find()
            if instrument is None:
                continue
            new = Steps.of(instrument)
            old = self._steps.setdefault(market, new)
            if new != old:
                self._steps[market] = new
                found.append(self._change(market, old, new))
        return found

    def _change(self, market: str, old: Steps, new: Steps) -> Change:
        pairs = [("tick size", old.tick, new.tick), ("step of quantity", old.lot, new.lot)]
        moved = [(name, before, after) for name, before, after in pairs if before != after]
        texts = [f"{name} {before.normalize():f} -> {after.normalize():f}" for name, before, after in moved]
        finer = any(before % after == 0 for _, before, after in moved)
        coarser = any(after % before == 0 for _, before, after in moved)
        mixed = any(before % after and after % before for _, before, after in moved)
        refuse = mixed or (finer and (coarser or not self._reloads))
        effect: Literal["none", "reload", "refuse"] = "refuse" if refuse else "reload" if finer else "none"
        return Change(market, f"{market}: {', '.join(texts)}", effect)
