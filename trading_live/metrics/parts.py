"""An engine's parts, as far as metrics read them. Knows no Prometheus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nautilus_trader.model import InstrumentId

from trading_assets.strategies.host.host import StrategyHost
from trading_assets.strategies.risk.gate import RiskGate
from trading_assets.strategies.signals import Stream


class Histories(Protocol):
    """The node's signal source."""

    @property
    def histories(self) -> Mapping[Stream, Any]:
        """What is held of each stream."""
        ...


class Counted(Protocol):
    """Whatever has a length: what waits in it."""

    def __len__(self) -> int:
        """How many wait."""
        ...


class Loader(Counted, Protocol):
    """Asks the venue for bars, and counts those that were missing and those of them that it got."""

    missed: int
    recovered: int


@dataclass(frozen=True, slots=True)
class Parts:
    """What is read of an engine that runs.

    Attributes
    ----------
    strategy, gate
        Who trades, within which limits.
    instruments
        Market -> what it is traded as.
    signals
        Holds the bars that are decided on.
    loader, challengers
        Who waits for history; and passes that wait for their challengers.
    guards
        Parts that others add. They are read where they have ``held`` (as the protections), or ``differences`` (market
        -> how many) and ``compared_at`` (monotonic seconds).
    """

    strategy: StrategyHost
    gate: RiskGate
    instruments: Mapping[str, InstrumentId]
    signals: Histories
    loader: Loader
    challengers: Counted = ()
    guards: Sequence[object] = ()
