"""Models and rules as sleeves of one account: what share of its equity each of them trades.

A sleeve is a model's approved version with the daily returns of its walk-forward, which it predicted unseen. A weight
is the share of the account's equity that the sleeve's trades are sized on. Importing this does not load skfolio.
"""

from trading_assets.portfolio.allocation import bounded, risk_contributions
from trading_assets.portfolio.sleeves import sleeve_returns, sleeves_of
from trading_assets.portfolio.walk_forward import Verdict, Walk, judge_method, walk
from trading_assets.portfolio.weights import Weights, weights

__all__ = [
    "Verdict",
    "Walk",
    "Weights",
    "bounded",
    "judge_method",
    "risk_contributions",
    "sleeve_returns",
    "sleeves_of",
    "walk",
    "weights",
]
