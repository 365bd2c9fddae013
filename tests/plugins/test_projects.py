"""A project whose features, estimator and rule are files of its own: the examples of the how-to pages, end to end."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import yaml

from tests.seats import registered_here
from trading_assets.core.errors import BundleError, ModelError
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import compute, fingerprint, lookback_bars
from trading_assets.features.framework.registry import REGISTRY
from trading_assets.features.proofs.extremes import made_up_extremes
from trading_assets.features.proofs.proving import made_up_companions, prove
from trading_assets.labels import label, label_of
from trading_assets.labels.kinds import registry as labels
from trading_assets.labels.kinds.proofs import prove as promises
from trading_assets.models import Bundle, bundle, dataset, parity, training
from trading_assets.models.bundle.plugins import made_with
from trading_assets.models.estimators import estimator_of, proofs, registry
from trading_assets.models.trial import Trial
from trading_assets.settings import PROJECT_ROOT, SETTINGS_FILE_VARIABLE, RuleStrategySettings, Settings, load_settings
from trading_assets.sources import split_valid
from trading_assets.sources.candles.sample import SampleCandles
from trading_assets.sql import build_bars, load_models
from trading_assets.store import Store, open_store
from trading_assets.store.tables import BARS, CANDLES, FEATURES, LABELS
from trading_assets.strategies.rules import proofs as rule_proofs
from trading_assets.strategies.rules import registry as rules
from trading_assets.strategies.rules import rule_of

M15 = Timeframe.parse("15m")
MARKET = "sample:SYNA/USDT:USDT"
START, END, DAYS = datetime(2025, 1, 10, tzinfo=UTC), datetime(2025, 2, 9, tzinfo=UTC), 30
HOW_TO = PROJECT_ROOT / "docs" / "how-to"
PAGES = ("add-a-feature.md", "add-an-estimator.md")


def project(folder: Path, *pages: str) -> Path:
    """What the pages say, done: their files beside a settings file that has their pieces of settings."""
    values = {
        "history": {"start": START.date(), "end": END.date()},
        "sources": {"sample": {"kind": "sample", "seed": 7, "days": DAYS}},
        "markets": {MARKET: {"source": "sample"}},
        "models": {},
        "plugins": [],
    }
    folder.mkdir(exist_ok=True)
    for page in pages:
        for language, text in re.findall(r"```(python|yaml)\n(.*?)```", (HOW_TO / page).read_text(), re.DOTALL):
            if language == "python" and (named := re.match(r"# (\w+\.py)\n", text)):
                (folder / named[1]).write_text(text)
            if language == "yaml" and "plugins" in (said := yaml.safe_load(text)):
                values["plugins"] += said["plugins"]
                values["models"] |= said["models"]
                values |= {"labels": said["labels"]} if "labels" in said else {}
    for model in values["models"].values():
        model["walk_forward"] = {"train_days": 15, "test_days": 3}  # of 30 days
    (folder / "trading.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    return folder / "trading.yaml"


@pytest.fixture(autouse=True)
def own_seats(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    with registered_here(registry._ESTIMATORS, labels._LABELS, rules._RULES):
        yield


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a few weeks of the sample market: candles, and bars built of them."""
    file = tmp_path_factory.mktemp("sample") / "market.duckdb"
    store = open_store(f"duckdb:///{file}")
    sample = pl.concat(SampleCandles(START, DAYS, 7).fetch(MARKET, "1m", START, END))
    store.upsert(CANDLES, split_valid(sample, market=MARKET, timeframe="1m", start=START, end=END, now=END)[0])
    bars = build_bars(store, load_models()["bars_15m"], market=MARKET, timeframe="1m", start=START, end=END)
    store.upsert(BARS["15m"], bars)
    store.close()
    return file


def made(settings: Settings, model: str, store: Store) -> Bundle:
    """Features and labels of the stored bars, the newest model of them, and its bundle."""
    spec, learnt = settings.models[model], settings.labels_of(model)
    bars = store.read(BARS["15m"], where={"market": MARKET})
    chosen = spec.features or None
    rows = compute(bars, timeframe=M15, features=chosen, plugins=settings.plugged)
    store.upsert(FEATURES, rows.with_columns(timeframe=pl.lit("15m")))
    candles = store.read(CANDLES, where={"market": MARKET})
    outcomes = label(
        bars, candles, label_set=spec.label, settings=learnt, sides=spec.sides, candle_timeframe="1m", until=END
    )
    store.upsert(LABELS, outcomes)
    data = dataset.build(store, spec.markets, timeframe=M15, chosen=spec.features, plugins=settings.plugged)
    trained = training.train(data, spec)
    return bundle.write(
        settings.bundles_dir, model=model, trained=trained, dataset=data, spec=spec, labels=learnt, metrics={}
    )


@pytest.fixture
def own(tmp_path: Path, market: Path) -> tuple[Settings, Store]:
    """The project of both pages, and its store."""
    file = project(tmp_path / "project", *PAGES)
    settings = load_settings(file, data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    shutil.copyfile(market, settings.data_dir / "market.duckdb")
    return settings, open_store(settings.store_url)


def test_the_how_to_of_a_feature_gives_a_certified_model_of_it(own: tuple[Settings, Store]) -> None:
    settings, store = own
    names = ["disparity_14", "disparity_1d", "gap_up_3"]
    features = REGISTRY.seen_by(settings.plugged).select(["my_features"], M15)
    assert list(features.names) == names
    bars = made_up_extremes(2 * features.lookback_bars + 300, M15)
    verdicts = prove(features, bars, made_up_companions(bars, M15), replayed=300)
    assert all(one.proven for one in verdicts), verdicts
    written = made(settings, "mine", store)
    assert set(names) < set(written.features)
    certificate = parity.certify_stored(written, store, bars=50)
    assert certificate.divergence is None
    assert certificate.columns >= len(names)


def test_the_how_to_of_an_estimator_gives_a_certified_model_of_it(own: tuple[Settings, Store]) -> None:
    settings, store = own
    spec = settings.models["bayes"]
    assert proofs.prove(estimator_of(spec.estimator)) == {}
    written = made(settings, "bayes", store)
    assert written.provenance.estimator.startswith("my_estimator.py ")
    assert parity.certify_stored(written, store, bars=20).divergence is None
    Trial(written).wait()  # in a process of its own
    (settings.file.parent / "my_estimator.py").write_text("# other code\n")
    with pytest.raises(ModelError, match=r"plug-in my_estimator\.py has changed since this process read it"):
        Trial(written)


def test_a_stack_takes_a_plug_ins_estimator_as_a_member(own: tuple[Settings, Store]) -> None:
    before, store = own
    values = yaml.safe_load(before.file.read_text())
    members = [{"kind": "naive_bayes"}, {"kind": "logistic"}]
    values["models"]["bayes"]["estimator"] = {"kind": "stack", "members": members, "folds": 2}
    before.file.write_text(yaml.safe_dump(values, sort_keys=False))
    settings = load_settings(before.file, data_dir=before.data_dir)
    written = made(settings, "bayes", store)
    assert "my_estimator.py " in written.provenance.estimator
    assert "scikit-learn " in written.provenance.estimator
    assert json.loads((written.folder / "settings.json").read_text())["plugins"].keys() == {"my_estimator.py"}
    again = bundle.load(written.folder, expected_hash=written.bundle_hash, plugins=settings.plugged)
    Trial(again).wait()  # in a process that loads the plug-in
    (settings.file.parent / "my_estimator.py").write_text("# other code\n")
    with pytest.raises(ModelError, match=r"plug-in my_estimator\.py has changed since this process read it"):
        Trial(written)


@pytest.mark.parametrize(("model", "file"), [("mine", "my_features.py"), ("bayes", "my_estimator.py")])
def test_a_bundle_is_refused_without_its_plug_in_and_with_other_code_of_it(
    own: tuple[Settings, Store], model: str, file: str
) -> None:
    settings, store = own
    written = made(settings, model, store)
    read = {"expected_hash": written.bundle_hash, "plugins": settings.plugged}
    assert bundle.load(written.folder, **read).spec == settings.models[model]
    without = settings.of_project(tuple(one for one in settings.loaded_plugins if one.name != file), settings.file)
    with pytest.raises(BundleError, match=f"made with the plug-in {file}, which the settings do not name; add {file}"):
        bundle.load(written.folder, plugins=without.plugged)
    path = settings.file.parent / file
    path.write_text(path.read_text().replace("4.0, gt=0", "3.0, gt=0").replace("bars) - 1", "bars) - 1.0"))
    changed = load_settings(settings.file)
    with pytest.raises(BundleError, match=rf"{file}: it was made with other code of the plug-in {file} than"):
        bundle.load(written.folder, plugins=changed.plugged)
    assert bundle.load(written.folder, **read) == replace(written, plugins=settings.plugged)


def test_the_how_to_of_a_label_gives_a_set_that_keeps_its_promises(tmp_path: Path) -> None:
    settings = load_settings(project(tmp_path / "project", "add-a-label.md"))
    chosen = settings.labels_of("runner")
    assert chosen.model_dump()["weight_against"] == 1.5
    assert promises(label_of(chosen)) == {}
    (plugin,) = settings.loaded_plugins
    assert label_of(chosen).version() == plugin.digest[:16]
    assert made_with(["rsi_14"], (settings.models["runner"], chosen), settings.plugged) == {
        "my_label.py": plugin.digest
    }
    assert made_with(["rsi_14"], (settings.models["runner"],), settings.plugged) == {}


def test_the_how_to_of_a_rule_gives_a_rule_that_keeps_its_promises(tmp_path: Path) -> None:
    settings = load_settings(project(tmp_path / "project", "add-a-rule.md"))
    spec = settings.models["cross"]
    assert isinstance(spec, RuleStrategySettings)
    assert spec.rule.model_dump() == {"kind": "breakout", "bars": 96}
    assert rule_proofs.prove(rule_of(spec.rule)) == {}
    (plugin,) = settings.loaded_plugins
    assert rule_of(spec.rule).version() == plugin.digest[:16]
    assert made_with([], (spec, settings.labels_of("cross")), settings.plugged) == {"my_rule.py": plugin.digest}


def test_a_plug_in_outdates_only_what_reads_it(own: tuple[Settings, Store]) -> None:
    settings, _ = own
    reads, other = ["rsi_14", "gap_up_3"], ["rsi_14"]
    before = [fingerprint(names, settings.plugged) for names in (reads, other)]
    path = settings.file.parent / "my_features.py"
    path.write_text(path.read_text().replace("bars) - 1", "bars) - 1.0"))
    after = [fingerprint(names, load_settings(settings.file).plugged) for names in (reads, other)]
    assert before[0] != after[0]
    assert before[1] == after[1] == fingerprint(other, ())
    assert lookback_bars(M15, reads, settings.plugged) >= 4


def test_every_process_of_a_project_loads_its_plug_ins(tmp_path: Path) -> None:
    """Dagster's code location and its runs load this module; the command is run as a user does."""
    file = project(tmp_path / "project", *PAGES)
    settings = yaml.safe_load(file.read_text()) | {"data_dir": str(tmp_path / "data")}
    file.write_text(yaml.safe_dump(settings, sort_keys=False))
    environment = os.environ | {SETTINGS_FILE_VARIABLE: str(file), "COLUMNS": "200"}
    code = """
from trading_assets.definitions import build_definitions
from trading_assets.settings import load_settings
definitions = build_definitions(load_settings())
(asset,) = [one for one in definitions.resolve_all_asset_specs() if one.key.path == ["features"]]
assert "gap_up_3" in str(asset.metadata), asset.metadata
print(asset.code_version)
"""
    location = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert location.returncode == 0, location.stderr[-2000:]
    command = [sys.executable, "-m", "trading_cli", "check"]
    check = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert f"plug-in   {file.parent / 'my_features.py'}: feature disparity_14 disparity_1d gap_up_3" in check.stdout
    assert f"plug-in   {file.parent / 'my_estimator.py'}: estimator naive_bayes" in check.stdout
    settings["models"]["mine"]["features"] = ["my_featurs"]
    file.write_text(yaml.safe_dump(settings, sort_keys=False))
    check = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    line = file.read_text().splitlines().index("    features:") + 1
    assert check.returncode == 2
    told = f"error: {file}:{line}: models.mine.features: there is no feature, family or pattern 'my_featurs'; did"
    assert check.stderr.startswith(told)
    (file.parent / "my_features.py").write_text("import os\nos.nothing\n")
    check = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    place = f"{file.parent / 'my_features.py'}:2: AttributeError: module 'os' has no attribute 'nothing'"
    assert (check.returncode, place in check.stderr, "Traceback" in check.stderr) == (2, True, False)
