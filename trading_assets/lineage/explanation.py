"""Why a trade was made: the decision rebuilt and held against the journal, what moved it, and what became of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from trading_assets import features
from trading_assets.core.sides import Side
from trading_assets.journal import unpack
from trading_assets.lineage.bundles import bundle_of
from trading_assets.lineage.contributions import Contribution, How, contributions
from trading_assets.lineage.rebuilding import Rebuilt, rebuild
from trading_assets.lineage.trail import Events, Trail, find
from trading_assets.models import Bundle
from trading_assets.models.code_version import code_version
from trading_assets.settings import RuleStrategySettings, Settings
from trading_assets.store import Store
from trading_assets.strategies.rules import rule_of


@dataclass(frozen=True)
class Explanation:
    """One decision of the node, explained.

    Attributes
    ----------
    trail
        What is journalled of it.
    rebuilt
        The decision, made again.
    probability
        What the rebuilt decision says of the signal's side; None where it says nothing of it.
    how, contributions
        What each feature adds, the largest first; see :func:`trading_assets.lineage.contributions.contributions`.
    differing
        Features whose rebuilt value is another one, in single precision, than the node journalled; None where the
        journal does not have the row any more.
    doubts
        What stands in the way of an equal answer, each with what to do.
    """

    trail: Trail
    rebuilt: Rebuilt
    probability: float | None
    how: How
    contributions: tuple[Contribution, ...]
    differing: tuple[str, ...] | None
    doubts: tuple[str, ...]

    @property
    def bundle(self) -> Bundle:
        """The model that decided."""
        return self.rebuilt.bundle

    @property
    def apart(self) -> float | None:
        """How far rebuilt and journalled probability are apart; None where there is nothing to compare."""
        return None if self.probability is None else abs(self.probability - self.trail.signal["probability"])

    @property
    def prediction_set(self) -> int | None:
        """The rebuilt set of outcomes that the model cannot rule out; None where it makes none."""
        return self.rebuilt.decision.sets.get(self.trail.side)

    @property
    def equal(self) -> bool:
        """Whether they are equal, up to what the estimator declares, and the prediction sets too."""
        near = self.apart is not None and self.apart <= self.bundle.tolerance
        return near and self.prediction_set == self.trail.signal.get("prediction_set", self.prediction_set)

    def as_dict(self, top: int | None = None) -> dict[str, Any]:
        """All of it as plain values for JSON; with the ``top`` largest contributions."""
        trail, held = self.trail, self.rebuilt.held
        return {
            "signal": _plain(dict(trail.signal)),
            "correlation_id": trail.correlation_id,
            "rebuilt": {
                "probability": self.probability,
                "raw_probability": self.rebuilt.raw(trail.side),
                "calibrator": self.rebuilt.calibrator(trail.side),
                "prediction_set": self.prediction_set,
                "apart": self.apart,
                "tolerance": self.bundle.tolerance,
                "equal": self.equal,
                "take_profit": self.rebuilt.decision.take_profit,
                "stop_loss": self.rebuilt.decision.stop_loss,
                "wanted": self.rebuilt.wanted,
                "differing_features": None if self.differing is None else list(self.differing),
                "bars": held.frame.height,
                "bars_from": held.source,
                "first_bar": held.frame["ts"][0].isoformat(),
                "missing_candles": held.missing,
                "changed_bars": held.changed,
            },
            "contributions": {"how": self.how, "of": [asdict(one) for one in self.contributions[:top]]},
            "plan": None if trail.plan is None else json.loads(trail.plan.to_json()),
            "orders": _rows(trail.orders),
            "fills": _rows(trail.fills),
            "positions": _rows(trail.positions),
            "lineage": {
                "bundle_hash": self.bundle.bundle_hash,
                "feature_fingerprint": self.bundle.feature_fingerprint,
                "running_code": code_version(),
                **self.bundle.provenance.model_dump(mode="json"),
            },
            "doubts": list(self.doubts),
        }


def explain(reference: str, *, events: Events, store: Store, settings: Settings) -> Explanation:
    """Explain the decision that an order, a trade or a signal comes from.

    Parameters
    ----------
    reference
        See :func:`trading_assets.lineage.trail.find`.
    events
        Where the journal is.
    store, settings
        Where candles and bundles are.

    Raises
    ------
    NodeError
        If nothing of that name is journalled.
    ModelError
        If the bundle is not there, or candles are missing.
    """
    trail = find(reference, events)
    signal = trail.signal
    bundle = bundle_of(settings, signal["model"], signal["bundle_hash"])
    rebuilt = rebuild(bundle, signal["market"], signal["bar_ts"], store=store, settings=settings)
    how, added = contributions(rebuilt, trail.side)
    differing = _differing(rebuilt, trail)
    return Explanation(
        trail=trail,
        rebuilt=rebuilt,
        probability=rebuilt.decision.probabilities.get(trail.side),
        how=how,
        contributions=tuple(added),
        differing=differing,
        doubts=tuple(_doubts(rebuilt, differing, trail.side)),
    )


def _differing(rebuilt: Rebuilt, trail: Trail) -> tuple[str, ...] | None:
    if trail.features is None:
        return None
    names = rebuilt.bundle.features
    seen = unpack(pl.Series("packed", [trail.features["packed"]]), names).row(0)
    now = rebuilt.decision.features.select(pl.col(names).cast(pl.Float64)).row(0)
    pairs = zip(names, seen, now, strict=True)
    return tuple(name for name, one, other in pairs if one != (None if other is None else float(np.float32(other))))


def _doubts(rebuilt: Rebuilt, differing: tuple[str, ...] | None, side: Side) -> list[str]:
    bundle, held, found = rebuilt.bundle, rebuilt.held, list[str]()
    runs = _fingerprint(bundle)
    made = bundle.provenance.code_version
    if runs != bundle.feature_fingerprint:
        what = "rule" if isinstance(bundle.spec, RuleStrategySettings) else "features"
        found.append(
            f"the {what} that decided had the fingerprint {bundle.feature_fingerprint[:16]}, "
            f"this code's has {runs[:16]}: run the code of the bundle ({made}; this is {code_version()})"
        )
    if differing != () and held.missing:
        found.append(
            f"{held.missing:,} {held.source} candles of the look-back are not stored: trading gaps shows them, and "
            "whether the node had them is not known"
        )
    if differing != () and held.changed:
        found.append(
            f"{held.changed:,} of {held.frame.height:,} stored bars differ from what the candles give now: candles "
            "were repaired after the bars were made; materialize bars of these months"
        )
    if held.source == "bars":
        found.append("candles of the look-back are not stored any more: rebuilt from the stored bars")
    if "leader" in features.required_companions(bundle.features, bundle.plugins) and "leader" not in rebuilt.companions:
        found.append(
            "it reads a leading market, of which no bars are stored: set features.leader to the market that it was "
            "certified with, and backfill it"
        )
    if differing:
        shown = ", ".join(differing[:5]) + (" ..." if len(differing) > 5 else "")
        found.append(f"{len(differing)} features are others than the node journalled: {shown}; its candles were others")
    if side not in rebuilt.decision.probabilities:
        found.append(f"the label set or the rule does not decide on the {side.word} side at this bar now")
    return found


def _fingerprint(bundle: Bundle) -> str:
    if isinstance(bundle.spec, RuleStrategySettings):
        return rule_of(bundle.spec.rule).fingerprint()
    return features.fingerprint(bundle.features, bundle.plugins)


def _rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return [_plain(row) for row in frame.iter_rows(named=True)]


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: one.isoformat() if isinstance(one, datetime) else one for name, one in values.items()}
