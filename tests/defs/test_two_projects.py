"""The code locations of two projects in one process: each has its own markets, models, months and store."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import yaml

from tests.defs.small import QUIET
from trading_assets.definitions import build_definitions
from trading_assets.settings import Settings, load_settings
from trading_assets.store import open_store
from trading_assets.store.tables import BARS, TABLES

PROJECTS = {
    "swing": {
        "history": {"start": "2025-01-30", "end": "2025-02-03"},
        "sources": {"sample": {"kind": "sample", "seed": 7, "days": 4}},
        "markets": {"sample:SYNA/USDT:USDT": {"source": "sample"}},
        "labels": {"hours": {"timeframe": "1h"}},
        "models": {"swing": {"markets": ["sample:SYNA/USDT:USDT"], "label": "hours", "sides": ["long", "short"]}},
        "schedules": {"candles": "7 * * * *"},
    },
    "scalp": {
        "history": {"start": "2025-03-01", "end": "2025-03-03"},
        "sources": {"sample": {"kind": "sample", "seed": 8, "days": 2}},
        "markets": {"sample:NOISE/USDT:USDT": {"source": "sample"}},
        "models": {"scalp": {"markets": ["sample:NOISE/USDT:USDT"]}},
        "quality": {"gap_share": {"severity": "warn"}},
    },
}
MADE = {"swing": ("candles", "funding_rates", "bars_1h"), "scalp": ("candles", "funding_rates", "bars_15m")}
BESIDE = ("candles_quarantine", "candle_revisions", "candle_gaps")
"""What the fetch of candles writes too."""


def project(folder: Path, name: str) -> Settings:
    """The settings of a project, from a file of its own, with a data folder of its own."""
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(PROJECTS[name] | {"data_dir": str(folder / name)}))
    return load_settings(file)


def keys(definitions: dg.Definitions) -> set[str]:
    return {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}


def partitions(definitions: dg.Definitions, asset: str) -> set[str]:
    return set(definitions.resolve_assets_def(asset).partitions_def.get_partition_keys())  # type: ignore[union-attr]


def make(definitions: dg.Definitions, assets: tuple[str, ...], market: str, month: str) -> dg.ExecuteInProcessResult:
    return definitions.resolve_job_def("market_data").execute_in_process(
        run_config=QUIET,
        instance=dg.DagsterInstance.ephemeral(),
        asset_selection=[dg.AssetKey(name) for name in (*assets, *BESIDE)],
        partition_key=dg.MultiPartitionKey({"market": market, "month": month}),
    )


def test_two_projects_in_one_process_have_each_its_own_graph_and_its_own_data(tmp_path: Path) -> None:
    settings = {name: project(tmp_path, name) for name in PROJECTS}
    built = {name: build_definitions(one) for name, one in settings.items()}
    for definitions in built.values():
        dg.Definitions.validate_loadable(definitions)
    swing, scalp = built["swing"], built["scalp"]

    assert keys(swing) - keys(scalp) == {"bars_1h"}
    assert keys(scalp) - keys(swing) == {"bars_15m"}
    assert partitions(swing, "features") == {f"sample:SYNA/USDT:USDT|2025-0{month}" for month in (1, 2)}
    assert partitions(scalp, "features") == {"sample:NOISE/USDT:USDT|2025-03"}
    assert [partitions(one, "walk_forward") for one in built.values()] == [{"swing"}, {"scalp"}]
    crons = [one.resolve_schedule_def("hourly_market_data").cron_schedule for one in built.values()]  # type: ignore[union-attr]
    assert crons == [one.schedules.candles for one in settings.values()]
    assert crons[0] != crons[1]

    runs = {"swing": ("sample:SYNA/USDT:USDT", "2025-02"), "scalp": ("sample:NOISE/USDT:USDT", "2025-03")}
    for name in ("swing", "scalp", "swing"):  # the first one again, after the second was there
        assert make(built[name], MADE[name], *runs[name]).success
    stores = {name: open_store(one.store_url) for name, one in settings.items()}
    assert len({one.store_url for one in settings.values()}) == 2
    for name, store in stores.items():
        market, month = runs[name]
        for table in (TABLES[asset] for asset in MADE[name]):
            rows = store.read(table)
            assert set(rows["market"]) == {market}, table.name
            assert set(rows["ts"].dt.strftime("%Y-%m")) == {month}, table.name
    assert stores["swing"].read(BARS["15m"]).is_empty()
    assert stores["scalp"].read(BARS["1h"]).is_empty()


def test_importing_the_definitions_reads_no_settings() -> None:
    modules = sorted((Path(build_definitions.__code__.co_filename).parent / "defs").rglob("*.py"))
    reading = [str(module) for module in modules if "load_settings" in module.read_text("utf-8")]
    assert reading == [], "settings are given to what is made for them"
