"""What passes between the engine's thread and the one on which the account is asked and compared."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from trading_assets.core.errors import NodeError
from trading_assets.strategies.plans.plan import ExitReason
from trading_live.reconciliation.differences import Difference
from trading_live.reconciliation.settlement import Rows
from trading_live.reconciliation.views import EngineSays

ENGINE_S: Final = 30.0
_BREATH_S: Final = 0.2


class Trading(Protocol):
    """Who trades on the engine's thread, as far as a comparison concerns it."""

    @property
    def vanished(self) -> Mapping[str, Any]:
        """Market -> a trade that waits to be told whether it is over; a new one or a new stage is looked at at once."""
        ...

    @property
    def refused(self) -> Mapping[str, str]:
        """Id -> market of orders that were refused, until it is told of them; so is a new one of these."""
        ...

    def conclude(self, market: str, reason: ExitReason) -> None:
        """Told that a trade is over, and why."""
        ...

    def book(self, rows: Rows) -> None:
        """Told of what is journalled that the engine has not heard."""
        ...

    def found_filled(self, market: str, quantity: float, price: float) -> None:
        """Told of an entry that counts as refused and has filled: base units and average price."""
        ...

    def query(self, order_id: str) -> None:
        """Has the engine ask the venue about an order that rests by the engine alone."""
        ...

    def close_unminded(self, market: str) -> None:
        """Closes what is held on a market and no trade minds."""
        ...

    def answered(self, order_id: str) -> None:
        """Told of an order that was refused and does not rest."""
        ...


class Entry(NamedTuple):
    """What became of an entry that counts as refused: base units, 0 where it bought nothing, and their price."""

    market: str
    quantity: float
    price: float


@dataclass(frozen=True, slots=True)
class Look:
    """What one comparison found.

    Attributes
    ----------
    differences
        That were there twice.
    rows
        For the journal.
    failure
        Why the account could not be asked; empty where it could.
    concluded
        Market -> why its trade is over.
    """

    differences: Sequence[Difference] = ()
    rows: Rows = field(default_factory=list)
    failure: str = ""
    concluded: Mapping[str, ExitReason] = field(default_factory=dict)


class Handover:
    """Two threads, neither of which waits for the other's work: the engine's gives a word when it is asked for one.

    Attributes
    ----------
    ended
        Nobody gives the engine's word any more.
    looks, entries
        What was found, for the engine's thread to take.
    """

    def __init__(self) -> None:
        self.ended = False
        self.looks: queue.SimpleQueue[Look] = queue.SimpleQueue()
        self.entries: queue.SimpleQueue[Entry] = queue.SimpleQueue()
        self._begun, self._hurry, self._wanted = threading.Event(), threading.Event(), threading.Event()
        self._words: queue.SimpleQueue[EngineSays] = queue.SimpleQueue()

    # -- on the engine's thread -----------------------------------------------------------------------------------

    def turn(self, says: Callable[[], EngineSays], *, hurry: bool) -> None:
        """Say what the engine holds if that is asked for; with ``hurry``, have the account asked without delay."""
        self._begun.set()
        if hurry:
            self._hurry.set()
        if self._wanted.is_set():
            self._wanted.clear()
            self._words.put(says())

    def end(self) -> None:
        """Let the other thread go, whatever it waits for."""
        self.ended = True
        self._begun.set()
        self._hurry.set()

    # -- on the other one -----------------------------------------------------------------------------------------

    def wait_for_engine(self) -> None:
        """Until the first turn, or the end."""
        self._begun.wait()

    def wait(self, seconds: float) -> bool:
        """Until somebody is in a hurry, for so long at most; whether somebody is."""
        hurried = self._hurry.wait(seconds)
        if hurried and not self.ended:
            self._hurry.clear()
        return hurried and not self.ended

    def ask(self) -> EngineSays:
        """What the engine holds now.

        Raises
        ------
        NodeError
            If it says nothing, or the end has come.
        """
        while not self._words.empty():
            self._words.get()
        self._wanted.set()
        deadline = time.monotonic() + ENGINE_S
        while time.monotonic() < deadline:
            if self.ended:
                raise NodeError("the engine has ended")
            with suppress(queue.Empty):
                return self._words.get(timeout=_BREATH_S)
        raise NodeError(f"the engine said nothing for {ENGINE_S:g} s")


def each[T](of: queue.SimpleQueue[T]) -> Iterator[T]:
    """What one thread left for this one, up to now."""
    while not of.empty():
        yield of.get()
