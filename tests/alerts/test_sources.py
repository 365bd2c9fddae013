"""What alerts are made of: node events, health, heartbeats, checks; each with one key, whoever tells of it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from tests.alerts.receiver import receiving, told_by
from tests.seats import registered_here
from trading_assets.alerts import Alert, Level
from trading_assets.alerts.sources import Looked, heartbeat, look, register, sources_of
from trading_assets.alerts.sources.node_events import RULES, alert_of
from trading_assets.alerts.state_file import StateFile
from trading_assets.alerts.watch import watch_once
from trading_assets.core.errors import SettingsError
from trading_assets.settings import PROJECT_ROOT, Settings, load_settings
from trading_assets.strategies.protections import NODE as WHOLE
from trading_assets.strategies.protections import Change, State, market_scope, model_scope
from trading_live.operations import alerts as health
from trading_live.operations.files import HEARTBEAT_FILE
from trading_live.operations.health import Problem
from trading_live.operations.heartbeat import Heartbeat

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MARKET = "binance:BTC/USDT:USDT"


def beat(settings: Settings, at: datetime, state: str = "trading") -> None:
    """The heartbeat of a node, as the node writes it."""
    told = {"pid": 42, "state": state, "node": "paper-live", "venue": "binance", "environment": "live", "mode": "paper"}
    times = {"started_at": at, "beat_at": at}
    settings.live_dir.mkdir(parents=True, exist_ok=True)
    content = Heartbeat.model_validate(
        told | times | {"open_markets": () if state == "stopped" else (MARKET,)}
    ).model_dump_json()
    (settings.live_dir / HEARTBEAT_FILE).write_text(content)


def test_a_nodes_events_have_levels_and_keys() -> None:
    silent = alert_of("feed silent", f"{MARKET}: silent: no 1m bar since noon", "paper-live")
    again = alert_of("feed heard again", f"{MARKET}: 1m bar of 12:00", "paper-live")
    assert silent is not None
    assert again is not None
    assert (silent.level, silent.over, again.over) == (Level.CRITICAL, False, True)
    assert silent.key == again.key == f"node/feed-silent/{MARKET}"
    assert alert_of("bars counted", "what nobody is told", "n") is None
    failed, ended = (alert_of("stopped", why, "n") for why in ("the venue does not answer", ""))
    assert failed is not None
    assert ended is not None
    assert (failed.level, ended.level) == (Level.CRITICAL, Level.INFO)


@pytest.mark.parametrize("scope", [WHOLE, market_scope(MARKET), model_scope("trend")])
def test_what_holds_back_and_its_end_are_one_matter_told_by_node_or_health(scope: object) -> None:
    held = Change(NOON, scope, "daily_loss", State.HALTED, 0.06, 0.05)  # type: ignore[arg-type]
    ended = Change(NOON, scope, "daily_loss", State.RUNNING)  # type: ignore[arg-type]
    told = [alert_of(f"protection {one.state.word}", str(one), "n") for one in (held, ended)]
    seen = health.alert_of(Problem("halted", f"{held.scope}: {held.why}; {held.remedy}"))
    assert {one.key for one in (*told, seen) if one is not None} == {told[0].key if told[0] else ""}
    assert told[0] is not None
    assert told[0].level is Level.CRITICAL
    assert told[1] is not None
    assert told[1].over


def test_every_event_that_is_told_is_one_that_the_node_knows() -> None:
    code = "\n".join(
        path.read_text()
        for folder in ("trading_live", "trading_assets")
        for path in (PROJECT_ROOT / folder).rglob("*.py")
        if path.name != "node_events.py"
    )
    known = set(re.findall(r'"([a-z ]+)"', code)) | {f"protection {one.word}" for one in State}
    assert set(RULES) - known == set()


@pytest.mark.parametrize(
    ("problem", "key", "level"),
    [
        (Problem("dead", "no node runs; the last heartbeat is of noon"), "node/heartbeat", Level.CRITICAL),
        (Problem("dead", "connecting since noon"), "node/start", Level.CRITICAL),
        (Problem("killed", "the kill switch is on: why"), "node/kill", Level.CRITICAL),
        (Problem("halted", "too many losses"), "node/halted", Level.CRITICAL),
        (Problem("stale", f"{MARKET}: silent: no bar"), f"node/feed-silent/{MARKET}", Level.CRITICAL),
        (Problem("quarantined", f"{MARKET}: a step"), f"node/feed-quarantined/{MARKET}", Level.WARNING),
        (Problem("unprotected", f"{MARKET}: 1 held without a plan"), f"node/unprotected/{MARKET}", Level.CRITICAL),
        (Problem("disk", "3 MB free at /, limit 500 MB"), "node/disk", Level.CRITICAL),
        (Problem("journal", "no entries: full"), "node/journal", Level.CRITICAL),
    ],
)
def test_health_has_the_keys_of_the_nodes_own_events(problem: Problem, key: str, level: Level) -> None:
    alert = health.alert_of(problem)
    assert alert is not None
    assert (alert.key, alert.level) == (key, level)


def test_a_heartbeat_that_stops_is_told_by_somebody_else_and_its_return_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = told_by(load_settings(data_dir=tmp_path))
    assert heartbeat.HEARTBEAT_FILE == HEARTBEAT_FILE
    with receiving() as receiver:
        monkeypatch.setenv("CHAT_ALERT_URL", receiver.url)

        def watch(at: datetime) -> tuple[Alert, ...]:
            return watch_once(settings, sources_of(["heartbeat"]), now=lambda: at)

        assert watch(NOON) == (), "no node ever ran"
        beat(settings, NOON)
        assert watch(NOON + timedelta(seconds=29)) == ()
        (found,) = watch(NOON + timedelta(seconds=31))
        assert "no heartbeat of the node (process 42) since 2026-03-02 12:00:00 UTC" in found.what
        assert f"open by its last word: {MARKET}" in found.what
        watch(NOON + timedelta(seconds=90))
        beat(settings, NOON + timedelta(minutes=5))
        assert watch(NOON + timedelta(minutes=5)) == ()
        assert len(receiver.got) == 2, "once, and its end"
        assert receiver.titles[1].startswith("over: ")
        beat(settings, NOON + timedelta(minutes=6), "stopped")
        assert watch(NOON + timedelta(hours=6)) == (), "somebody stopped it"


def test_health_ends_what_it_does_not_find_any_more_and_leaves_what_it_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = told_by(load_settings(data_dir=tmp_path, node={"min_free_mb": 0.001}))
    with receiving() as receiver:
        monkeypatch.setenv("CHAT_ALERT_URL", receiver.url)
        beat(settings, datetime.now(UTC), "stopped")
        (settings.live_dir / "kill.json").write_text(json.dumps({"at": NOON.isoformat(), "reason": "a drill"}))
        sources = sources_of(["health"])
        (found,) = watch_once(settings, sources)
        assert found.key == "node/kill"
        (settings.live_dir / "kill.json").unlink()
        assert watch_once(settings, sources) == ()
        assert len(receiver.got) == 1, "it was told of just now: another process may know more"
        assert watch_once(settings, sources, now=lambda: datetime.now(UTC) + timedelta(minutes=2)) == ()
        assert len(receiver.got) == 2
        assert StateFile(tmp_path).read().matters["node/kill"].over_at is not None


def test_a_source_of_a_plug_in_is_looked_at_and_one_that_fails_is_an_alert(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    with registered_here():

        @register
        class Weather:
            """Fails."""

            name = "weather"

            def look(self, settings: Settings, now: datetime) -> Looked:
                """Fail."""
                raise ValueError("no window")

        looked = look(sources_of(["weather", "heartbeat"]), settings, NOON)
    (found,) = looked.found
    assert found.key == "alerts/source/weather"
    assert "ValueError: no window" in found.what
    with pytest.raises(SettingsError, match="no alert source 'weather'"):
        sources_of(["weather"])


def test_a_failed_run_and_a_failed_check_are_matters_of_their_own() -> None:
    from trading_assets.defs.orchestration.alerts import alert_of_check, alert_of_run

    def check(asset: str, severity: dg.AssetCheckSeverity, *, passed: bool) -> Alert | None:
        told = dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(asset),
            check_name="gaps",
            passed=passed,
            severity=severity,
            description="3 missing",
            metadata={},
        )
        return alert_of_check(told)

    error, warn = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
    failed, fine, drifts = (
        check("candles", error, passed=False),
        check("candles", error, passed=True),
        check("drift", warn, passed=False),
    )
    assert failed is not None
    assert fine is not None
    assert drifts is not None
    assert failed.key == fine.key == "dagster/check/candles/gaps"
    assert (failed.what, failed.over, fine.over) == ("check gaps of candles fails: 3 missing", False, True)
    assert check("candles", warn, passed=False) is None
    assert drifts.key == "drift/gaps"
    assert alert_of_run("retrain", "syna", "run 1 failed").key == "dagster/run/retrain/syna"


@dg.asset
def candles() -> None:
    """An asset of this page."""


@dg.asset_check(asset=candles, blocking=False)
def whole() -> dg.AssetCheckResult:
    """A check that fails, and stops nothing."""
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.ERROR, description="3 missing")


def test_dagster_tells_of_checks_that_failed_since_the_last_tick_and_of_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trading_assets.defs.orchestration.alerts import alert_watch

    plain = load_settings(data_dir=tmp_path)
    settings = told_by(plain, sources=["heartbeat", "health of another process"])
    definitions = dg.Definitions(assets=[candles], asset_checks=[whole])
    with receiving() as receiver, dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setenv("CHAT_ALERT_URL", receiver.url)

        def tick(settings: Settings, cursor: str | None = None) -> dg.SensorExecutionData:
            context = dg.build_sensor_context(
                instance=instance, cursor=cursor, definitions=definitions, resources={"settings": settings}
            )
            return alert_watch.evaluate_tick(context)

        assert tick(plain).skip_message == "the settings name no alert channel"
        dg.materialize([candles, whole], instance=instance)
        beat(settings, NOON)
        first = tick(settings)
        alive, check = sorted(receiver.titles)
        assert alive.startswith("CRITICAL: no heartbeat of the node (process 42) since 2026-03-02 12:00:00 UTC")
        assert check == "WARNING: check whole of candles fails: 3 missing"
        tick(settings, first.cursor)
        assert len(receiver.got) == 2, "the cursor has them"
        assert StateFile(tmp_path).read().matters["dagster/check/candles/whole"].count == 0
