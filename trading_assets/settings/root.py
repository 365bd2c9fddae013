"""The whole of the settings and how its parts must fit together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

import yaml
from pydantic import Field, PrivateAttr, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from trading_assets.core.candles import Market
from trading_assets.core.plugins import Plugins, owners
from trading_assets.core.plugins.seats import Owners
from trading_assets.core.timeframes import Timeframe
from trading_assets.settings import fitting
from trading_assets.settings.days import midnight
from trading_assets.settings.names import instead
from trading_assets.settings.paths import settings_file
from trading_assets.settings.sections.alerts import AlertSettings
from trading_assets.settings.sections.data import (
    FetchSettings,
    History,
    MarketSettings,
    ScheduleSettings,
    StoreSettings,
)
from trading_assets.settings.sections.divergence import DivergenceSettings
from trading_assets.settings.sections.drift import DriftSettings
from trading_assets.settings.sections.exits import ExitSettings
from trading_assets.settings.sections.features import FeatureSettings
from trading_assets.settings.sections.labels import DEFAULT_LABELS, AnyLabels, LabelSettings
from trading_assets.settings.sections.live import NodeSettings, RecordSettings, ReplaySettings
from trading_assets.settings.sections.portfolio import PortfolioSettings
from trading_assets.settings.sections.promotion import PromotionSettings
from trading_assets.settings.sections.quality import QualitySettings
from trading_assets.settings.sections.research import GateSettings
from trading_assets.settings.sections.search import SearchSettings
from trading_assets.settings.sections.section import Misfit, Section
from trading_assets.settings.sections.sentiment import SentimentSettings
from trading_assets.settings.sections.sources import CcxtSource, FilesSource, SampleSource, Source
from trading_assets.settings.sections.strategies import AnyStrategy
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
        return (init_settings, env_settings, InitSettingsSource(settings_cls, _said(file)))


def _said(file: Path) -> dict[str, Any]:
    """What a file says; by the parser in C, as a process reads its settings many times."""
    if not file.is_file():
        return {}
    with file.open(encoding="utf-8") as opened:  # a file, not its text: errors name it
        return dict(yaml.load(opened, Loader=yaml.CSafeLoader) or {})


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
    exits: dict[str, ExitSettings] = Field({}, description="Exit plans that models and label sets name.")
    models: dict[str, AnyStrategy] = {}
    sentiment: dict[str, SentimentSettings] = {}
    store: StoreSettings = StoreSettings()
    fetch: FetchSettings = FetchSettings()
    quality: QualitySettings = QualitySettings()
    features: FeatureSettings = FeatureSettings()
    gates: GateSettings = GateSettings()
    promotion: PromotionSettings = PromotionSettings()
    portfolio: PortfolioSettings | None = Field(
        None, description="Approved models as sleeves of one account. Empty: each sizes its trades on all of equity."
    )
    drift: DriftSettings = DriftSettings()
    divergence: DivergenceSettings = DivergenceSettings()
    trading: TradingSettings = Field(default_factory=TradingSettings)  # merged with a default, a kind would have two
    backtest: SimulationSettings = SimulationSettings()
    node: NodeSettings = NodeSettings()
    record: RecordSettings = RecordSettings()
    replay: ReplaySettings = ReplaySettings()
    schedules: ScheduleSettings = ScheduleSettings()
    mlflow: MlflowSettings = MlflowSettings()
    search: SearchSettings = SearchSettings()
    logs: LogSettings = LogSettings()
    alerts: AlertSettings = AlertSettings()

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
        """The markets of some models, the leader where one of them reads it, and likewise their second exchanges."""
        chosen = [self.models[name] for name in models]
        found = {market for model in chosen for market in model.markets}
        if self.features.leader and any("leader" in fitting.companions(model) for model in chosen):
            found.add(self.features.leader)
        beside = [model.markets for model in chosen if "second_exchange" in fitting.companions(model)]
        seconds = {self.markets[market].second_exchange for markets in beside for market in markets}
        return found | {second for second in seconds if second is not None}

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
            fitting.check_name("label set", name, "labels")
        for name in self.exits:
            fitting.check_name("exit plan", name, "exits")
        for name, labels in self.labels.items():
            self.labels[name] = fitting.with_learnt_plan(self, name, labels)
        for name, market in self.markets.items():
            fitting.check_market(self, name, market)
        leader = self.features.leader
        if leader is not None and leader not in self.markets:
            what = f"features.leader: no market {leader!r}; {instead(leader, self.markets)}"
            raise Misfit(what, "features", "leader")
        for name, model in self.models.items():
            fitting.check_model(self, name, model)
            self.models[name] = fitting.with_exit_plan(self, name, model)
        for name in self.search.space:
            fitting.check_search(self, name)
        fitting.check_budgets(self)
        return self

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
        return midnight(self.history.start)

    @property
    def history_end(self) -> datetime | None:
        """The first instant after the history; None where it goes on today."""
        return None if self.history.end is None else midnight(self.history.end)

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
