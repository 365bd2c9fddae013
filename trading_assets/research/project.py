"""A project, and what its assets do, done in memory: nothing of it is stored, and every try counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from pydantic import ValidationError

from trading_assets import features, labels
from trading_assets.core.content_hash import frame_hash
from trading_assets.core.errors import ModelError, SettingsError
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework.stored_series import read_companions
from trading_assets.models import Dataset, WalkForwardResult, scores, walk_forward
from trading_assets.registry import Registry, configuration
from trading_assets.research.asked import laid_over
from trading_assets.research.in_memory import FramesOver
from trading_assets.research.tables import Tables
from trading_assets.settings import StrategySettings, fitting, load_settings
from trading_assets.settings.demand import features_of, sides_of
from trading_assets.settings.names import check_known
from trading_assets.settings.sections.section import Misfit
from trading_assets.store import configured_store
from trading_assets.store.migration import up_to_date
from trading_assets.store.tables import BARS, CANDLES, FEATURES, LABELS, PREDICTIONS

if TYPE_CHECKING:
    from trading_assets.backtest.simulation.result import BacktestResult
    from trading_assets.screening import Screened


def load(settings: Path | str | None = None, /, **changes: Any) -> Project:
    """Open a project.

    Parameters
    ----------
    settings
        Its settings file; by default the one in force, as of the command ``trading``: that of the variable
        ``TRADING_SETTINGS``, else the ``trading.yaml`` of the project's folder.
    **changes
        Settings over those of the file, e.g. ``data_dir="data"`` or ``trading={"costs": {"slippage_bps": 2}}``.

    Raises
    ------
    SettingsError
        As of :func:`trading_assets.settings.load_settings`.
    StoreError
        If the store cannot be opened.
    """
    read = load_settings(None if settings is None else Path(settings), **changes)
    return Project(read, up_to_date(configured_store(read)), changes)


@dataclass(frozen=True)
class Project(Tables):
    """Settings and store of a project; made by :func:`load`.

    What is named after a table reads it: :meth:`candles`, :meth:`bars`, :meth:`features`, :meth:`labels`,
    :meth:`predictions`, :meth:`folds`, :meth:`trades`, :meth:`equity`, :meth:`metrics`. All others compute in memory
    and write no table; :meth:`walk_forward` and :meth:`backtest` leave a trial in the registry, and :meth:`screen` as
    many as it tries sets.

    Attributes
    ----------
    changes
        What was given over the settings file.
    """

    changes: Mapping[str, Any] = field(default_factory=dict)
    _tried: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def changed(self, **changes: Any) -> Project:
        """The same project by other settings, laid over those of before; its file is read anew.

        >>> dear = project.changed(trading={"costs": {"slippage_bps": 3}})  # doctest: +SKIP
        """
        over = laid_over(self.changes, changes)
        settings = load_settings(self.settings.file, **over)
        same = settings.store_url == self.settings.store_url
        store = self.store if same else up_to_date(configured_store(settings))
        return replace(self, settings=settings, store=store, changes=over)

    def model(self, model: str, **changes: Any) -> StrategySettings:
        """A model of the settings, with some of its own settings otherwise.

        >>> project.model("syna", estimator={"kind": "logistic"}, threshold=0.6)  # doctest: +SKIP

        Raises
        ------
        SettingsError
            If there is no such model, or a change is no setting of it.
        """
        check_known(model, self.settings.models, "model")
        spec = self.settings.models[model]
        if not changes:
            return spec
        try:
            spec = type(spec).model_validate(laid_over(spec.model_dump(exclude={"exit_plan"}), changes))
            fitting.check_model(self.settings, model, spec)
            return fitting.with_exit_plan(self.settings, model, spec)
        except Misfit as misfit:
            raise SettingsError(str(misfit), where=f"models.{model}") from None
        except ValidationError as error:
            told = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}, got {one['input']!r}" for one in error.errors()]
            remedy = "see docs/reference/settings.md"
            raise SettingsError("; ".join(told), where=f"models.{model}", remedy=remedy) from None

    def compute_features(self, bars: pl.DataFrame, *, chosen: Sequence[str] | None = None) -> pl.DataFrame:
        """Features of bars of one market, as the asset computes them, with what is stored beside bars.

        Parameters
        ----------
        bars
            Rows of a table ``bars_...``, ascending.
        chosen
            Names, families and patterns; by default what the market's models read.

        Returns
        -------
        polars.DataFrame
            Rows of the table ``features``, from the first bar that has its whole look-back on.
        """
        market, timeframe = bars["market"][0], Timeframe.parse(_timeframe(bars))
        wanted = features_of(self.settings, market, timeframe) if chosen is None else list(chosen)
        known = read_companions(
            self.store,
            market,
            timeframe=timeframe,
            start=bars["ts"][0],
            end=bars["known_at"][-1],
            leader=self.settings.features.leader,
            names=features.select(wanted, timeframe, self.settings.plugged).companions,
        )
        rows = features.compute(
            bars, known, timeframe=timeframe, features=wanted, plugins=self.settings.plugged
        ).with_columns(timeframe=pl.lit(timeframe.name))
        return rows.select(*FEATURES.columns, pl.exclude(*FEATURES.columns))

    def compute_labels(
        self, bars: pl.DataFrame, candles: pl.DataFrame, *, label_set: str = "default", **changes: Any
    ) -> pl.DataFrame:
        """Outcomes of bars of one market in a label set, on its candles, as the asset computes them.

        Parameters
        ----------
        bars
            Of the set's timeframe, ascending.
        candles
            The finest of the market, from the first bar on: outcomes are known as far as they reach.
        label_set
            Of the settings.
        **changes
            Settings of the set that are to be otherwise, e.g. ``horizon_bars=48``.

        Returns
        -------
        polars.DataFrame
            Rows of the table ``labels``.
        """
        check_known(label_set, self.settings.labels, "label set")
        asked = self.changed(labels={label_set: changes}) if changes else self
        finest = candles["timeframe"][0]
        return labels.label(
            bars,
            candles,
            label_set=label_set,
            settings=asked.settings.labels[label_set],
            sides=sides_of(self.settings, bars["market"][0], label_set),
            candle_timeframe=finest,
            until=candles["ts"][-1] + Timeframe.parse(finest).length,
        )

    def dataset(
        self, model: str, *, features: pl.DataFrame | None = None, labels: pl.DataFrame | None = None, **changes: Any
    ) -> Dataset:
        """What a model learns from.

        Parameters
        ----------
        model
            Of the settings.
        features, labels
            Frames in the place of these tables, for all of the model's markets.
        **changes
            As of :meth:`model`.

        Raises
        ------
        ModelError
            If a market has no labelled rows, features are not finite, and the like.
        """
        from trading_assets.strategies.stored_data import stored_dataset

        over = FramesOver.of(self.store, (FEATURES, features), (LABELS, labels))
        return stored_dataset(over, self.model(model, **changes), self.settings, name=model)

    def walk_forward(
        self, model: str, data: Dataset | None = None, *, count_trial: bool = True, **changes: Any
    ) -> WalkForwardResult:
        """Train and test a model along the history, as the asset does; nothing is stored but that it was tried.

        Parameters
        ----------
        model
            Of the settings.
        data
            Of :meth:`dataset`; by default what is stored.
        count_trial
            Whether the registry counts it among the trials that deflate every later Sharpe ratio. False only where
            nothing is chosen by what comes out: in a lesson, or a test.
        **changes
            As of :meth:`model`.
        """
        spec = self.model(model, **changes)
        data = self.dataset(model, **changes) if data is None else data
        result = walk_forward(data, spec)
        if count_trial:
            self._count_walk_forward(model, spec, data, result)
        return result

    def backtest(
        self,
        model: str,
        predictions: pl.DataFrame | None = None,
        *,
        candles: pl.DataFrame | None = None,
        count_trial: bool = True,
        **changes: Any,
    ) -> BacktestResult:
        """Trade predictions as the asset does, and measure the result among all trials; nothing is stored.

        Parameters
        ----------
        model
            Of the settings.
        predictions
            Of :meth:`walk_forward`; by default the stored ones.
        candles
            In the place of the stored ones.
        count_trial
            As of :meth:`walk_forward`. Without it, the metrics that compare with all trials are left out.
        **changes
            As of :meth:`model`, e.g. ``threshold=0.6``. Other costs: :meth:`changed`.

        Raises
        ------
        ModelError
            If there are no predictions.
        """
        from trading_assets.backtest.stored import judge, trade

        spec, registry = self.model(model, **changes), Registry(self.settings)
        said = self.predictions(model) if predictions is None else predictions
        if said.is_empty():
            raise ModelError("no predictions are stored", where=f"model {model}", remedy=f"run trading train {model}")
        if "model" not in said.columns:
            said = said.with_columns(model=pl.lit(model)).select(*PREDICTIONS.columns)
        versions = registry.list(model)
        version = versions[-1].version if versions else 0
        over = FramesOver.of(self.store, (CANDLES, candles))
        result = trade(said, self.settings, over, model=model, version=version, spec=spec)
        if not count_trial:
            return result
        tried = self._tried.get(_identity(said), "")
        registry.count_backtest(model, spec.markets, result.metrics["sharpe"], configuration=tried)
        judged = judge(result, said, self.settings, over, model=model, version=version, spec=spec)
        return replace(result, metrics=result.metrics | judged)

    def screen(
        self, model: str, *, sets: int = 1000, grid: bool = False, count_trial: bool = True, **changes: Any
    ) -> Screened:
        """Trade parameter sets of a model's rule by arithmetic, as ``trading screen`` does; nothing is stored.

        On the stored history without its newest part (`search.unseen_share`), which is left for a judgement.

        Parameters
        ----------
        model
            Of the settings; what is tried of its rule stands in the section ``search``.
        sets
            How many at most, the rule as it is among them.
        grid
            A grid of the space instead of random sets.
        count_trial
            As of :meth:`walk_forward`, for every set.
        **changes
            As of :meth:`model`.

        Raises
        ------
        TradingError
            If the model has no rule, nothing is stored, or the history is too short.

        Examples
        --------
        >>> project.screen("trend", sets=200).best(5)  # doctest: +SKIP
        """
        from trading_assets.screening.stored import screen_in_memory

        spec = self.model(model, **changes)
        return screen_in_memory(self.settings, self.store, model, spec, sets=sets, grid=grid, count=count_trial)

    def _count_walk_forward(self, model: str, spec: StrategySettings, data: Dataset, result: WalkForwardResult) -> None:
        tried = configuration(
            spec, self.settings.labels[spec.label], features=data.features, fingerprint=data.fingerprint
        )
        Registry(self.settings).count_walk_forward(model, spec.markets, tried, scores.summary(result.predictions))
        self._tried[_identity(result.predictions)] = tried


def _identity(predictions: pl.DataFrame) -> str:
    return frame_hash(predictions.select(name for name in PREDICTIONS.columns if name != "model"))


def _timeframe(bars: pl.DataFrame) -> str:
    minutes = (bars["known_at"][0] - bars["ts"][0]).total_seconds() // 60
    return next(name for name in BARS if Timeframe.parse(name).minutes == minutes)
