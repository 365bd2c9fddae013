"""Splitting time honestly: purged and embargoed walk-forward."""

from trading_assets.validation.walk_forward import Fold, WalkForward

__all__ = ["Fold", "WalkForward"]
