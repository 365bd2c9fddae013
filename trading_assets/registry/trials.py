"""What was tried so far: the number that deflates a Sharpe ratio."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from mlflow.entities import Run

MARKETS_TAG: Final = "markets"
"""Of an MLflow run: the markets that it was trained on, as JSON."""

SHARPE_METRIC: Final = "backtest_sharpe"


@dataclass(frozen=True, slots=True)
class Tried:
    """All that was tried on some markets, the version at hand included.

    Attributes
    ----------
    count
        How many runs the registry holds, those without a backtest and deleted ones included, and how many further
        backtests of them came out otherwise (another threshold, other costs, another seed).
    sharpes
        Annualised Sharpe ratios of all backtests that differ.
    """

    count: int
    sharpes: tuple[float, ...]

    @classmethod
    def of(cls, runs: Iterable[Run], markets: Sequence[str], history: Callable[[str], Sequence[float]]) -> Self:
        """Count the runs that share a market; one that does not say its markets counts too.

        ``history`` gives every Sharpe ratio that was ever logged to a run.
        """
        shared = [run for run in runs if _overlaps(run.data.tags.get(MARKETS_TAG), markets)]
        found = [sorted(set(history(run.info.run_id))) if SHARPE_METRIC in run.data.metrics else [] for run in shared]
        return cls(sum(max(len(values), 1) for values in found), tuple(value for values in found for value in values))


def _overlaps(tag: str | None, markets: Sequence[str]) -> bool:
    return tag is None or not set(json.loads(tag)).isdisjoint(markets)
