"""Whether a candidate is better than the champion, on days that neither had trained on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl

from trading_assets.backtest.approval import conditions
from trading_assets.backtest.stored import judge_again
from trading_assets.core.errors import TradingError
from trading_assets.lifecycle.records import returns_since_training, walk_forward_returns
from trading_assets.registry import ModelVersion
from trading_assets.settings import Settings
from trading_assets.settings.sections.promotion import PromotionSettings
from trading_assets.store.contract import Store
from trading_assets.validation.paired import Difference, compare_returns

_ALIKE: Final = 1e-12
"""Of a day's return: what two accounts that trade the same may differ by."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is known of a candidate against the champion.

    Attributes
    ----------
    champion, candidate
        The versions.
    asked
        What it takes.
    days, since_training, telling
        The days that both have; of these, those on which the champion's own bundle was traded after its training, and
        those from the first on that they did not end alike, or all of them where there is none.
    first, last
        The first and the last day; None without one.
    found
        Every measure of both, and of their difference; empty where there are too few days.
    notes
        What the figures do not say: what could not be compared, and why.
    left_out
        Of the notes, those that tell of days that were left out.
    """

    champion: int
    candidate: int
    asked: PromotionSettings
    days: int
    since_training: int
    telling: int
    first: datetime | None
    last: datetime | None
    found: dict[str, Difference]
    notes: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def probability(self) -> float | None:
        """That the candidate is better; None where there are too few days to say."""
        return self.found[self.asked.measure].better if self.found else None

    @property
    def is_better(self) -> bool:
        """Whether the candidate takes the champion's place: too little evidence is none."""
        return self.probability is not None and self.probability >= self.asked.min_better

    @property
    def text(self) -> str:
        """The verdict in one line."""
        if self.first is None or self.last is None:
            return "; ".join((f"no day in common with the champion, version {self.champion}", *self.left_out))
        days = f"{self.days} common out-of-sample days ({self.first:%Y-%m-%d} to {self.last:%Y-%m-%d})"
        if self.probability is None:
            alike = f", alike but for the newest {self.telling}" if self.telling < self.days else ""
            few = f"{days} with the champion, version {self.champion}{alike}: {self.asked.min_common_days} are needed"
            return "; ".join((f"{few} to say which is better", *self.left_out))
        one = self.found[self.asked.measure]
        figures = f"{self.asked.measure} {one.first:.4g} against {one.second:.4g}"
        said = f"better than the champion, version {self.champion}, with a probability of {self.probability:.0%}"
        return f"{said}, {self.asked.min_better:.0%} are asked: {figures} on {days}"

    @property
    def evidence(self) -> dict[str, Any]:
        """All of it, as JSON knows it."""
        return {
            "champion": self.champion,
            "candidate": self.candidate,
            "probability": self.probability,
            "min_better": self.asked.min_better,
            "measure": self.asked.measure,
            "days": self.days,
            "days_since_training": self.since_training,
            "days_telling": self.telling,
            "min_common_days": self.asked.min_common_days,
            "first": self.first and f"{self.first:%Y-%m-%d}",
            "last": self.last and f"{self.last:%Y-%m-%d}",
            **{name: asdict(difference) for name, difference in self.found.items()},
            "notes": list(self.notes),
        }


def compare_with_champion(
    settings: Settings, store: Store, champion: ModelVersion, candidate: ModelVersion
) -> Comparison:
    """Measure a candidate against the champion on the days that both have out of sample.

    A walk-forward measures a way to make models; the champion is one model, which grows old. So its days are those of
    its walk-forward, as far as that goes, and from its training on those that its own bundle decides on: on them a
    fresh candidate of the same settings can be better, or not. The candidate's days are those of its walk-forward.

    Days that were traded under other costs, capital or limits are not compared. Windows that had ended before the
    champion's training are the same to the last digit in both records where their settings are: these days are no
    evidence, however many they are, or the first day or two of a difference would decide.
    """
    asked, notes = settings.promotion, []
    ours = walk_forward_returns(store, candidate.name, candidate.version)
    theirs = walk_forward_returns(store, champion.name, champion.version)
    if not champion.traded_under or champion.traded_under != candidate.traded_under:
        how = "other costs, capital or limits" if champion.traded_under else "costs that were not kept"
        notes.append(f"the champion's backtest was traded under {how}: left out")
        theirs = theirs.clear()
    newer = theirs.clear()
    if candidate.traded_under == conditions(settings):
        try:
            known = theirs["ts"].max()
            after = known if isinstance(known, datetime) else champion.train_end
            newer = returns_since_training(store, settings, champion, after=after)
        except TradingError as error:
            notes.append(f"the champion's days since its training are left out: {error}")
    else:
        notes.append("the candidate was traded under other costs than today's: the champion is not traded anew")
    days = ours.join(pl.concat([theirs, newer]), on="ts", suffix="_champion").sort("ts")
    apart = ((days["return"] - days["return_champion"]).abs() > _ALIKE).arg_true()
    telling = days.height - int(apart[0]) if len(apart) else days.height  # alike to the end: neither is better
    enough = telling >= asked.min_common_days
    found = compare_returns(days["return"], days["return_champion"], resamples=asked.resamples) if enough else {}
    return Comparison(
        champion.version,
        candidate.version,
        asked,
        days.height,
        days.join(newer, on="ts", how="semi").height,
        telling,
        days["ts"].min() if days.height else None,  # type: ignore[arg-type]
        days["ts"].max() if days.height else None,  # type: ignore[arg-type]
        found,
        (*notes, *_failed_gates(settings, store, champion)),
        tuple(notes),
    )


def _failed_gates(settings: Settings, store: Store, champion: ModelVersion) -> list[str]:
    """What the champion would not pass today: told, but no reason to replace it by what is no better."""
    if champion.name not in settings.models:
        return []
    try:
        gates = judge_again(store, settings, champion.name, champion.version)
    except TradingError:
        return []  # no backtest of it is stored, or none that knows all gates
    return [f"the champion fails a gate of today: {gate.text}" for gate in gates if not gate.passed]
