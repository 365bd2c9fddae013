"""What journal, engine and venue may differ in, and by which rule each difference is settled.

The venue is right about what happened, the journal about why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from trading_live.reconciliation.views import Said
from trading_live.venues.account.contract import VenueFill, VenueOrder

Kind = Literal[
    "unseen fill",
    "doubled fill",
    "unseen fee",
    "unseen price",
    "ended order",
    "lost order",
    "unknown order",
    "unwritten order",
    "other node",
    "foreign order",
    "closed elsewhere",
    "foreign position",
    "unminded position",
    "unattended market",
    "engine order",
    "engine leftover",
    "engine position",
    "balance",
]


class Rule(NamedTuple):
    """What becomes of a kind of difference.

    Attributes
    ----------
    stops
        Whether the market takes no entries until it is settled.
    settles
        What is done, in words.
    """

    stops: bool
    settles: str


RULES: Final[Mapping[Kind, Rule]] = MappingProxyType(
    {
        "unseen fill": Rule(True, "journalled with the venue's price, fee and time"),
        "doubled fill": Rule(True, "taken back in the journal: the venue has filled the order once"),
        "unseen fee": Rule(False, "journalled as the venue booked it: the engine had made the fill up"),
        "unseen price": Rule(False, "taken back, and journalled as the venue booked it: the engine had made it up"),
        "ended order": Rule(True, "journalled as the venue says that it ended"),
        "lost order": Rule(True, "journalled as refused: the venue has never had it"),
        "unknown order": Rule(True, "canceled: it is ours, and no open trade of the journal explains it"),
        "unwritten order": Rule(False, "journalled: it is of the open trade, which the journal does not say"),
        "other node": Rule(True, "left alone, and nothing is entered anywhere: another node trades the account"),
        "foreign order": Rule(False, "left alone: it is not ours"),
        "closed elsewhere": Rule(True, "journalled as a close by the venue or by another hand"),
        "foreign position": Rule(True, "left alone: it is not ours, and nothing is entered beside it"),
        "unminded position": Rule(True, "closed at the market: it is ours by the books, and no open trade minds it"),
        "unattended market": Rule(True, "closed and canceled through the account: the engine does not know the market"),
        "engine order": Rule(True, "the engine asks the venue about it, and a new start settles it"),
        "engine leftover": Rule(
            False, "the engine asks the venue about it; nothing is open there, and nothing waits for it"
        ),
        "engine position": Rule(True, "left to the engine's own checks; a new start settles it"),
        "balance": Rule(False, "journalled as the venue says"),
    }
)

BY_VENUE: Final = ("autoclose", "adl_autoclose", "liquidation", "settlement_autoclose")
"""How client ids begin of orders by which a venue closes a position itself."""

BY_COMMAND: Final = "close"
"""How the client ids begin of orders by which a command closed what was ours, with no node running."""

ELSEWHERE: Final = "venue-"
"""How the journal calls an order that is not ours and closed a trade of ours, before the venue's id."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing on which journal, engine and venue do not agree.

    Attributes
    ----------
    market
        Empty where it is the account's.
    subject
        The order, or the currency.
    detail
        In words.
    fills
        What is to be journalled.
    order
        The venue's, or None.
    said
        The journal's, or None.
    amount
        Base units in question, signed; of a fill that is taken back, with its price.
    """

    kind: Kind
    market: str
    subject: str
    detail: str
    fills: tuple[VenueFill, ...] = ()
    order: VenueOrder | None = None
    said: Said | None = None
    amount: float = 0.0
    price: float = 0.0

    @property
    def key(self) -> tuple[str, str, str]:
        """What stays the same while it lasts."""
        return self.kind, self.market, self.subject

    @property
    def stops(self) -> bool:
        """Whether its market takes no entries until it is settled."""
        return RULES[self.kind].stops

    def __str__(self) -> str:
        place = f"{self.market}: " if self.market else ""
        return f"{place}{self.kind}: {self.detail}; {RULES[self.kind].settles}"
