"""Plug-ins in the processes that a project starts, and in one process that holds several projects."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
import yaml

from tests.seats import registered_here
from tests.settings.test_plugins import estimator, feature
from trading_assets.core.errors import SettingsError
from trading_assets.definitions import build_definitions
from trading_assets.models.estimators import registry
from trading_assets.placebo import Plan, run_worlds, running
from trading_assets.placebo.worlds import RANDOM_WALK, World
from trading_assets.settings import PROJECT_ROOT, Settings, load_settings
from trading_assets.sources.sentiment.ingestion import open_sentiment

MARKET = "sample:SYNA/USDT:USDT"
PROVIDER = """
import polars as pl
from beside_it import MOOD

class Mood:
    live = True

    def fetch(self) -> pl.DataFrame:
        return pl.DataFrame({"mood": [MOOD]})
"""


@pytest.fixture(autouse=True)
def own_seats(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    with registered_here(registry._ESTIMATORS):
        yield


def project(folder: Path, values: dict[str, object] | None = None, **files: str) -> Settings:
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    base = yaml.safe_load((PROJECT_ROOT / "trading.yaml").read_text())
    base["models"] = {"m": {"markets": [MARKET], "features": ["body"], "estimator": {"kind": "mine"}}}
    base |= {"plugins": ["mine.py"], "data_dir": str(folder / "data")} | (values or {})
    (folder / "trading.yaml").write_text(yaml.safe_dump(base, sort_keys=False))
    return load_settings(folder / "trading.yaml")


def told_by_a_worker(_: int) -> list[str]:
    from trading_assets.features import feature_names

    spec = running._plan.spec
    names = feature_names(running._plan.settings.timeframe_of("m"), spec.features)
    return [spec.estimator.model_dump_json(), str(registry.estimator_of(spec.estimator).kind), *names]


def test_a_worker_of_the_placebo_has_the_plug_ins_of_its_run(tmp_path: Path) -> None:
    settings = project(tmp_path / "project", mine=feature() + estimator())
    plan = Plan((World(RANDOM_WALK, 1, 120),), settings, "m", None, tmp_path, workers=1)
    given = (settings.loaded_plugins, pickle.dumps(plan))
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=running._begin, initargs=given) as pool:
        assert pool.submit(told_by_a_worker, 0).result() == ['{"kind":"mine","seed":7,"depth":3}', "mine", "body"]
    (tmp_path / "project" / "mine.py").write_text(feature(value="frame.open") + estimator())
    with pytest.raises(SettingsError, match=r"the plug-in mine\.py has changed since this process read it"):
        run_worlds(plan, print)
    changed = load_settings(settings.file)
    assert Plan(plan.worlds, changed, "m", None, tmp_path, workers=1).file != plan.file, (
        "other code is another judgement"
    )


def test_two_projects_of_one_process_have_definitions_of_their_own(tmp_path: Path) -> None:
    one = project(tmp_path / "one", mine=feature() + estimator())
    two = project(tmp_path / "two", mine=feature(value="frame.open") + estimator(parameter="width"))
    before = version(one)
    assert version(two) != before
    assert version(one) == before


def version(settings: Settings) -> str:
    (spec,) = [one for one in build_definitions(settings).resolve_all_asset_specs() if one.key.path == ["features"]]
    return str(spec.code_version)


def test_a_feature_that_there_is_not_is_refused_when_definitions_are_made(tmp_path: Path) -> None:
    settings = project(tmp_path / "one", mine=feature("other") + estimator())
    with pytest.raises(SettingsError, match=r"trading\.yaml:\d+: models\.m\.features: there is no feature, .*'body'"):
        build_definitions(settings)


def test_a_sentiment_provider_lies_beside_the_settings_too(tmp_path: Path) -> None:
    for mood in (1, 2):
        values = {"sentiment": {"own": {"kind": "python", "provider": "moods:Mood"}}}
        files = {"moods": PROVIDER, "beside_it": f"MOOD = {mood}", "mine": feature() + estimator()}
        settings = project(tmp_path / str(mood), values, **files)
        assert open_sentiment(settings, "own").fetch()["mood"].to_list() == [mood]
    (tmp_path / "2" / "moods.py").write_text("1 / 0\n")
    with pytest.raises(SettingsError, match=r"sentiment\.own: cannot load moods:Mood: .*moods\.py:1: ZeroDiv"):
        open_sentiment(settings, "own")
