"""Which fees are in doubt: an engine that makes a fill up, having lost its event, does not know what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from trading_live.reconciliation.differences import Difference
from trading_live.reconciliation.views import JournalSays, VenueSays

_MOST_ASKED: Final = 20
"""What the account has not shown by then, it does not show: its fills lie too far back."""


class FeesInDoubt:
    """Remembers of which fills without a fee the account has had its say; a further fill of an order is a new doubt."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._asked: Counter[str] = Counter()

    def of(self, journal: JournalSays) -> dict[str, set[str]]:
        """Market -> orders to ask about."""
        return {market: {one for one in ids if self._is_open(one, journal)} for market, ids in journal.feeless.items()}

    def learn(self, journal: JournalSays, venue: VenueSays, found: Iterable[Difference]) -> None:
        """Take what the account showed: an order is known where its fills came, and nothing of it differs any more."""
        shown, differs = {one.client_id for one in venue.fills}, {one.subject for one in found}
        for order_id in (one for ids in self.of(journal).values() for one in ids):
            self._asked[order_id] += 1
            if order_id not in differs and (order_id in shown or self._asked[order_id] >= _MOST_ASKED):
                self._known[order_id] = len(journal.filled.get(order_id, {}))
                del self._asked[order_id]

    def _is_open(self, order_id: str, journal: JournalSays) -> bool:
        return self._known.get(order_id) != len(journal.filled.get(order_id, {}))
