"""Who fills the node's orders: one object for each, which also knows what a restart can rely on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from nautilus_trader.common import Environment
from nautilus_trader.model import InstrumentId

from trading_assets.strategies.orders.matching import Matching
from trading_live.recovery.from_journal import Recovered

Tell = Callable[[str, str], None]
"""(event, detail): into the node's journal."""


class Apart(NamedTuple):
    """Markets on which nothing is entered, and why.

    Attributes
    ----------
    foreign
        Where somebody else holds something: nothing of it is touched.
    untraded
        That the venue does not trade, or not now: what is ours there is minded through the account.
    """

    foreign: Mapping[str, str] = MappingProxyType({})
    untraded: Mapping[str, str] = MappingProxyType({})


NOTHING_APART: Final = Apart()


class Execution(Protocol):
    """Adds what fills orders to the engine, and says what of the journal still holds after a process has ended.

    Attributes
    ----------
    environment
        Of the engine.
    goodbye_s
        Seconds that its clients may take to disconnect.
    """

    environment: Environment
    goodbye_s: int

    def recover(self, journal: Path) -> Recovered:
        """What is open, by the journal and by what becomes of orders when the process ends.

        Raises
        ------
        NodeError
            If the journal cannot be read.
        """
        ...

    def matching(self, markets: Sequence[str]) -> Matching:
        """What becomes of orders on these markets."""
        ...

    def prepare(self, markets: Sequence[str], recovered: Recovered, journal: Path, tell: Tell) -> Apart:
        """See that the account can be traded, and where it cannot, before the engine starts.

        Raises
        ------
        NodeError
            If the account cannot be traded as it is.
        """
        ...

    def join(self, builder: Any, instruments: Mapping[str, InstrumentId], recovered: Recovered) -> Any:
        """Add its clients to the engine's builder, with the account and positions of before.

        Parameters
        ----------
        builder
            Of the engine; the market-data client is there.
        instruments
            Market -> the venue's instrument.
        recovered
            What :meth:`recover` said.

        Returns
        -------
        Any
            The builder to go on with.
        """
        ...
