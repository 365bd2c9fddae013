"""What was tried so far: the number that deflates a Sharpe ratio."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from mlflow.entities import Run

    from trading_assets.settings import LabelSettings, StrategySettings

MARKETS_TAG: Final = "markets"
"""Of an MLflow run: the markets that it was trained on, as JSON."""

CONFIGURATION_TAG: Final = "configuration"
"""Of a version's run: what its walk-forward tried, see :func:`configuration`."""

WALK_FORWARD_TAG: Final = "walk_forward"
"""Of a run that counts a walk-forward: the same."""

SHARPE_METRIC: Final = "backtest_sharpe"


@dataclass(frozen=True, slots=True)
class Tried:
    """All that was tried on some markets, the version at hand included.

    Attributes
    ----------
    count
        How many versions the registry holds, those without a backtest and deleted ones included, how many further
        backtests of them came out otherwise (another threshold, other costs, another seed), and how many
        configurations a walk-forward tried of which no version was made.
    sharpes
        Annualised Sharpe ratios of all backtests that differ.
    searched
        How many of the count are trials of searches.
    searched_sharpes
        How many of the Sharpe ratios, the last ones, are theirs: of the part of the history that they saw.
    """

    count: int
    sharpes: tuple[float, ...]
    searched: int = 0
    searched_sharpes: int = 0

    def beside(self, searches: Tried) -> Tried:
        """The same with what searches tried."""
        return Tried(
            self.count + searches.count,
            (*self.sharpes, *searches.sharpes),
            self.searched + searches.count,
            self.searched_sharpes + len(searches.sharpes),
        )

    @property
    def apart(self) -> tuple[Tried, Tried]:
        """What versions and walk-forwards tried, and what searches did."""
        own = len(self.sharpes) - self.searched_sharpes
        return Tried(self.count - self.searched, self.sharpes[:own]), Tried(self.searched, self.sharpes[own:])

    @classmethod
    def of(cls, runs: Iterable[Run], markets: Sequence[str], history: Callable[[str], Sequence[float]]) -> Self:
        """Count the runs that share a market; one that does not say its markets counts too.

        ``history`` gives every Sharpe ratio that was ever logged to a run.
        """
        shared = [run for run in runs if _overlaps(run.data.tags.get(MARKETS_TAG), markets)]
        versions = [run for run in shared if WALK_FORWARD_TAG not in run.data.tags]
        found = [sorted(set(history(run.info.run_id))) if SHARPE_METRIC in run.data.metrics else [] for run in versions]
        only_tried = {run.data.tags.get(WALK_FORWARD_TAG) for run in shared} - {None}
        only_tried -= {run.data.tags.get(CONFIGURATION_TAG) for run in versions}
        count = sum(max(len(values), 1) for values in found) + len(only_tried)
        return cls(count, tuple(value for values in found for value in values))


def configuration(spec: StrategySettings, labels: LabelSettings, *, features: Sequence[str], fingerprint: str) -> str:
    """Identify what a walk-forward tries: markets, windows, learner or rule with its parameters, labels and features.

    Not the rule of entry, which only backtests try, and not the candles: the same configuration on a longer history is
    no new try. Another code of what says where a label set decides, as of a meta-label's rule, is one.

    Parameters
    ----------
    spec, labels
        Of the model.
    features, fingerprint
        Of its data set.
    """
    from trading_assets.labels import decides_by

    decided = decides_by(labels)
    tried = {
        **({"decides": decided} if decided else {}),
        "spec": spec.model_dump(mode="json", exclude={"threshold", "min_edge_bps", "gates"}),
        "labels": labels.model_dump(mode="json"),
        "features": list(features),
        "fingerprint": fingerprint,
    }
    return hashlib.sha256(json.dumps(tried, sort_keys=True).encode()).hexdigest()


def _overlaps(tag: str | None, markets: Sequence[str]) -> bool:
    return tag is None or not set(json.loads(tag)).isdisjoint(markets)
