"""A search as a job: from stored features to a page and settings, which judge it on what no trial saw."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import yaml

from tests.defs.small import SYNA, Location, Undisturbed, copy_of
from trading_assets.defs.lib.compute_logs import LogsAndReports
from trading_assets.defs.research.search import ANEW_TAG
from trading_assets.registry import Registry
from trading_assets.settings import Settings
from trading_assets.settings.sections.strategies import STRATEGIES
from trading_assets.store import open_store
from trading_assets.store.tables import PREDICTIONS, SEARCH_TRIALS

MODEL: dict[str, Any] = {
    "label": "default",
    "markets": [SYNA],
    "walk_forward": {"train_days": 6, "purge_days": 1, "embargo_days": 0.5, "test_days": 5},
    "estimator": {"kind": "logistic"},
    "features": ["momentum"],
    "holdout_days": 1,
}
SPACE = {"syna": {"min_edge_bps": {"low": -40, "high": 20}}}


def told(result: dg.ExecuteInProcessResult, asset: str = "parameter_search") -> dict[str, Any]:
    assert result.success
    (event,) = [one for one in result.get_asset_materialization_events() if one.asset_key == dg.AssetKey(asset)]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_a_search_leaves_a_page_and_settings_by_which_the_next_training_is_judged_on_unseen_windows(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    base = copy_of(undisturbed, location, tmp_path, search={"trials": 3, "space": SPACE, "workers": 1})

    def settings(model: dict[str, Any]) -> Settings:
        return base.model_copy(update={"models": {"syna": STRATEGIES.read(model)}})

    asked = settings(MODEL)
    first = told(location.run(asked, "search", partition="syna"))
    assert first["trials"] == 3
    rows = open_store(asked.store_url).read(SEARCH_TRIALS)
    assert rows.select("model", "trial").rows() == [("syna", 1), ("syna", 2), ("syna", 3)]
    assert rows["unseen_from"].dt.date().unique().to_list() == [date.fromisoformat(first["tested_from"])]
    assert Path(first["report_file"]).is_file()
    served = LogsAndReports(str(tmp_path / "logs"), reports_dir=str(asked.reports_dir))
    _, _, _, model, name, _ = first["report"].split("/")
    assert "Search: syna" in (served._page(model, name) or "")

    more = asked.model_copy(update={"search": asked.search.model_copy(update={"trials": 5})})
    assert told(location.run(more, "search", partition="syna"))["trials"] == 5, "it goes on"
    assert told(location.run(asked, "search", partition="syna", tags={ANEW_TAG: "anew"}))["trials"] == 3

    fragment = yaml.safe_load(Path(first["fragment_file"]).read_text())["models"]["syna"]
    found = settings(MODEL | fragment)
    trained = location.run(found, "train", partition="syna")
    predictions = open_store(asked.store_url).read(PREDICTIONS, where={"model": "syna"})
    assert predictions.select(pl.col("known_at").min().dt.date()).item() == date.fromisoformat(first["tested_from"])
    assert told(trained, "walk_forward")["configuration"] != ""
    tried = Registry(found).trials([SYNA])
    assert tried.searched == 5, "what was tried anew is no other configuration"
    assert tried.count == 5 + 1
