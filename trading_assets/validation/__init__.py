"""Telling skill from luck: splits that leak nothing, and statistics that count every trial.

Importing this loads neither SciPy nor pandas.
"""

from trading_assets.validation.bootstrap import OF_DAILY_RETURNS, OF_TRADES, Interval, confidence_intervals
from trading_assets.validation.calibration import BrierScore, brier_score, expected_calibration_error, reliability
from trading_assets.validation.combinatorial import CombinatorialFold, CombinatorialPurged
from trading_assets.validation.coverage import Coverage, coverage, coverage_by, live_coverage
from trading_assets.validation.credibility import credibility
from trading_assets.validation.gain import Gain, beats
from trading_assets.validation.overfitting import Overfitting, cross_validate_choice
from trading_assets.validation.sharpe import (
    SharpeEstimate,
    Trials,
    deflated_sharpe_ratio,
    expected_max_sharpe,
    independent_trials,
    min_track_record_length,
    probabilistic_sharpe_ratio,
)
from trading_assets.validation.skill import information_coefficient
from trading_assets.validation.splitter import TimeSplitter, WalkForwardSplitter
from trading_assets.validation.walk_forward import Fold, WalkForward

__all__ = [
    "BrierScore",
    "CombinatorialFold",
    "CombinatorialPurged",
    "Coverage",
    "Fold",
    "Gain",
    "Interval",
    "OF_DAILY_RETURNS",
    "OF_TRADES",
    "Overfitting",
    "SharpeEstimate",
    "TimeSplitter",
    "Trials",
    "WalkForward",
    "WalkForwardSplitter",
    "beats",
    "brier_score",
    "coverage",
    "coverage_by",
    "confidence_intervals",
    "credibility",
    "cross_validate_choice",
    "deflated_sharpe_ratio",
    "expected_calibration_error",
    "expected_max_sharpe",
    "independent_trials",
    "information_coefficient",
    "live_coverage",
    "min_track_record_length",
    "probabilistic_sharpe_ratio",
    "reliability",
]
