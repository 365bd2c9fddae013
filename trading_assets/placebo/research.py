"""What a world's models learn from, made of its candles by the same functions as a market's."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from trading_assets.core.errors import SettingsError
from trading_assets.placebo.rearranging import MARKET
from trading_assets.placebo.worlds import World, until
from trading_assets.store import open_store
from trading_assets.store.tables import BARS, CANDLES

if TYPE_CHECKING:
    from trading_assets.core.timeframes import Timeframe
    from trading_assets.models import Dataset
    from trading_assets.settings import ModelSettings, RuleStrategySettings, Settings, StrategySettings


@dataclass
class Research:
    """One world, whose bars, features and labels are made once for all variants of a model.

    Attributes
    ----------
    world
        Which one.
    settings
        Label sets and plug-ins.
    source
        Candles of a real market that null worlds are made from.
    """

    world: World
    settings: Settings
    source: pl.DataFrame | None = None
    _bars: dict[Timeframe, pl.DataFrame] = field(default_factory=dict)
    _features: dict[tuple[Timeframe, tuple[str, ...]], pl.DataFrame] = field(default_factory=dict)
    _labels: dict[str, pl.DataFrame] = field(default_factory=dict)

    @cached_property
    def candles(self) -> pl.DataFrame:
        """The world's."""
        return self.world.candles(self.source)

    @property
    def timeframe(self) -> str:
        """Of the candles."""
        return str(self.candles["timeframe"][0])

    def dataset(self, spec: StrategySettings) -> Dataset:
        """What a model learns from, or what its rule wants, with the bars as prices.

        Raises
        ------
        SettingsError
            If bars of the label set's timeframe cannot be built from the candles.
        """
        from trading_assets.settings import ModelSettings, RuleStrategySettings

        timeframe = self.settings.labels[spec.label].timeframe
        if isinstance(spec, RuleStrategySettings):
            return replace(self._of_rule(spec), prices=self.bars(timeframe))
        assert isinstance(spec, ModelSettings)
        return replace(self._of_model(spec), prices=self.bars(timeframe))

    def bars(self, timeframe: Timeframe) -> pl.DataFrame:
        """The bars of a timeframe, built of the candles by the SQL model."""
        if timeframe not in self._bars:
            with tempfile.TemporaryDirectory() as folder:
                self._bars[timeframe] = self._built(f"duckdb:///{Path(folder) / 'world.duckdb'}", timeframe)
        return self._bars[timeframe]

    def labels(self, spec: StrategySettings) -> pl.DataFrame:
        """The true outcomes of a model's label set, of its sides."""
        from trading_assets.labels import label

        if spec.label not in self._labels:
            chosen = self.settings.labels[spec.label]
            if not chosen.timeframe.is_built_from(self.timeframe):
                raise SettingsError(
                    f"{chosen.timeframe} bars cannot be built from candles of {self.timeframe}",
                    where=f"label set {spec.label}",
                    remedy="give finer candles, or a set of a coarser timeframe",
                )
            self._labels[spec.label] = label(
                self.bars(chosen.timeframe),
                self.candles,
                label_set=spec.label,
                settings=chosen,
                sides=spec.sides,
                candle_timeframe=self.timeframe,
                until=until(self.candles, self.timeframe),
                turn=self.world.turn(self.bars(chosen.timeframe).height),
            )
        return self._labels[spec.label]

    def _of_rule(self, spec: RuleStrategySettings) -> Dataset:
        from trading_assets.models.record import WANTED
        from trading_assets.strategies.rules import rows

        chosen = self.settings.labels[spec.label]
        made = rows.join([self.bars(chosen.timeframe)], self.labels(spec), spec, chosen)
        return replace(made, frame=self.world.wanted(made.frame, WANTED))

    def _of_model(self, spec: ModelSettings) -> Dataset:
        from trading_assets.features import compute, fingerprint
        from trading_assets.models import dataset, inputs

        chosen, plugins = self.settings.labels[spec.label], self.settings.plugged
        key = (chosen.timeframe, tuple(spec.features))
        if key not in self._features:
            self._features[key] = compute(
                self.bars(chosen.timeframe),
                timeframe=chosen.timeframe,
                features=spec.features or None,
                plugins=plugins,
            )
        true = self.labels(spec)
        names = inputs.usable_names(timeframe=chosen.timeframe, chosen=spec.features, plugins=plugins)
        made = dataset.join(
            self._features[key],
            pl.concat(
                self.world.labels(true.filter(side=int(side)), in_stops=chosen.barriers == "plan")
                for side in spec.sides
            ),
            names=names,
            fingerprint=fingerprint(names, plugins),
            drop_ambiguous=chosen.ambiguous == "drop",
        )
        return replace(made, plan_cost=chosen.plan_cost)

    def _built(self, address: str, timeframe: Timeframe) -> pl.DataFrame:
        from trading_assets.sql import build_bars, load_models

        store = open_store(address)
        store.upsert(CANDLES, self.candles)
        return build_bars(
            store,
            load_models()[BARS[timeframe.name].name],
            market=MARKET,
            timeframe=self.timeframe,
            start=self.candles["ts"][0],
            end=until(self.candles, self.timeframe),
        )
