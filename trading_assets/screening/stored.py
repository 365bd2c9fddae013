"""A screening of a rule of the settings, on what is stored of the older part of its history: tried, counted, kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from trading_assets.core.atomic_files import write_file
from trading_assets.core.errors import ModelError
from trading_assets.costs.funding import stored_payments
from trading_assets.registry.screenings import (
    CONFIGURATION,
    RETURNS,
    begin_screening,
    end_screening,
    screening_folder,
)
from trading_assets.registry.searches import engine_of, open_searches
from trading_assets.screening.frames import Screened, Screening
from trading_assets.screening.running import Progress
from trading_assets.screening.sets import grid_sets, random_sets, rule_space
from trading_assets.settings import RuleSettings, RuleStrategySettings, Settings, StrategySettings
from trading_assets.settings.days import midnight
from trading_assets.settings.fragment import model_fragment
from trading_assets.settings.names import check_known
from trading_assets.settings.sections.space import Space
from trading_assets.store.contract import Store
from trading_assets.store.tables import BARS, CANDLES, SCREENED_SETS

MIN_DAYS: Final = timedelta(days=14)
"""Of each part of the history: on less, one would choose by a handful of trades."""

_FIGURES: Final = ("trades", "net", "sharpe", "value", "max_drawdown", "win_rate", "profit_factor")


@dataclass(frozen=True)
class Part:
    """The part of a history that is screened.

    Attributes
    ----------
    start, split, end
        The first bar, the midnight from which on nothing is seen, and the end of the history.
    """

    start: datetime
    split: datetime
    end: datetime


@dataclass(frozen=True)
class Outcome:
    """What a screening left.

    Attributes
    ----------
    model
        Whose rule.
    spec, changes
        The model with the best set, tested from the split on; setting -> value of what is otherwise than before.
    space, part
        What was tried, and on which part of the history.
    screened
        All sets.
    fragment
        The best one as settings.
    fragment_file, picture, kept
        Where that stands, the heat map, and the sets with their daily returns.
    """

    model: str
    spec: RuleStrategySettings
    changes: Mapping[str, Any]
    space: Space
    part: Part
    screened: Screened
    fragment: str
    fragment_file: Path
    picture: Path
    kept: Path

    @property
    def rows(self) -> pl.DataFrame:
        """The sets as rows of the ``screened_sets`` table."""
        tried = pl.struct(*self.space).struct.json_encode()
        known = {"model": pl.lit(self.model), "tried": tried, "unseen_from": pl.lit(self.part.split)}
        return self.screened.table.with_columns(**known).select(
            pl.col(name).cast(kind) for name, kind in SCREENED_SETS.columns.items()
        )

    def best(self, count: int) -> pl.DataFrame:
        """The best sets: their parameters that were tried, and the usual figures."""
        return self.screened.best(count).select("set", *self.space, *_FIGURES)


def screen_stored(
    settings: Settings,
    store: Store,
    model: str,
    *,
    sets: int = 1000,
    grid: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Screen parameter sets of a model's rule in the older part of its history; every one counts as a trial.

    The newest `search.unseen_share` of the history is not read. Every signal is traded: what a rule's record makes of
    them is seen when the model is trained.

    Parameters
    ----------
    settings
        What is tried of the rule stands in the section ``search``, with the seed.
    sets
        How many are tried at most, the rule as it is among them.
    grid
        A grid of the space instead of random sets.
    progress
        Told how many sets are done.

    Raises
    ------
    TradingError
        If the model has no rule, nothing is stored, or the history is too short.

    Examples
    --------
    >>> outcome = screen_stored(settings, configured_store(settings), "trend", sets=10_000)  # doctest: +SKIP
    >>> print(outcome.best(5), outcome.fragment)  # doctest: +SKIP
    """
    check_known(model, settings.models, "model")
    spec, space, chosen = _sets_of(settings, model, settings.models[model], sets=sets, grid=grid)
    part, screened, configurations = _screened(settings, store, model, spec, chosen, count=True, progress=progress)
    outcome = _written(settings, model, spec, space, part, screened, configurations)
    store.replace_together([(SCREENED_SETS, outcome.rows)], where={"model": model})
    return outcome


def screen_in_memory(
    settings: Settings,
    store: Store,
    model: str,
    spec: StrategySettings,
    *,
    sets: int,
    grid: bool,
    count: bool,
    progress: Progress | None = None,
) -> Screened:
    """The same of a model that may be otherwise than in the settings, of which nothing is kept but the count.

    Parameters
    ----------
    spec
        The model.
    count
        Whether the sets count as trials.

    Raises
    ------
    TradingError
        As of :func:`screen_stored`.
    """
    rule, _, chosen = _sets_of(settings, model, spec, sets=sets, grid=grid)
    return _screened(settings, store, model, rule, chosen, count=count, progress=progress)[1]


def _sets_of(
    settings: Settings, model: str, given: StrategySettings, *, sets: int, grid: bool
) -> tuple[RuleStrategySettings, Space, Sequence[RuleSettings]]:
    spec = _rule_model(model, given)
    space = rule_space(spec, settings.search.of(model))
    chosen = (
        grid_sets(spec.rule, space, sets) if grid else random_sets(spec.rule, space, sets, seed=settings.search.seed)
    )
    return spec, space, chosen


def _screened(
    settings: Settings,
    store: Store,
    model: str,
    spec: RuleStrategySettings,
    chosen: Sequence[RuleSettings],
    *,
    count: bool,
    progress: Progress | None,
) -> tuple[Part, Screened, list[str]]:
    """What became of the sets, written down as tried before they are looked at."""
    part = _part(settings, store, spec)
    screening = _screening(settings, store, spec, part)
    configurations = _configurations(settings, spec, chosen)
    engine = engine_of(open_searches(settings)) if count else None
    if engine is not None:
        begin_screening(engine, spec.markets, configurations)
    needed = settings.gates_of(model).min_trades * ((part.split - part.start) / (part.end - part.split))
    screened = screening.screen(chosen, needed=needed, progress=progress)
    if engine is not None:
        end_screening(engine, dict(zip(configurations, screened.table["sharpe"].to_list(), strict=True)))
    return part, screened, configurations


def _rule_model(model: str, spec: StrategySettings) -> RuleStrategySettings:
    if not isinstance(spec, RuleStrategySettings):
        raise ModelError(
            "a model that is trained is not screened",
            where=f"model {model}",
            remedy="`trading search` tries its parameters; `trading screen` is for models of the kind rule",
        )
    return spec


def _part(settings: Settings, store: Store, spec: RuleStrategySettings) -> Part:
    bars = BARS[settings.labels[spec.label].timeframe.name]
    spans = [
        store.read(bars, where={"market": market}, start=settings.history_start, columns=["known_at"])["known_at"]
        for market in spec.markets
    ]
    missing = [market for market, known in zip(spec.markets, spans, strict=True) if known.is_empty()]
    if missing:
        raise ModelError("no bars are stored", where=", ".join(missing), remedy="run the job market_data, or backfill")
    start, newest = min(known[0] for known in spans), max(known[-1] for known in spans)
    until = settings.history_end
    end = min(newest, until) if until is not None else newest
    end -= timedelta(days=spec.holdout_days)
    split = midnight((start + (end - start) * (1 - settings.search.unseen_share)).date())
    if split - start < MIN_DAYS or end - split < MIN_DAYS:
        raise ModelError(
            f"{(end - start) / timedelta(days=1):.1f} days of history from {start:%Y-%m-%d} on leave "
            f"{max((split - start) / timedelta(days=1), 0):.1f} days to screen and "
            f"{max((end - split) / timedelta(days=1), 0):.1f} unseen ones; {MIN_DAYS / timedelta(days=1):g} are needed "
            "of each",
            where=f"screening of {', '.join(spec.markets)}",
            remedy="backfill a longer history, or change search.unseen_share",
        )
    return Part(start, split, end)


def _screening(settings: Settings, store: Store, spec: RuleStrategySettings, part: Part) -> Screening:
    """Of what is stored up to the split, and of nothing later."""
    labels, timeframe = settings.labels[spec.label], settings.markets[spec.markets[0]].timeframe
    start, end = settings.history_start, part.split
    bars = {
        market: store.read(BARS[labels.timeframe.name], where={"market": market}, start=start, end=end).filter(
            pl.col("known_at") <= part.split
        )
        for market in spec.markets
    }
    candles = {
        market: store.read(CANDLES, where={"market": market, "timeframe": timeframe}, start=start, end=end)
        for market in spec.markets
    }
    return Screening(
        candles,
        candle_timeframe=timeframe,
        labels=labels,
        exit_plan=spec.exit_plan,
        settings=settings.simulation,
        risk=settings.trading.risk,
        sides=spec.sides,
        bars=bars,
        funding=stored_payments(store, spec.markets, settings.history_start),
    )


def _configurations(settings: Settings, spec: RuleStrategySettings, sets: Sequence[RuleSettings]) -> list[str]:
    """Identify what each set tries: with its plan, costs and sizes, and not the candles that it is tried on."""
    told = {
        "screened": spec.model_dump(mode="json", exclude={"rule", "gates", "walk_forward"}),
        "labels": settings.labels[spec.label].model_dump(mode="json"),
        "trading": settings.trading.model_dump(mode="json"),
    }
    common = json.dumps(told, sort_keys=True)
    return [hashlib.sha256(f"{common}{one!r}".encode()).hexdigest() for one in sets]


def _written(
    settings: Settings,
    model: str,
    spec: RuleStrategySettings,
    space: Space,
    part: Part,
    screened: Screened,
    configurations: Sequence[str],
) -> Outcome:
    from trading_assets.screening.plots import heat_map

    number = int(screened.best(1)["set"][0]) - 1
    best = screened.rules[number]
    changes = {f"rule.{name}": getattr(best, name) for name in space if getattr(best, name) != getattr(spec.rule, name)}
    windows = spec.walk_forward.model_copy(update={"tested_from": part.split.date()})
    found = spec.model_copy(update={"rule": best, "walk_forward": windows})
    fragment = _head(model, number + 1, len(configurations), part, bool(changes)) + model_fragment(
        model, found, changes
    )
    told = json.dumps([model, f"{part.split}", *configurations[:1], len(configurations), configurations[number]])
    name = f"screen-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
    reports, folder = settings.reports_dir / model, screening_folder(settings, model)
    reports.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    outcome = Outcome(
        model,
        found,
        changes,
        space,
        part,
        screened,
        fragment,
        reports / f"{name}.yaml",
        reports / f"{name}.svg",
        folder / f"{name}.parquet",
    )
    write_file(outcome.fragment_file, fragment.encode())
    write_file(outcome.picture, heat_map(screened.table, space))
    _keep(outcome, configurations)
    return outcome


def _head(model: str, number: int, count: int, part: Part, better: bool) -> str:
    head = (
        f"# Found by `trading screen {model}`: set {number} of {count:,}, "
        f"traded from {part.start:%Y-%m-%d} to {part.split:%Y-%m-%d}.\n"
        f"# Put these keys in the place of those of models.{model}. No set saw anything from tested_from on:\n"
        "# `trading train` and the gates judge it on those windows alone.\n"
    )
    return head if better else head + "# No set was better than the rule as it is.\n"


def _keep(outcome: Outcome, configurations: Sequence[str]) -> None:
    """The sets with their daily returns, a row each; float32, as nobody reads more than seven digits of a day."""
    screened = outcome.screened
    days = pl.Array(pl.Float32, screened.returns.shape[1])
    rows = screened.table.with_columns(
        pl.Series(CONFIGURATION, configurations),
        pl.lit(screened.first_day).alias("first_day"),
        pl.lit(outcome.part.split).alias("unseen_from"),
        pl.Series("markets", [outcome.spec.markets] * screened.table.height),
        pl.Series(RETURNS, screened.returns.astype("float32"), dtype=days),
    )
    unfinished = outcome.kept.with_suffix(".tmp")
    rows.write_parquet(unfinished, compression="zstd")
    unfinished.replace(outcome.kept)
