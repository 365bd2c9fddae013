"""A portfolio as people read it: weights with what they bring to the risk, and what sleeves have in common."""

from __future__ import annotations

import numpy as np
import polars as pl

from trading_assets.portfolio.allocation import risk_contributions
from trading_assets.portfolio.sleeves import known_days
from trading_assets.portfolio.stored import Portfolio
from trading_assets.portfolio.weights import known_by
from trading_assets.validation.performance import DAYS_PER_YEAR, max_drawdown, sharpe


def sleeves_frame(found: Portfolio) -> pl.DataFrame:
    """A row for each sleeve.

    Returns
    -------
    pl.DataFrame
        ``model, version, weight, target, risk`` (the part of the portfolio's variance that it brings, over the
        look-back), ``volatility`` (a year's), ``sharpe``, ``max_drawdown`` (all days), ``reason``.
    """
    names = [*found.versions]
    days = _looked_at(found, names)
    shares = np.array([found.chosen.of.get(name, 0.0) for name in names])
    risk = risk_contributions(days, shares) if len(days) > 1 else np.zeros(len(names))
    rows = []
    for name, share, part in zip(names, shares, risk, strict=True):
        every = found.returns[name].drop_nulls().to_numpy()
        spread = float(every.std(ddof=1)) if len(every) > 1 else 0.0
        rows.append(
            (
                name,
                found.versions[name],
                float(share),
                found.target.of.get(name, 0.0),
                float(part),
                spread * DAYS_PER_YEAR**0.5,
                float(sharpe(every)),
                float(max_drawdown(every)),
                found.chosen.reasons.get(name, ""),
            )
        )
    schema = ["model", "version", "weight", "target", "risk", "volatility", "sharpe", "max_drawdown", "reason"]
    return pl.DataFrame(rows, schema=schema, orient="row")


def correlation_frame(found: Portfolio) -> pl.DataFrame:
    """The correlation of the sleeves' daily returns over the look-back: ``model``, and a column for each."""
    names = [*found.versions]
    days = _looked_at(found, names)
    with np.errstate(all="ignore"):
        matrix = np.atleast_2d(np.corrcoef(days, rowvar=False)) if len(days) > 1 else np.eye(len(names))
    cells = {name: np.nan_to_num(matrix[:, number]) for number, name in enumerate(names)}
    return pl.DataFrame({"model": names, **cells})


def accounts_frame(found: Portfolio) -> pl.DataFrame:
    """The portfolio, its method and equal weights over all days: ``account, sharpe, max_drawdown, total, turnover``."""
    every = {"in use": found.used, found.walked.method: found.walked, "equal": found.equal}
    rows = [
        (
            name,
            float(sharpe(one.returns)),
            float(max_drawdown(one.returns)),
            float(np.prod(1 + one.returns) - 1),
            one.turnover,
        )
        for name, one in every.items()
    ]
    return pl.DataFrame(rows, schema=["account", "sharpe", "max_drawdown", "total", "turnover"], orient="row")


def _looked_at(found: Portfolio, names: list[str]) -> np.ndarray:
    known = known_by(found.returns, found.verdict.asked, found.target.as_of)
    return known_days(known, names).select(names).to_numpy()
