"""What was tried so far: the number that deflates a Sharpe ratio."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
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
        How many runs the registry holds, those without a backtest and deleted ones included.
    sharpes
        Annualised Sharpe ratios of those that were backtested.
    """

    count: int
    sharpes: tuple[float, ...]

    @classmethod
    def of(cls, runs: Iterable[Run], markets: Sequence[str]) -> Self:
        """Count the runs that share a market; one that does not say its markets counts too."""
        shared = [run for run in runs if _overlaps(run.data.tags.get(MARKETS_TAG), markets)]
        found = [run.data.metrics[SHARPE_METRIC] for run in shared if SHARPE_METRIC in run.data.metrics]
        return cls(len(shared), tuple(found))


def _overlaps(tag: str | None, markets: Sequence[str]) -> bool:
    return tag is None or not set(json.loads(tag)).isdisjoint(markets)
