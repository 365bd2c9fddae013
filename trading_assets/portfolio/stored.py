"""The portfolio of what is stored: its sleeves, its verdict and its weights; and how these reach store and node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from trading_assets.core.errors import ModelError, SettingsError
from trading_assets.portfolio.gates import PortfolioGate, evaluate
from trading_assets.portfolio.sleeves import sleeve_returns
from trading_assets.portfolio.walk_forward import Verdict, Walk, judge_method, settled, walk
from trading_assets.portfolio.weights import Weights, weights
from trading_assets.registry.sleeve_weights import SleeveWeights, read_weights, write_weights
from trading_assets.settings import PortfolioSettings, Settings
from trading_assets.settings.days import midnight
from trading_assets.settings.sections.portfolio import EqualSettings, MethodSettings
from trading_assets.store.contract import Store
from trading_assets.store.tables import EQUITY, MODEL_VERSIONS, PORTFOLIO_EQUITY, PORTFOLIO_WEIGHTS, TRADES

WALK_FORWARD: Final = "walk_forward"
IN_FORCE: Final = "in_force"
_HAS_CAPITAL: Final = ("active", "approved")


@dataclass(frozen=True, slots=True)
class Portfolio:
    """What is known of the portfolio at a moment.

    Attributes
    ----------
    versions
        Sleeve -> its version.
    returns
        Of the sleeves, day by day.
    walked, equal
        The walk-forward of the method that was asked for, and of equal weights.
    verdict
        Which of them is used.
    target
        The weights by the one that is used.
    chosen
        The weights to come into force: the present ones, where none is off its target beyond the band.
    present
        Those in force until now; None before the first ones.
    gates
        What the chosen ones must keep to.
    notes
        What the figures do not say.
    """

    versions: Mapping[str, int]
    returns: pl.DataFrame
    walked: Walk
    equal: Walk
    verdict: Verdict
    target: Weights
    chosen: Weights
    present: Weights | None
    gates: Sequence[PortfolioGate]
    notes: Sequence[str]

    @property
    def used(self) -> Walk:
        """The walk-forward of the method whose weights are used."""
        return self.walked if self.verdict.earns else self.equal

    @property
    def passed(self) -> bool:
        """Whether all gates pass."""
        return all(gate.passed for gate in self.gates)


def section_of(settings: Settings) -> PortfolioSettings:
    """The section ``portfolio``.

    Raises
    ------
    SettingsError
        If there is none.
    """
    if settings.portfolio is None:
        raise SettingsError(
            "no portfolio is asked for", where=str(settings.file), remedy="add the section `portfolio: {}`"
        )
    return settings.portfolio


def sleeve_versions(store: Store, models: Sequence[str]) -> dict[str, int]:
    """Sleeve -> the version whose record speaks for it: the active one, else the newest that is approved.

    A model without one is no sleeve: a draft or a challenger has no capital before it is approved or takes the
    champion's place.
    """
    known = store.read(MODEL_VERSIONS, columns=["model", "version", "status", "created_at"])
    known = known.filter(pl.col("model").is_in(list(models)), pl.col("status").is_in(_HAS_CAPITAL))
    ranked = known.sort(pl.col("status") == "active", "version", descending=True)
    newest = ranked.unique("model", keep="first", maintain_order=True).sort("model")
    return dict(newest.select("model", "version").iter_rows())


def stored_returns(settings: Settings, store: Store, versions: Mapping[str, int]) -> pl.DataFrame:
    """The daily returns of sleeves, from the newest backtest of each version."""
    equity = [
        store.read(EQUITY, where={"model": model, "version": version}, columns=["model", "ts", "equity"])
        for model, version in versions.items()
    ]
    trades = [
        store.read(TRADES, where={"model": model, "version": version}, columns=["model", "entry_ts", "exit_ts"])
        for model, version in versions.items()
    ]
    return sleeve_returns(pl.concat(equity), pl.concat(trades), starting_balance=settings.simulation.starting_balance)


def judge_portfolio(
    settings: Settings, store: Store, now: datetime, *, method: MethodSettings | None = None
) -> Portfolio:
    """Find the sleeves, walk the method and equal weights forward, and decide the weights as of today's midnight.

    Parameters
    ----------
    now
        UTC.
    method
        Instead of the settings', to compare: see that its weights do not come into force.

    Raises
    ------
    SettingsError
        If the settings ask for no portfolio.
    ModelError
        If no model is approved.
    """
    section = section_of(settings)
    asked = section.method if method is None else method
    versions = sleeve_versions(store, list(settings.models))
    returns = stored_returns(settings, store, versions) if versions else pl.DataFrame()
    lacking = sorted({*versions} - {*returns.columns})
    versions = {name: version for name, version in versions.items() if name not in lacking}
    if not versions:
        raise ModelError(
            "no model has an approved version with a backtest: there is nothing to share the account out to",
            where="portfolio",
            remedy="trading models shows what there is; the job retrain makes and approves candidates",
        )
    traded = {market for name in versions for market in settings.models[name].markets}
    costs = (
        settings.trading.costs.of_markets(sorted(traded)).market_order_bps
        / 1e4
        * min(settings.trading.sizing.most, 1.0)
    )
    walked = walk(returns, section, cost_share=costs, method=asked)
    alike = isinstance(asked, EqualSettings)
    equal = walked if alike else walk(returns, section, cost_share=costs, method=EqualSettings())
    verdict = judge_method(walked, equal, section)
    as_of = midnight(min(now, settings.history_end or now).date())  # after a history's end nothing is added to it
    target = weights(returns, section, as_of, method=asked if verdict.earns else EqualSettings())
    present = _present(settings)
    chosen = settled(target, present, section)
    gates = evaluate(chosen, walked if verdict.earns else equal, returns, versions, section.gates)
    notes = [f"{name} has no backtest: no weight" for name in lacking] + _notes(store, versions)
    return Portfolio(versions, returns, walked, equal, verdict, target, chosen, present, gates, notes)


def publish(settings: Settings, store: Store, found: Portfolio) -> bool:
    """Keep the walk-forward and the weights; those that pass all gates come into force in the node.

    Returns
    -------
    bool
        Whether they did; else those of before stay.
    """
    rows, sections = weight_rows(found), equity_rows(found, settings.simulation.starting_balance)
    store.replace_together([(PORTFOLIO_WEIGHTS, rows)], where={"source": WALK_FORWARD})
    store.replace_together([(PORTFOLIO_EQUITY, sections)], where={})
    if not found.passed:
        return False
    if found.chosen is found.present:
        return True
    store.upsert(PORTFOLIO_WEIGHTS, _rows(found.chosen, found.target, IN_FORCE, found.versions))
    told = SleeveWeights(decided_at=found.chosen.as_of, method=found.chosen.method, weights=dict(found.chosen.of))
    write_weights(settings.live_dir, told)
    return True


def weight_rows(found: Portfolio) -> pl.DataFrame:
    """The weights of the walk-forward that is used, as rows of ``portfolio_weights``."""
    parts = [_rows(one, one, WALK_FORWARD, found.versions) for one in found.used.decisions]
    return pl.concat(parts) if parts else pl.DataFrame(schema=PORTFOLIO_WEIGHTS.columns)


def equity_rows(found: Portfolio, balance: float) -> pl.DataFrame:
    """The accounts of the portfolio, of equal weights and of each sleeve alone, as rows of ``portfolio_equity``."""
    every = [("portfolio", "", found.used.returns), ("equal", "", found.equal.returns)]
    every += [("sleeve", name, found.returns[name].fill_null(0.0).to_numpy()) for name in found.versions]
    parts = []
    for kind, model, returns in every:
        curve = balance * np.cumprod(1 + np.asarray(returns))
        peak = np.maximum(np.maximum.accumulate(curve), balance)
        parts.append(
            pl.DataFrame({"ts": found.returns["ts"], "equity": curve, "drawdown": 1 - curve / peak}).select(
                pl.lit(kind).alias("kind"), pl.lit(model).alias("model"), "ts", "equity", "drawdown"
            )
        )
    return pl.concat(parts)


def _rows(one: Weights, target: Weights, source: str, versions: Mapping[str, int]) -> pl.DataFrame:
    rows = [
        (source, one.as_of, name, versions.get(name), share, target.of.get(name), one.method, one.reasons[name])
        for name, share in one.of.items()
    ]
    return pl.DataFrame(rows, schema=PORTFOLIO_WEIGHTS.columns, orient="row")


def _present(settings: Settings) -> Weights | None:
    """The weights that the node sizes by now."""
    told = read_weights(settings.live_dir)
    if told is None:
        return None
    stays = f"within the band of {section_of(settings).drift_band:g} since {told.decided_at:%Y-%m-%d}"
    return Weights(told.decided_at, told.method, told.weights, dict.fromkeys(told.weights, stays), 0)


def _notes(store: Store, versions: Mapping[str, int]) -> list[str]:
    known = store.read(MODEL_VERSIONS, columns=["model", "version", "traded_under"])
    mine = pl.DataFrame({"model": [*versions], "version": pl.Series([*versions.values()], dtype=pl.Int32)})
    under = known.join(mine, on=["model", "version"], how="semi")["traded_under"]
    if under.n_unique() > 1:
        return ["the sleeves were backtested under different costs, capital or limits: retrain brings them together"]
    return []
