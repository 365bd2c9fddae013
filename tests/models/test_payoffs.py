"""What a right call on an exit plan earns and a wrong one loses: measured on the training window, and on it alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from tests.models.bundles import Content, made
from trading_assets.core.errors import BundleError
from trading_assets.core.sides import Side
from trading_assets.models import Dataset, join, load, train, walk_forward, write
from trading_assets.models.payoffs import PlanPayoff
from trading_assets.settings import LabelSettings, LightGBMSettings, ModelSettings, WalkForwardSettings
from trading_assets.settings.sections.exits import ExitSettings
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.signals import ClosedBar
from trading_assets.strategies.stored_signals import StoredSignals
from trading_assets.validation import WalkForward

if TYPE_CHECKING:
    from conftest import PlantedFrames

NAMES = tuple(f"f{i}" for i in range(6))
COST = 0.001
SPEC = ModelSettings(
    markets=["sample:A/USDT"],
    walk_forward=WalkForwardSettings(train_days=20, purge_days=1, embargo_days=1, test_days=10),
    estimator=LightGBMSettings(num_boost_round=5, num_leaves=4, min_data_in_leaf=100),
)
PLAN = ExitSettings(hold_hours=6)
LABELS = LabelSettings(barriers="plan", exit="p", exit_plan=PLAN, horizon_bars=24)


def plan_frames(planted: PlantedFrames) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Outcomes of a plan: of another size each, with stops as wide as the market moves."""
    features, labels = planted(days=50)
    rng = np.random.default_rng(3)
    stop = rng.uniform(0.005, 0.02, labels.height)
    times = np.where(
        labels["label"] == 1, rng.uniform(-0.5, 2.5, labels.height), rng.uniform(-1.2, -0.8, labels.height)
    )
    return features, labels.with_columns(
        stop_loss=pl.Series(stop), take_profit=pl.Series(stop / 1.5), **{"return": pl.Series(times * stop - COST)}
    )


@pytest.fixture(scope="module")
def data(planted: PlantedFrames) -> Dataset:
    made = join(*plan_frames(planted), names=NAMES, fingerprint="0" * 64)
    return replace(made, plan_cost=COST)


def rows(*outcomes: tuple[int, float, float]) -> pl.DataFrame:
    return pl.DataFrame(outcomes, schema=["label", "return", "stop_loss"], orient="row")


def test_by_hand() -> None:
    known = PlanPayoff.of(rows((1, 0.029, 0.02), (1, 0.004, 0.01), (-1, -0.011, 0.01), (0, 0.5, 0.01)), cost=COST)
    assert (known.gain, known.loss) == pytest.approx(((1.5 + 0.5) / 2, 1.0))
    assert (known.hits, known.misses) == (2, 1)
    assert known.of_trade(0.03) == pytest.approx((0.03, 0.03))


def test_what_never_happened_is_not_hoped_for() -> None:
    nothing = PlanPayoff.of(rows((0, 0.5, 0.01)), cost=COST)
    assert (nothing.gain, nothing.loss) == (0.0, 1.0)
    lucky = PlanPayoff.of(rows((-1, 0.02, 0.01)), cost=COST)
    assert lucky.loss == 0.0, "a stop that follows may earn; a wrong call is not counted on for it"


def test_each_fold_counts_with_what_its_own_training_rows_earned(data: Dataset) -> None:
    predictions = walk_forward(data, SPEC).predictions
    folds = WalkForward(SPEC.walk_forward).split(data.frame["known_at"], data.frame["label_end"])
    assert len(folds) > 2
    for fold in folds:
        known = data.frame[fold.train].with_columns(((pl.col("return") + COST) / pl.col("stop_loss")).alias("times"))
        said = predictions.filter(fold=fold.number)
        for name, label, sign in (("gain", 1, 1), ("loss", -1, -1)):
            expected = sign * known.filter(label=label)["times"].mean() * said["stop_loss"]  # type: ignore[operator]
            assert said[name].to_list() == pytest.approx(expected.to_list(), rel=1e-12)


def test_what_test_rows_earned_tells_on_no_payoff(data: Dataset) -> None:
    """Other returns from the first test window on: the first fold says the same of every trade."""
    begin = walk_forward(data, SPEC).folds["test_start"][0]
    later = pl.col("label_end") > begin
    other = data.frame.with_columns(pl.when(later).then(pl.col("return") * 5 + 1).otherwise("return").alias("return"))
    one, two = (
        walk_forward(replace(data, frame=frame), SPEC).predictions.filter(fold=1) for frame in (data.frame, other)
    )
    assert one.drop("return").equals(two.drop("return"))
    assert not one["return"].equals(two["return"])


def test_barriers_say_their_payoff_themselves(planted: PlantedFrames) -> None:
    plain = walk_forward(join(*planted(days=50), names=NAMES, fingerprint="0" * 64), SPEC).predictions
    assert plain["gain"].is_null().all()
    assert plain["loss"].is_null().all()


def test_the_bundle_counts_with_its_training_window_and_a_signal_with_both(data: Dataset, tmp_path: Path) -> None:
    trained = train(data, SPEC)
    window = data.frame.filter(pl.col("known_at").is_between(trained.train_start, trained.train_end))
    bundle = write(tmp_path, model="a", trained=trained, dataset=data, spec=SPEC, labels=LABELS, metrics={})
    assert bundle.payoffs == {Side.LONG: PlanPayoff.of(window, cost=COST)}
    assert load(bundle.folder).payoffs == bundle.payoffs

    predictions = walk_forward(data, SPEC).predictions
    row = predictions.row(0, named=True)
    spec = SPEC.model_copy(update={"exit_plan": PLAN})
    source = StoredSignals(
        predictions.with_columns(unit=pl.col("stop_loss") / PLAN.stop),
        rule=EntryRule.of(spec, cost_bps=10),
        labels=LABELS,
        exit_plan=PLAN,
    )
    bar = ClosedBar(row["market"], "15m", row["ts"], row["known_at"], 1, 1, 1, 1, 1)
    signal = source.on_bar(bar)
    assert signal is not None
    assert signal.edge_bps == pytest.approx(
        (row["probability"] * row["gain"] - (1 - row["probability"]) * row["loss"]) * 1e4 - 10
    )


def test_a_bundle_of_a_plan_without_its_payoff_or_with_a_malformed_one_is_refused(
    data: Dataset, tmp_path: Path
) -> None:
    bundle = write(
        tmp_path / "a", model="a", trained=train(data, SPEC), dataset=data, spec=SPEC, labels=LABELS, metrics={}
    )
    content = Content.of(bundle)
    bad: dict[str, Any] = {
        "loss_below": b'{"gain": 1, "loss": -1, "hits": 1, "misses": 1}',
        "no_number": b'{"gain": NaN, "loss": 1, "hits": 1, "misses": 1}',
        "unknown_key": b'{"gain": 1, "loss": 1, "hits": 1, "misses": 1, "x": 1}',
        "no_json": b"x",
    }
    for name, one in bad.items():
        with pytest.raises(BundleError, match=r"no payoff of an exit plan"):
            load(content.written(tmp_path / name, {"payoff/long.json": one}))
    kept = {name: one for name, one in content.files.items() if not name.startswith("payoff/")}
    with pytest.raises(BundleError, match=r"it has no payoff/long\.json"):
        load(replace(content, files=kept).written(tmp_path / "lacking"))


def test_a_bundle_of_barriers_says_nothing_of_payoffs(tmp_path: Path) -> None:
    assert made("logistic", tmp_path).payoffs == {}
