"""The venue's account statement: brought into the journal, and held beside it to the cent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from trading_assets.core.candles import Market
from trading_assets.core.errors import NodeError
from trading_assets.journal import TAKEN_BACK, newest_events, nothing, read_session, standing
from trading_assets.store.tables import BALANCES, FILLS, PAYMENTS
from trading_live.reconciliation.comparison import compare_balances
from trading_live.reconciliation.differences import Difference
from trading_live.reconciliation.settlement import Rows
from trading_live.venues.account.contract import Account, Payment

CENT: Final = 0.01
_OVERLAP: Final = timedelta(minutes=5)
"""Payments are asked for again from so long before the newest one: some are booked late."""

_MANY: Final = 10_000
_TRIES: Final = 3
_LEAST: Final = 1e-8
_BY_FILLS: Final = ("fee", "realized")


@dataclass(frozen=True, slots=True)
class Booked:
    """An account as the venue has it at one moment."""

    payments: Sequence[Payment]
    balances: Mapping[str, float]
    ts: datetime


class Statement:
    """Brings what the venue has booked since the newest journalled line into the journal.

    The session's first balance is where the statement begins: what an earlier session came to, of a replay that has
    begun anew or of another account, says nothing of this one. From then on a balance is expected to be the one before
    with the payments since; what the venue says besides is believed when it says so twice, and journalled beside what
    was expected.

    Parameters
    ----------
    account
        At the venue.
    journal
        The node's journal.
    """

    def __init__(self, account: Account, journal: Path) -> None:
        self._account = account
        self._journal = journal
        self._doubted: frozenset[tuple[str, str, str]] = frozenset()

    def news(self) -> tuple[Rows, list[Difference]]:
        """Rows that the journal lacks, and balances that nothing explains; asked again, it says nothing twice.

        Raises
        ------
        VenueError
            If the venue does not answer.
        """
        balances = newest_events(self._journal, BALANCES.name, _MANY, of_session=True)
        known = newest_events(self._journal, PAYMENTS.name, _MANY, of_session=True)
        ids = set(known["payment_id"])
        booked = _booked(self._account, _since(known, balances, self._account))
        if booked is None:
            return [], []  # it changes while it is asked: the next look finds it at rest
        news = [one for one in booked.payments if one.id not in ids]
        rows: Rows = [(PAYMENTS.name, payment_row(one)) for one in news]
        if not balances.height:
            return [*rows, *(_balance_row(code, owned, None, booked.ts) for code, owned in booked.balances.items())], []
        last = {row["currency"]: row["amount"] for row in balances.iter_rows(named=True)}
        paid = _sums([*_after(known, balances), *((one.currency, one.amount) for one in news)])
        drifts = compare_balances(last, paid, booked.balances)
        doubted, self._doubted = self._doubted, frozenset(one.key for one in drifts)
        believed = [one for one in drifts if one.key in doubted]
        for code in sorted({*booked.balances, *last}):
            owned, expected = booked.balances.get(code, 0.0), last.get(code, 0.0) + paid.get(code, 0.0)
            doubtful = any(one.subject == code and one not in believed for one in drifts)
            if abs(owned - last.get(code, 0.0)) >= _LEAST and not doubtful:
                rows.append(_balance_row(code, owned, expected, booked.ts))
        return rows, believed


def _since(known: pl.DataFrame, balances: pl.DataFrame, account: Account) -> datetime:
    stamps: list[datetime] = [*known["ts"].tail(1), *balances["ts"].tail(1)]
    return (max(stamps) if stamps else account.clock()) - _OVERLAP


def _booked(account: Account, since: datetime) -> Booked | None:
    """Payments and balances of one moment; None where they change while they are asked for."""
    before = account.payments(since)
    for _ in range(_TRIES):
        balances, ts, after = account.balances(), account.clock(), account.payments(since)
        if [one.id for one in before] == [one.id for one in after]:
            return Booked(after, dict(sorted(balances.items())), ts)
        before = after
    return None


def _after(payments: pl.DataFrame, balances: pl.DataFrame) -> list[tuple[str, float]]:
    """Journalled payments that the newest balance of their currency does not hold."""
    newest = {row["currency"]: row["seq"] for row in balances.iter_rows(named=True)}
    rows = payments.select("currency", "amount", "seq").rows()
    return [(code, amount) for code, amount, seq in rows if seq > newest.get(code, 0)]


def _sums(amounts: Iterable[tuple[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for code, amount in amounts:
        found[code] = found.get(code, 0.0) + amount
    return found


def payment_row(one: Payment) -> dict[str, Any]:
    """A ``payments`` row."""
    return {
        "event_id": one.id,
        "ts": one.ts,
        "market": one.market,
        "payment_id": one.id,
        "kind": one.kind,
        "amount": one.amount,
        "currency": one.currency,
        "trade_id": one.trade_id,
    }


def _balance_row(code: str, owned: float, expected: float | None, ts: datetime) -> tuple[str, dict[str, Any]]:
    row = {"ts": ts, "currency": code, "amount": owned, "expected": expected}
    return BALANCES.name, row


# -- beside each other ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the statement.

    Attributes
    ----------
    kind
        ``realized``, ``fee``, ``funding``, ``transfer``, ``other``, ``others' trades``; ``balance`` for the last one.
    venue, journal
        The sum by each; what others traded on the account is the venue's alone, and stands on both sides.
    """

    kind: str
    currency: str
    venue: float
    journal: float

    @property
    def difference(self) -> float:
        """Venue less journal."""
        return self.venue - self.journal

    @property
    def agrees(self) -> bool:
        """To the cent."""
        return abs(self.difference) < CENT / 2


@dataclass(frozen=True, slots=True)
class Comparison:
    """The statement since the journal's first balance."""

    since: datetime
    lines: tuple[Line, ...]

    @property
    def agrees(self) -> bool:
        """Whether every line does."""
        return all(line.agrees for line in self.lines)


def beside(account: Account, journal: Path, ours: Callable[[str], bool]) -> Comparison:
    """The venue's statement beside what the journal's fills and payments come to.

    Fees and results of the journal are those of its fills, not copies of the venue's lines: this is the proof that
    nothing was lost, doubled or made up.

    Parameters
    ----------
    account
        At the venue.
    journal
        The node's journal.
    ours
        Whether an order is ours, by its client id: what others traded is told apart.

    Raises
    ------
    NodeError
        If the journal has no balance yet.
    VenueError
        If the venue does not answer.
    """
    events = read_session(journal)
    balances, payments = events[BALANCES.name], events[PAYMENTS.name]
    if not balances.height:
        raise NodeError(
            "the journal has no balance of the account yet",
            where=str(journal),
            remedy="a node with node.mode: live journals it at its start",
        )
    begin, since = balances["seq"][0], balances["ts"][0]
    fills = events[FILLS.name].filter(pl.col("seq") > begin)
    old = set(payments.filter(pl.col("seq") < begin)["payment_id"])
    booked = _booked(account, since - _OVERLAP)
    if booked is None:
        raise NodeError("the account changes while it is asked", where=account.place, remedy="ask again in a moment")
    new = [one for one in booked.payments if one.id not in old]
    trades = {(row["market"], row["trade_id"]) for row in fills.iter_rows(named=True)}
    others = _traded_by_others(account, new, trades, since - _OVERLAP, ours)
    theirs = _sums((one.currency, one.amount) for one in new if (one.market, one.trade_id) in others)
    venue = _by_kind((one.kind, one.currency, one.amount) for one in new if (one.market, one.trade_id) not in others)
    journalled = payments.filter((pl.col("seq") > begin) & ~pl.col("kind").is_in(_BY_FILLS))
    mine = _by_kind([*journalled.select("kind", "currency", "amount").rows(), *_of_fills(_as_booked(standing(fills)))])
    lines = [
        Line(kind, code, venue.get((kind, code), 0.0), mine.get((kind, code), 0.0))
        for kind, code in sorted({*venue, *mine})
    ]
    lines += [Line("others' trades", code, amount, amount) for code, amount in sorted(theirs.items())]
    first = balances.unique("currency", keep="first", maintain_order=True)
    for code, opened in first.select("currency", "amount").rows():
        total = opened + sum(line.journal for line in lines if line.currency == code)
        lines.append(Line("balance", code, booked.balances.get(code, 0.0), total))
    return Comparison(since, tuple(lines))


def _traded_by_others(
    account: Account,
    payments: Sequence[Payment],
    journalled: Collection[tuple[str, str]],
    since: datetime,
    ours: Callable[[str], bool],
) -> set[tuple[str, str]]:
    """Market and number of the trades that were not ours; what the journal lacks is asked for by its order."""
    unknown = {
        (one.market, one.trade_id)
        for one in payments
        if one.kind in _BY_FILLS and one.market and one.trade_id and (one.market, one.trade_id) not in journalled
    }
    found = set[tuple[str, str]]()
    for market in sorted({market for market, _ in unknown}):
        fills = account.fills(market, since)
        found |= {(market, fill.trade_id) for fill in fills if not ours(fill.client_id)} & unknown
    return found


def _by_kind(amounts: Iterable[tuple[str, str, float]]) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for kind, code, amount in amounts:
        found[kind, code] = found.get((kind, code), 0.0) + amount
    return found


def _as_booked(fills: pl.DataFrame) -> pl.DataFrame:
    """Fills in the order of the market; one that was taken back goes with its order: between them the venue saw none.

    The journal may have heard of a fill after another that followed it, and what a position cost is the average of what
    it held before.
    """
    back = pl.col("trade_id").str.starts_with(TAKEN_BACK)
    last = pl.col("ts").filter(~back).max().over("order_id")
    return fills.sort(pl.when(back).then(last).otherwise(pl.col("ts")).fill_null(pl.col("ts")), "seq")


def _of_fills(fills: pl.DataFrame) -> list[tuple[str, str, float]]:
    """Fees and results of fills, as a venue books them: a position's cost is the average of what opened it."""
    found, held, cost = list[tuple[str, str, float]](), dict[str, float](), dict[str, float]()
    for row in fills.iter_rows(named=True):
        market, quote = row["market"], Market.parse(row["market"]).quote
        if row["fee"]:
            found.append(("fee", row["fee_currency"] or quote, -row["fee"]))
        if not Market.parse(market).is_derivative:
            continue
        signed = row["quantity"] if row["side"] == "buy" else -row["quantity"]
        before, average = held.get(market, 0.0), cost.get(market, 0.0)
        if before * signed < 0:
            closed = min(abs(signed), abs(before)) * (1 if before > 0 else -1)
            found.append(("realized", quote, closed * (row["price"] - average)))
        after = before + signed
        if nothing(after, abs(before) + abs(signed)):
            after = 0.0
        if not signed:  # it carries a fee alone
            continue
        if before * signed >= 0:
            average = (average * abs(before) + row["price"] * abs(signed)) / abs(after)
        elif after * before < 0:
            average = row["price"]
        held[market], cost[market] = after, average
    return found
