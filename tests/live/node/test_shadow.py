"""What challengers are asked, and what becomes of the model that trades meanwhile: nothing."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from tests.live.conftest import MARKET, START, STREAM, MakeBundle, meaningless, put_live, rewrite_model
from tests.live.desk import wait_for
from tests.live.node.test_parts import closed_bars
from trading_assets import features, models
from trading_assets.core.timeframes import Timeframe
from trading_assets.journal import shadow_signals
from trading_assets.journal.events import frame
from trading_assets.models import trial
from trading_assets.registry.deployment import DeployedModel, shadow, unshadow
from trading_assets.settings import LabelSettings, LightGBMSettings, ModelSettings, Settings, WalkForwardSettings
from trading_assets.strategies.signals import ClosedBar, Signal
from trading_live.node.decisions import shadow as shadow_module
from trading_live.node.decisions.challengers import Challengers
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.shadow import ShadowDecisions
from trading_live.node.decisions.signals import LiveSignals
from trading_live.node.decisions.steps import PriceSteps

M15 = Timeframe.parse("15m")
LOOKBACK_BARS = features.lookback_bars(M15)
ATR = LabelSettings(barriers="atr", horizon_bars=4)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, no challenger is set aside for the time that it takes."""
    monkeypatch.setattr(shadow_module, "_SLOW_S", 300.0)


class Engine:
    """Stands for a strategy: its clock calls back when it is told to."""

    def __init__(self) -> None:
        self.alerts: list[Callable[[object], None]] = []
        self.clock = self

    def utc_now(self) -> datetime:
        return START

    def timestamp_ns(self) -> int:
        return round(START.timestamp() * 1e9)

    def set_time_alert(self, _name: str, _at: datetime, callback: Callable[[object], None]) -> None:
        self.alerts.append(callback)

    def rest(self) -> int:
        """Call back until nothing is asked for any more; how often."""
        count = 0
        while self.alerts:
            self.alerts.pop(0)(None)
            count += 1
        return count


class Node:
    """The decisions of a node without its engine: a model that trades, and challengers beside it."""

    def __init__(self, settings: Settings, champion: models.Bundle | None, *, held: int = LOOKBACK_BARS) -> None:
        self.settings = settings
        self.told: list[tuple[str, str]] = []
        self.written: list[tuple[str, dict[str, Any]]] = []
        self.trouble: str | None = None
        tell = lambda event, detail: self.told.append((event, detail))  # noqa: E731
        self.challengers = Challengers(settings, tell, historic=True)
        self.engine = Engine()
        self.shadow = ShadowDecisions(
            self.challengers,
            self.written.extend,
            journal_trouble=lambda: self.trouble,
            cost_bps=12.0,
            steps=PriceSteps({}, 1.5),
        )
        self.shadow.follow(self.engine)
        shelf = DeployedModels(settings, tell)
        if champion is not None:
            put_live(settings, champion)
            shelf.refresh()
        self.signals = LiveSignals({STREAM: held}, shelf, lambda *_: None, cost_bps=12.0, shadow=self.shadow)

    def challenge(self, *bundles: models.Bundle, version: int = 2) -> None:
        for number, bundle in enumerate(bundles):
            put_in_shadow(self.settings, bundle, version + number)
        wait_for(lambda: self._taken() >= len(bundles))

    def _taken(self) -> int:
        self.challengers.refresh()
        return len(self.challengers.models) + len(self.challengers.refusals)

    def hear(self, bars: Sequence[ClosedBar]) -> list[Signal | None]:
        said = []
        for bar in bars:
            said.append(self.signals.on_bar(bar))
            self.engine.rest()
        return said

    @property
    def answers(self) -> pl.DataFrame:
        """The rows of ``shadow_signals`` that come of what was written."""
        events = [(number, _as_journalled(event)) for number, (_, event) in enumerate(self.written)]
        return shadow_signals(frame("shadow", "n", events))


def _as_journalled(event: dict[str, Any]) -> dict[str, Any]:
    plain = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in event.items()}
    return {key: value for key, value in plain.items() if key != "event_id"}


def put_in_shadow(settings: Settings, bundle: models.Bundle, version: int) -> DeployedModel:
    deployed = DeployedModel.of(bundle, version, settings.data_dir, datetime.now(UTC))
    shadow(settings.live_dir, deployed)
    return deployed


@pytest.fixture(scope="module")
def bars(decision_bars: pl.DataFrame) -> list[ClosedBar]:
    return closed_bars(decision_bars)[: LOOKBACK_BARS + 6]


@pytest.fixture(scope="module")
def rows(decision_rows: pl.DataFrame) -> pl.DataFrame:
    return decision_rows


def of_features(rows: pl.DataFrame, names: Sequence[str], settings: Settings, labels: LabelSettings) -> models.Bundle:
    """A small model of some features."""
    dataset = models.join(rows, meaningless(rows), names=list(names), fingerprint=features.fingerprint(names))
    windows = WalkForwardSettings(train_days=10, purge_days=1, embargo_days=1, test_days=5)
    learner = LightGBMSettings(num_boost_round=5, num_leaves=15, min_data_in_leaf=20, lambda_l2=5)
    spec = ModelSettings(markets=[MARKET], estimator=learner, walk_forward=windows, min_edge_bps=-1e6)
    trained = models.train(dataset, spec)
    return models.write(
        settings.bundles_dir, model="syna", trained=trained, dataset=dataset, spec=spec, labels=labels, metrics={}
    )


def warmed(settings: Settings, champion: models.Bundle | None, bars: Sequence[ClosedBar], **more: Any) -> Node:
    node = Node(settings, champion, **more)
    node.signals.histories[STREAM].merge(bars[:LOOKBACK_BARS])
    return node


def copied(bundle: models.Bundle, settings: Settings, to: Settings) -> models.Bundle:
    place = to.bundles_dir / bundle.folder.relative_to(settings.bundles_dir)
    shutil.copytree(bundle.folder, place)
    return models.load(place)


def as_champion(settings: Settings, bundle: models.Bundle, bars: Sequence[ClosedBar]) -> list[Signal]:
    """What the same bundle says where it trades."""
    said = warmed(settings, bundle, bars).hear(bars[LOOKBACK_BARS:])
    return [one for one in said if one is not None]


def test_challengers_say_what_they_would_say_if_they_traded(
    settings: Settings, make_bundle: MakeBundle, rows: pl.DataFrame, bars: list[ClosedBar], tmp_path: Any
) -> None:
    every = [name for name in rows.columns if name not in ("market", "timeframe", "ts", "known_at")]
    champion = of_features(
        rows, every[:60], settings, LabelSettings(take_profit_pct=0.8, stop_loss_pct=0.4, horizon_bars=4)
    )
    few, others = of_features(rows, every[10:30], settings, ATR), of_features(rows, every[40:90], settings, ATR)
    plain = make_bundle(settings.bundles_dir, threshold=0.42)
    expected = {}
    for version, bundle in enumerate((few, others, plain), start=2):
        apart = settings.model_copy(update={"data_dir": tmp_path / str(version)})
        expected[version] = as_champion(apart, copied(bundle, settings, apart), bars)
    node = warmed(settings, champion, bars)
    node.challenge(few, others, plain)
    said = node.hear(bars[LOOKBACK_BARS:])
    answers = node.answers
    for version, signals in expected.items():
        mine = answers.filter(pl.col("model_version") == version)
        assert mine.height == len(signals) == 6
        for row, signal in zip(mine.iter_rows(named=True), signals, strict=True):
            assert (row["market"], row["bar_ts"], row["role"]) == (signal.market, signal.ts, "challenger")
            assert (row["probability"], row["side"]) == (signal.probability, signal.side)
            assert (row["take_profit"], row["stop_loss"]) == (signal.take_profit_pct / 100, signal.stop_loss_pct / 100)
            assert row["action"] == ("enter" if signal.enters else "hold")
            assert row["threshold"] == pytest.approx(signal.threshold, rel=1e-3)
            assert signal.bundle_hash.startswith(row["bundle_hash"])
    traded = answers.filter(pl.col("role") == "champion")
    assert traded["probability"].to_list() == [one.probability for one in said if one is not None]
    assert {"enter", "hold"} == set(answers["action"])


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Grows by the names that features are computed of."""
    calls: list[tuple[str, ...]] = []
    original = features.compute_newest

    def counted(*arguments: Any, **options: Any) -> list[features.FeatureRow]:
        calls.append(tuple(options["features"]))
        return original(*arguments, **options)

    monkeypatch.setattr(features, "compute_newest", counted)
    return calls


def test_features_are_computed_once_for_all(
    settings: Settings,
    make_bundle: MakeBundle,
    rows: pl.DataFrame,
    bars: list[ClosedBar],
    computed: list[tuple[str, ...]],
) -> None:
    champion = make_bundle(settings.bundles_dir)
    inside = [of_features(rows, champion.features[:count], settings, ATR) for count in (5, 9)]
    node = warmed(settings, champion, bars)
    node.challenge(*inside, make_bundle(settings.bundles_dir, threshold=0.5))
    node.hear(bars[LOOKBACK_BARS:])
    assert set(computed) == {champion.features}  # of the model that trades: the challengers read what that gave
    assert len(computed) == len(bars) - LOOKBACK_BARS
    computed.clear()
    assert set(node.answers["model_version"]) == {1, 2, 3, 4}
    alone = warmed(settings, None, bars)
    alone.challenge(*inside)
    alone.hear(bars[LOOKBACK_BARS : LOOKBACK_BARS + 2])
    assert computed == [tuple(champion.features[:9])] * 2


def test_one_that_fails_is_set_aside_and_the_others_go_on(
    settings: Settings, make_bundle: MakeBundle, bars: list[ClosedBar], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundles = [make_bundle(settings.bundles_dir, threshold=0.1 * number) for number in range(1, 4)]
    node = warmed(settings, bundles[0], bars)
    node.challenge(*bundles[1:])
    first = node.hear(bars[LOOKBACK_BARS : LOOKBACK_BARS + 2])
    broken, said_by = node.challengers.models[0].bundle, models.Bundle.said_of

    def failing(self: models.Bundle, *arguments: Any, **options: Any) -> Any:
        if self is broken:
            raise RuntimeError("no memory")
        return said_by(self, *arguments, **options)

    monkeypatch.setattr(models.Bundle, "said_of", failing)
    second = node.hear(bars[LOOKBACK_BARS + 2 :])
    assert all(first)
    assert all(second)
    (why,) = [detail for event, detail in node.told if event == "challenger set aside"]
    assert why == f"syna v2: it failed on {MARKET}: RuntimeError: no memory"
    said = node.answers.filter(pl.col("role") == "challenger")
    assert said.group_by("model_version").len().sort("model_version")["len"].to_list() == [2, 6]
    node.challengers.refresh()
    assert node.challengers.refusals == {"syna v2": why.removeprefix("syna v2: ")}
    assert [event for event, _ in node.told].count("challenger set aside") == 1


def test_one_that_bars_would_wait_for_is_set_aside(
    settings: Settings, make_bundle: MakeBundle, bars: list[ClosedBar], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = warmed(settings, make_bundle(settings.bundles_dir), bars)
    node.challenge(make_bundle(settings.bundles_dir, threshold=0.2))
    monkeypatch.setattr(shadow_module, "_SLOW_S", 0.0)
    node.hear(bars[LOOKBACK_BARS:])
    assert node.answers.filter(pl.col("role") == "challenger").height == 3
    assert "limit 0 s" in node.challengers.refusals["syna v2"]


def test_nothing_is_asked_inside_a_pass_and_one_challenger_at_a_time_after_it(
    settings: Settings, make_bundle: MakeBundle, bars: list[ClosedBar]
) -> None:
    node = warmed(settings, make_bundle(settings.bundles_dir), bars)
    node.challenge(*(make_bundle(settings.bundles_dir, threshold=0.1 * number) for number in (1, 2, 3)))
    assert node.signals.on_bar(bars[LOOKBACK_BARS]) is not None
    assert node.written == []
    assert node.engine.rest() == 1 + 3 + 1  # features, three answers, and the event
    assert len(node.written) == 1
    for bar in bars[LOOKBACK_BARS + 1 : LOOKBACK_BARS + 4]:
        node.signals.on_bar(bar)
    assert len(node.engine.alerts) == 1
    assert node.engine.rest() == 2 + 5  # what others wait behind is done in one go
    assert [event["bar_ts"] for _, event in node.written] == [bar.ts for bar in bars[LOOKBACK_BARS : LOOKBACK_BARS + 4]]


def test_a_journal_that_cannot_be_written_is_given_nothing_that_would_wait(
    settings: Settings, make_bundle: MakeBundle, bars: list[ClosedBar]
) -> None:
    node = warmed(settings, make_bundle(settings.bundles_dir), bars)
    node.challenge(make_bundle(settings.bundles_dir, threshold=0.2))
    node.trouble = "the disk is full"
    assert all(node.hear(bars[LOOKBACK_BARS : LOOKBACK_BARS + 2]))
    assert node.written == []
    node.trouble = None
    node.hear(bars[LOOKBACK_BARS + 2 :])
    assert len(node.written) == 4


def test_one_that_looks_back_further_waits_for_its_bars_and_nobody_else_does(
    settings: Settings, make_bundle: MakeBundle, rows: pl.DataFrame, bars: list[ClosedBar]
) -> None:
    short = [name for name in features.feature_names(M15) if features.lookback_bars(M15, [name]) < 30]
    champion = of_features(
        rows, short[:8], settings, LabelSettings(take_profit_pct=0.8, stop_loss_pct=0.4, horizon_bars=4)
    )
    node = Node(settings, champion, held=LOOKBACK_BARS - 3)
    node.signals.histories[STREAM].merge(bars[: LOOKBACK_BARS - 3])
    node.challenge(make_bundle(settings.bundles_dir))
    assert all(node.hear(bars[LOOKBACK_BARS - 3 :]))
    needed = node.challengers.models[0].look_back
    assert (
        "challenger waits",
        f"syna v2: {needed - 3:,} of {needed:,} bars; a node started anew loads them",
    ) in node.told
    assert node.challengers.look_backs() == {STREAM: needed}
    assert node.answers.filter(pl.col("role") == "challenger")["bar_ts"].to_list()[0] == bars[needed].ts


def test_one_that_ends_the_process_that_tries_it_is_set_aside(settings: Settings, make_bundle: MakeBundle) -> None:
    node = Node(settings, make_bundle(settings.bundles_dir))
    bad = rewrite_model(
        make_bundle(settings.bundles_dir, threshold=0.3),
        lambda text: text.replace("left_child=1 ", "left_child=999999 "),
    )
    node.challenge(bad, make_bundle(settings.bundles_dir, threshold=0.4))
    assert [one.name for one in node.challengers.models] == ["syna v3"]
    assert "the model in model.txt (lightgbm, long)" in node.challengers.refusals["syna v2"]


def test_one_that_hangs_when_it_is_loaded_is_set_aside_and_nobody_waits(
    settings: Settings, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(settings, make_bundle(settings.bundles_dir))
    estimator = make_bundle(settings.bundles_dir).classifiers[1].estimator  # type: ignore[union-attr]
    monkeypatch.setattr(type(estimator), "trial", lambda *_: [sys.executable, "-c", "import time; time.sleep(600)"])
    monkeypatch.setattr(trial, "_LIMIT_S", 0.3)
    node.challenge(make_bundle(settings.bundles_dir, threshold=0.3))
    assert node.challengers.models == ()
    assert "does not answer within 0.3 s" in node.challengers.refusals["syna v2"]


def test_one_comes_and_goes_as_the_manifest_says(
    settings: Settings, make_bundle: MakeBundle, bars: list[ClosedBar]
) -> None:
    node = warmed(settings, make_bundle(settings.bundles_dir), bars)
    node.hear(bars[LOOKBACK_BARS : LOOKBACK_BARS + 1])
    assert node.written == []
    node.challenge(make_bundle(settings.bundles_dir, threshold=0.3))
    node.hear(bars[LOOKBACK_BARS + 1 : LOOKBACK_BARS + 2])
    manifest = settings.live_dir / "deployment.json"
    intact = manifest.read_bytes()
    manifest.write_bytes(intact[:-9])
    node.challengers.refresh()
    assert len(node.challengers.models) == 1  # what is in use stays
    manifest.write_bytes(intact)
    unshadow(settings.live_dir, "syna", 2)
    node.challengers.refresh()
    node.hear(bars[LOOKBACK_BARS + 2 :])
    assert len(node.written) == 1
    assert [event for event, _ in node.told if "challenger" in event] == [
        "challenger in shadow",
        "challenger withdrawn",
    ]


def test_a_bundle_is_read_between_closes_where_bars_come_by_the_clock(
    settings: Settings, make_bundle: MakeBundle
) -> None:
    seconds = iter([0, 5, 55, 30, 31])
    now = lambda: datetime(2025, 5, 20, 12, 0, next(seconds), tzinfo=UTC)  # noqa: E731
    begun: list[str] = []
    challengers = Challengers(settings, lambda *_: None, historic=False, now=now)
    challengers._admission.admit = lambda deployed, wait: begun.append(deployed.model)  # type: ignore[assignment,method-assign]
    put_in_shadow(settings, make_bundle(settings.bundles_dir), 2)
    for _ in range(3):
        challengers.refresh()
    assert begun == []
    challengers.refresh()
    assert begun == ["syna"]


def test_bars_that_come_faster_than_challengers_can_be_asked_are_left_out_and_told_once(
    settings: Settings, make_bundle: MakeBundle, bars: list[ClosedBar], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow_module, "_MOST_WAITING", 2)
    node = warmed(settings, make_bundle(settings.bundles_dir), bars)
    node.challenge(make_bundle(settings.bundles_dir, threshold=0.2))
    assert all(node.signals.on_bar(bar) for bar in bars[LOOKBACK_BARS : LOOKBACK_BARS + 4])
    node.engine.rest()
    assert [event["bar_ts"] for _, event in node.written] == [bar.ts for bar in bars[LOOKBACK_BARS + 2 :][:2]]
    assert [event for event, _ in node.told].count("challengers fall behind") == 1
