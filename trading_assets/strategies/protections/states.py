"""How much trading is allowed, and of what."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Literal, NamedTuple

ScopeKind = Literal["node", "model", "market"]


class State(IntEnum):
    """What is allowed; the larger, the stricter."""

    RUNNING = 0
    REDUCING = 1
    HALTED = 2

    @property
    def word(self) -> str:
        """As the journal has it.

        >>> State.parse(State.HALTED.word)
        <State.HALTED: 2>
        """
        return self.name.lower()

    @classmethod
    def parse(cls, word: str) -> State:
        """Read back a :attr:`word`."""
        return cls[word.upper()]


class Scope(NamedTuple):
    """What a state is of: the whole node, one model, or one market."""

    kind: ScopeKind
    name: str = ""

    def __str__(self) -> str:
        """As it is printed.

        >>> str(NODE), str(model_scope("trend"))
        ('node', 'model trend')
        """
        return f"{self.kind} {self.name}".strip()


NODE: Final = Scope("node")


def model_scope(name: str) -> Scope:
    """Of one model, on all its markets."""
    return Scope("model", name)


def market_scope(name: str) -> Scope:
    """Of one market, whichever model trades it."""
    return Scope("market", name)
