"""How often each kind of world was approved, and what that says about all such worlds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from trading_assets.placebo.judging import Verdict
from trading_assets.placebo.worlds import NULL, WITH_EDGE

REQUIRED_SHARE = 0.9
"""Of the planted worlds, at least this share must be found; of the others, none may be approved."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdicts on one kind of world.

    Attributes
    ----------
    kind
        Of :data:`~trading_assets.placebo.worlds.KINDS`, or ``all null worlds``.
    worlds, approved
        How many were judged, and approved.
    low, high
        The exact (Clopper-Pearson) 95 % interval of the share approved.
    refusals
        Gate -> how many worlds it refused, most often first.
    passed
        Whether this is as it must be.
    """

    kind: str
    worlds: int
    approved: int
    low: float
    high: float
    refusals: dict[str, int]
    passed: bool


def outcomes(verdicts: Iterable[Verdict]) -> list[Outcome]:
    """One outcome per kind of world that was judged, and one for all null worlds together."""
    judged = list(verdicts)
    null = [verdict for verdict in judged if verdict.kind in NULL]
    found = [_outcome(kind, [v for v in null if v.kind == kind], null=True) for kind in NULL]
    found.append(_outcome("all null worlds", null, null=True))
    found += [_outcome(kind, [v for v in judged if v.kind == kind], null=False) for kind in WITH_EDGE]
    return [outcome for outcome in found if outcome.worlds]


def _outcome(kind: str, verdicts: list[Verdict], *, null: bool) -> Outcome:
    from scipy.stats import binomtest

    approved = sum(verdict.approved for verdict in verdicts)
    low, high = 0.0, 1.0
    if verdicts:
        interval = binomtest(approved, len(verdicts)).proportion_ci(method="exact")
        low, high = float(interval.low), float(interval.high)
    return Outcome(
        kind=kind,
        worlds=len(verdicts),
        approved=approved,
        low=low,
        high=high,
        refusals=dict(Counter(gate for verdict in verdicts for gate in verdict.failed).most_common()),
        passed=approved == 0 if null else approved >= REQUIRED_SHARE * len(verdicts),
    )
