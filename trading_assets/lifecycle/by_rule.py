"""Promotion by what a challenger showed in shadow, where the settings have the rule."""

from __future__ import annotations

from dataclasses import replace

from trading_assets.backtest.challengers import due_for_promotion
from trading_assets.core.errors import ModelError
from trading_assets.lifecycle.promotion import Outcome, promote
from trading_assets.registry import Cause
from trading_assets.settings import Settings
from trading_assets.store.contract import Store


def promote_by_rule(settings: Settings, store: Store, model: str, version: int | None, cause: Cause) -> Outcome:
    """Promote a challenger for what it showed in shadow, which is looked at again and recorded with the change.

    Days in shadow outweigh the walk-forward: that is compared all the same, and recorded beside them.

    Parameters
    ----------
    version
        Which; None for the one that has shown enough.
    cause
        Who; the reason and the evidence are those of the shadow.

    Raises
    ------
    ModelError
        If it has not shown enough (any more), or as for :func:`promote`.
    """
    shown = due_for_promotion(settings, store).get(model)
    if shown is None or version not in (None, shown.version):
        asked = settings.promotion
        days = "is not set" if asked.challenger_days is None else f"is {asked.challenger_days:g}"
        raise ModelError(
            f"it has not shown enough in shadow beside the version that trades: promotion.challenger_days {days}, "
            f"promotion.min_trades is {asked.min_trades}, promotion.min_better is {asked.min_better:g}",
            where=f"model {model}" if version is None else f"model {model} version {version}",
            remedy="trading challengers shows what it did; by hand: trading models promote, with a reason",
        )
    cause = replace(cause, reason=f"by rule: {shown.reason}", evidence={"shadow": shown.evidence})
    return promote(settings, store, model, shown.version, cause, regardless=True)
