"""Telling skill from luck: splits that leak nothing, and statistics that count every trial."""

from trading_assets.validation.combinatorial import CombinatorialFold, CombinatorialPurged
from trading_assets.validation.splitter import TimeSplitter, WalkForwardSplitter
from trading_assets.validation.walk_forward import Fold, WalkForward

__all__ = ["CombinatorialFold", "CombinatorialPurged", "Fold", "TimeSplitter", "WalkForward", "WalkForwardSplitter"]
