"""The code location loaded with a small history, and what it leaves in the store."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import dagster as dg
import polars as pl

from trading_assets.definitions import build_definitions
from trading_assets.defs.lib.partitions import Partitions
from trading_assets.defs.lib.resources import resources
from trading_assets.settings import Settings, load_settings
from trading_assets.sources.funding.ingestion import ingest_funding, open_funding
from trading_assets.store import TABLES, Store, open_store

SMALL = Path(__file__).with_name("small.yaml")
SYNA, NOISE = "sample:SYNA/USDT:USDT", "sample:NOISE/USDT:USDT"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
MONTHS = ("2025-01", "2025-02", "2025-03")
LENIENT = {
    "min_sharpe": -1000,
    "min_win_rate": 0,
    "min_profit_factor": 0,
    "max_drawdown": 1,
    "min_trades": 0,
    "min_dsr": 0,
    "max_pbo": 1,
    "min_skill_low": -1,
}
DATA_TABLES = ("candles", "bars_15m", "features", "labels")


@dataclass(frozen=True)
class Location:
    """The code location of a settings file, the small one by default, and of settings that differ from it a bit."""

    settings_file: Path = SMALL
    built: dict[str, dg.Definitions] = field(default_factory=dict, compare=False)

    @property
    def launch(self) -> Any:
        """``trading_assets.launch``, which makes the definitions of the settings that it is given."""
        return importlib.import_module("trading_assets.launch")

    @property
    def defs(self) -> dg.Definitions:
        """The definitions of the file's own settings."""
        return self.of(load_settings(self.settings_file))

    @property
    def partitions(self) -> Partitions:
        """Those of the file's own settings."""
        return Partitions.of(load_settings(self.settings_file))

    def of(self, settings: Settings) -> dg.Definitions:
        """The definitions of settings; made once for all data folders, which a run's resources name."""
        key = settings.model_dump_json(exclude={"data_dir"})
        if key not in self.built:
            self.built[key] = build_definitions(settings)
        return self.built[key]

    def module(self, name: str) -> Any:
        """A module of the location, e.g. ``orchestration.schedules``."""
        return importlib.import_module(f"trading_assets.defs.{name}")

    def settings(self, data_dir: Path, **overrides: Any) -> Settings:
        """The settings of the file, writing to a folder."""
        return load_settings(self.settings_file, data_dir=data_dir, **overrides)

    def run(
        self,
        settings: Settings,
        job: str,
        *,
        instance: dg.DagsterInstance | None = None,
        tags: Mapping[str, str] | None = None,
        partition: str | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Run a job on an ephemeral instance."""
        return (
            self.of(settings)
            .resolve_job_def(job)
            .execute_in_process(
                run_config=QUIET,
                instance=instance or dg.DagsterInstance.ephemeral(),
                tags=dict(tags or {}),
                partition_key=partition,
                raise_on_error=False,
                resources={"settings": settings},
            )
        )

    def materialize(
        self,
        settings: Settings,
        *names: str,
        instance: dg.DagsterInstance,
        tags: Mapping[str, str] | None = None,
        partition: str | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Materialize some assets alone, or checks with them, as from the UI."""
        definitions = self.of(settings)
        return dg.materialize(
            [part(definitions, name) for name in names],
            instance=instance,
            tags=dict(tags or {}),
            partition_key=partition,
            run_config=QUIET,
            raise_on_error=False,
            resources=resources(settings),
        )

    def months(self, market: str, first: str, last: str) -> dict[str, str]:
        """Tags of a run over a market's months."""
        partitions = self.module("lib.partitions")
        tags: dict[str, str] = partitions.range_tags(
            partitions.partition_key(market, first), partitions.partition_key(market, last)
        )
        return tags


def part(definitions: dg.Definitions, name: str) -> Any:
    """An asset by its key, or a group of checks by its name."""
    checks = {one.node_def.name: one for one in definitions.asset_checks or ()}
    assets = {key.to_user_string(): one for one in definitions.assets or () for key in one.keys}  # type: ignore[union-attr]
    return (assets | checks)[name]


def fill(
    location: Location, settings: Settings, market: str, first: str, last: str, *, now: datetime | None = None
) -> None:
    """What a run over a market's months leaves in the tables at ``now``, without Dagster and the checks."""
    store, windows = open_store(settings.store_url), location.module("lib.partitions").windows
    fetching = location.module("market_data.fetching")
    kind, now = fetching.Fetch.REST, now or datetime.now(UTC)
    months = [f"{market}|{month}" for month in MONTHS if first <= month <= last]
    with store.kept_open():
        for window in windows(months, settings):
            fetching.fetch_window(store, window, settings, kind=kind, now=now, log=lambda _line: None)
            if funding := open_funding(settings, market):
                ingest_funding(store, funding, market=market, start=window.start, end=window.end, now=now)
            write_tables(location, store, window, settings)


def write_tables(location: Location, store: Store, window: Any, settings: Settings) -> None:
    """What the assets make of a window's stored candles."""
    bars = location.module("sql_models.bars")
    for model in bars.project_models(settings).values():
        if model.timeframe is not None:
            bars.write_bars(store, model, model.timeframe, window, settings)
        elif "market" in model.parameters:
            location.module("sql_models.assets").write_model(store, model, window, settings)
    location.module("research.features").write_features(store, window, settings)
    location.module("research.labels").write_labels(store, window, settings)


@dataclass(frozen=True)
class Recorded:
    """What a run told, as far as tests ask for it, and as it can be kept in a file."""

    success: bool
    events: list[dg.DagsterEvent]

    @classmethod
    def of(cls, result: dg.ExecuteInProcessResult) -> Recorded:
        """The run's materializations and checks."""
        kinds = (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        return cls(result.success, [event for event in result.all_events if event.event_type in kinds])

    @classmethod
    def read(cls, kept: str) -> Recorded:
        """What :meth:`written` gave."""
        success, *events = json.loads(kept)
        return cls(success, [dg.deserialize_value(event, dg.DagsterEvent) for event in events])

    def written(self) -> str:
        """As text."""
        return json.dumps([self.success, *map(dg.serialize_value, self.events)])

    def get_asset_materialization_events(self) -> list[dg.DagsterEvent]:
        """As of a result in process."""
        return [one for one in self.events if one.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION]

    def get_asset_check_evaluations(self) -> list[dg.AssetCheckEvaluation]:
        """As of a result in process."""
        checks = [one for one in self.events if one.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION]
        return [cast("dg.AssetCheckEvaluation", one.event_specific_data) for one in checks]


@dataclass(frozen=True)
class Undisturbed:
    """A store after one run per market over the whole history."""

    settings: Settings
    results: dict[str, Recorded]

    @property
    def store(self) -> Store:
        return open_store(self.settings.store_url)


def tables(store: Store, market: str) -> dict[str, pl.DataFrame]:
    """What is stored of a market, table by table."""
    with store.kept_open():
        return {name: store.read(TABLES[name], where={"market": market}) for name in DATA_TABLES}


def assert_same_tables(left: Store, right: Store, market: str) -> None:
    """Every table up to the labels has the same rows in both stores."""
    for name, frame in tables(left, market).items():
        other = tables(right, market)[name]
        differing = [c for c in frame.columns if frame.height == other.height and not frame[c].equals(other[c])]
        assert frame.equals(other), f"{name}: {frame.shape} and {other.shape}, differing {differing}"


def copy_of(undisturbed: Undisturbed, location: Location, folder: Path, **overrides: object) -> Settings:
    """Settings over a copy of the undisturbed store."""
    settings = location.settings(folder, **overrides)
    settings.data_dir.mkdir(exist_ok=True)
    shutil.copy(undisturbed.settings.data_dir / "market.duckdb", settings.data_dir / "market.duckdb")
    return settings
