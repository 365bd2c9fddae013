"""The whole of the settings and how its parts must fit together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, PrivateAttr, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from trading_assets.core.candles import Market
from trading_assets.core.errors import SettingsError
from trading_assets.core.plugins import Plugins, owners
from trading_assets.core.plugins.seats import Owners
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.settings.names import instead
from trading_assets.settings.paths import settings_file
from trading_assets.settings.sections import space
from trading_assets.settings.sections.data import (
    FetchSettings,
    History,
    MarketSettings,
    ScheduleSettings,
    StoreSettings,
)
from trading_assets.settings.sections.drift import DriftSettings
from trading_assets.settings.sections.features import FeatureSettings
from trading_assets.settings.sections.labels import DEFAULT_LABELS, AnyLabels, LabelSettings
from trading_assets.settings.sections.live import NodeSettings, RecordSettings, ReplaySettings
from trading_assets.settings.sections.promotion import PromotionSettings
from trading_assets.settings.sections.quality import QualitySettings
from trading_assets.settings.sections.research import GateSettings
from trading_assets.settings.sections.search import SearchSettings
from trading_assets.settings.sections.section import Misfit, Section
from trading_assets.settings.sections.sentiment import SentimentSettings
from trading_assets.settings.sections.sources import CcxtSource, FilesSource, SampleSource, Source
from trading_assets.settings.sections.strategies import AnyStrategy, ModelSettings, StrategySettings
from trading_assets.settings.sections.trading import BacktestSettings, SimulationSettings, TradingSettings

FILE_KEY: Final = "settings_file"
"""What :func:`load_settings` says beside the settings themselves."""


class MlflowSettings(Section):
    """The tracking server and model registry."""

    tracking_uri: str | None = Field(None, description="Empty means SQLite in the data folder.")


class LogSettings(Section):
    """Logs go to the terminal and to rotated files under data/logs."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["human", "json"] = "human"


class ProjectSettings(BaseSettings):
    """What is read of a project: from flags, from the environment, and from a file."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags over environment over file; which file, :func:`load_settings` says."""
        given = init_settings.init_kwargs if isinstance(init_settings, InitSettingsSource) else {}
        file = given.pop(FILE_KEY, None) or settings_file()
        return (init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=file))


class Settings(ProjectSettings):
    """Everything a user may set. Read with :func:`load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="TRADING_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Path("data")
    plugins: list[str] = Field(
        [],
        description="Files of your own with features, labels, estimators or rules (docs/how-to), from the settings "
        "file's folder on; or modules that can be imported.",
    )
    history: History = History()
    sources: dict[str, Source]
    markets: dict[str, MarketSettings] = Field(min_length=1)
    labels: dict[str, AnyLabels] = Field({DEFAULT_LABELS: LabelSettings()}, min_length=1)
    models: dict[str, AnyStrategy] = {}
    sentiment: dict[str, SentimentSettings] = {}
    store: StoreSettings = StoreSettings()
    fetch: FetchSettings = FetchSettings()
    quality: QualitySettings = QualitySettings()
    features: FeatureSettings = FeatureSettings()
    gates: GateSettings = GateSettings()
    promotion: PromotionSettings = PromotionSettings()
    drift: DriftSettings = DriftSettings()
    trading: TradingSettings = TradingSettings()
    backtest: SimulationSettings = SimulationSettings()
    node: NodeSettings = NodeSettings()
    record: RecordSettings = RecordSettings()
    replay: ReplaySettings = ReplaySettings()
    schedules: ScheduleSettings = ScheduleSettings()
    mlflow: MlflowSettings = MlflowSettings()
    search: SearchSettings = SearchSettings()
    logs: LogSettings = LogSettings()

    _loaded: Plugins | None = PrivateAttr(None)
    _file: Path | None = PrivateAttr(None)

    @property
    def loaded_plugins(self) -> Plugins:
        """What :func:`load_settings` loaded of ``plugins``."""
        return self._loaded or ()

    @property
    def plugged(self) -> Owners | None:
        """The plug-ins as features, estimators and rules are asked with them; None where nothing was loaded."""
        return None if self._loaded is None else owners(self._loaded)

    @property
    def file(self) -> Path:
        """The settings file."""
        return self._file or settings_file()

    def of_project(self, plugins: Plugins, file: Path) -> Self:
        """The same with the plug-ins that its names mean, and the file that they were read from."""
        told = self.model_copy()
        told._loaded, told._file = plugins, file
        return told

    def markets_of(self, models: Iterable[str]) -> set[str]:
        """The markets of some models, and the leader where one of them reads it."""
        chosen = [self.models[name] for name in models]
        found = {market for model in chosen for market in model.markets}
        if self.features.leader and any("leader" in _companions(model) for model in chosen):
            found.add(self.features.leader)
        return found

    def labels_of(self, model: str) -> LabelSettings:
        """The label set that a model learns."""
        return self.labels[self.models[model].label]

    def timeframe_of(self, model: str) -> Timeframe:
        """The timeframe that a model decides on."""
        return self.labels_of(model).timeframe

    def gates_of(self, model: str) -> GateSettings:
        """What a candidate of a model must reach: the section, with the model's own gates over it."""
        return self.gates.of(self.models[model].gates)

    @property
    def event_times(self) -> dict[str, list[datetime]]:
        """Market -> when what the settings tell of it took effect."""
        return {market: [event.at for event in one.events] for market, one in self.markets.items()}

    @property
    def simulation(self) -> BacktestSettings:
        """All that a backtest is run with."""
        return BacktestSettings.of(self.backtest, self.trading)

    @model_validator(mode="before")
    @classmethod
    def _one_label_set_needs_no_name(cls, given: Any) -> Any:
        """A model that names no label set learns the only one there is."""
        if not isinstance(given, Mapping):
            return given
        labels, models = given.get("labels"), given.get("models")
        for key, value in labels.items() if isinstance(labels, Mapping) else ():
            if key in LabelSettings.model_fields and not isinstance(value, Mapping | LabelSettings):
                raise Misfit(f"labels: `{key}` is now `labels.<name>.{key}`: label sets have names", "labels", key)
        if not (isinstance(labels, Mapping) and len(labels) == 1 and isinstance(models, Mapping)):
            return given
        only = next(iter(labels))
        told = {name: {"label": only, **one} if isinstance(one, Mapping) else one for name, one in models.items()}
        return {**given, "models": told}

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for name in self.labels:
            _check_name("label set", name, "labels")
        for name, market in self.markets.items():
            self._check_market(name, market)
        leader = self.features.leader
        if leader is not None and leader not in self.markets:
            what = f"features.leader: no market {leader!r}; {instead(leader, self.markets)}"
            raise Misfit(what, "features", "leader")
        for name, model in self.models.items():
            _check_name("model", name, "models")
            for wanted in model.markets:
                if wanted not in self.markets:
                    what = f"model {name}: no market {wanted!r}; {instead(wanted, self.markets)}"
                    raise Misfit(what, "models", name, "markets")
            self._check_label(name, model)
            self._check_candles(name, model)
            self._check_sides(name, model)
            if isinstance(model, ModelSettings):
                self._check_companions(name, model)
        for name in self.search.space:
            self._check_search(name)
        return self

    def _check_search(self, name: str) -> None:
        """What is to be tried must be something that the model may have."""
        if name not in self.models:
            raise Misfit(f"search.space: no model {name!r}; {instead(name, self.models)}", "search", "space", name)
        try:
            space.check(self.models[name], self.search.of(name))
        except Misfit as misfit:
            raise Misfit(f"search of {name}: {misfit}", "search", "space", name, *misfit.key) from None
        for label in self.search.labels_of(name):
            key = ("search", "space", name, "label")
            if label not in self.labels:
                raise Misfit(f"search of {name}: no label set {label!r}; {instead(label, self.labels)}", *key)
            self._check_candles(name, self.models[name].model_copy(update={"label": label}))

    def _check_market(self, name: str, market: MarketSettings) -> None:
        try:
            Market.parse(name)
        except SettingsError as error:
            raise Misfit(f"{error.what}; {error.remedy}", "markets", name) from None
        for key, source in (("source", market.source), ("funding", market.funding)):
            if source not in self.sources and (key == "source" or source not in (None, "none")):
                raise Misfit(
                    f"market {name}: no source {source!r}; {instead(source or '', self.sources)}", "markets", name, key
                )
        self._check_second_exchange(name, market)

    def _check_second_exchange(self, name: str, market: MarketSettings) -> None:
        second, key = market.second_exchange, ("markets", name, "second_exchange")
        if second is None:
            return
        if second not in self.markets or second == name:
            others = sorted(set(self.markets) - {name})
            raise Misfit(f"market {name}: no second_exchange {second!r}; other markets: {others}", *key)
        if self.markets[second].timeframe != market.timeframe:
            raise Misfit(
                f"market {name} has {market.timeframe} candles, its second_exchange {second} "
                f"{self.markets[second].timeframe}: only equal ones can be compared",
                *key,
            )

    def _check_candles(self, name: str, model: StrategySettings) -> None:
        timeframes = sorted({self.markets[market].timeframe for market in model.markets})
        key = ("models", name, "markets")
        if len(timeframes) > 1:
            raise Misfit(
                f"model {name}: its markets have candles of {', '.join(timeframes)}; give it one timeframe", *key
            )
        wanted = self.labels[model.label].timeframe
        if not wanted.is_built_from(timeframes[0]):
            raise Misfit(
                f"model {name}: {wanted} bars cannot be built from the {timeframes[0]} candles of {model.markets[0]}; "
                f"give the label set {model.label!r} a multiple of {timeframes[0]}",
                *("labels", model.label, "timeframe"),
            )

    def _check_label(self, name: str, model: StrategySettings) -> None:
        if model.label in self.labels:
            return
        if "label" not in model.model_fields_set:
            what = f"model {name}: which label set does it learn? write `label:` and one of {', '.join(self.labels)}"
            raise Misfit(what, "models", name)
        what = f"model {name}: no label set {model.label!r}; {instead(model.label, self.labels)}"
        raise Misfit(what, "models", name, "label")

    def _check_sides(self, name: str, model: StrategySettings) -> None:
        spot = [market for market in model.markets if not Market.parse(market).is_derivative]
        if Side.SHORT in model.sides and spot:
            raise Misfit(
                f"model {name}: {spot[0]} is a spot market, which cannot be sold short; "
                "take `short` out of its sides, or trade a perpetual",
                *("models", name, "sides"),
            )

    def _check_companions(self, name: str, model: ModelSettings) -> None:
        """A companion that nothing in the settings can deliver would be missing in all rows."""
        key = ("models", name, "companions")
        leader = self.features.leader
        if "leader" in model.companions and (leader is None or model.markets == [leader]):
            why = "features.leader is not set" if leader is None else f"its only market {leader} does not lead itself"
            raise Misfit(f"model {name} has the companion leader: {why}", *key)
        if "leader" in model.companions and leader is not None:
            timeframe, candles = self.labels[model.label].timeframe, self.markets[leader].timeframe
            if not timeframe.is_built_from(candles):
                what = f"its {timeframe} bars cannot be built from the {candles} candles of {leader}"
                raise Misfit(f"model {name} has the companion leader: {what}", *key)
        if "sentiment" in model.companions and not self.sentiment:
            raise Misfit(f"model {name} has the companion sentiment: no provider under sentiment", *key)
        if "funding" in model.companions:
            for market in model.markets:
                if not self.has_funding(market):
                    raise Misfit(
                        f"model {name} has the companion funding: {market} has no source of funding rates", *key
                    )

    def has_funding(self, market: str) -> bool:
        """Whether a market's funding rates have a source; spot markets have none."""
        chosen = self.markets[market]
        if not Market.parse(market).is_perpetual or chosen.funding == "none":
            return False
        source = self.sources[chosen.funding or chosen.source]
        if isinstance(source, FilesSource):
            return chosen.funding is not None or market in source.funding
        return isinstance(source, CcxtSource | SampleSource)

    @property
    def history_start(self) -> datetime:
        """The first instant of the history."""
        return datetime(self.history.start.year, self.history.start.month, self.history.start.day, tzinfo=UTC)

    @property
    def store_url(self) -> str:
        """The store's address; the embedded default is a file in the data folder."""
        return self.store.url or f"duckdb:///{self.data_dir / 'market.duckdb'}"

    @property
    def live_dir(self) -> Path:
        """What the node reads and writes: deployment manifest, journal, kill switch."""
        return self.data_dir / "live"

    @property
    def bundles_dir(self) -> Path:
        """Model bundles, one folder per model and version."""
        return self.data_dir / "bundles"

    @property
    def reports_dir(self) -> Path:
        """Backtest reports."""
        return self.data_dir / "reports"


def _companions(model: StrategySettings) -> list[str]:
    return list(model.companions) if isinstance(model, ModelSettings) else []


def _check_name(what: str, name: str, section: str) -> None:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) is None:
        raise Misfit(f"{what} {name!r}: write a name of letters, digits, - _ and . (it names folders)", section, name)
