"""`trading pause` and `trading resume` where no node runs, and what they refuse."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from tests.live.conftest import MARKET
from trading_assets.core.errors import SettingsError
from trading_assets.journal import JOURNAL_FILE, Journal
from trading_assets.settings import Settings
from trading_assets.strategies.protections import NODE, State, market_scope, pause, row_of
from trading_cli.live.pause import seconds_of
from trading_cli.main import app
from trading_live.operations import pauses
from trading_live.operations.health import check_node
from trading_live.operations.holds import read_holds

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)


def said(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    return result.exit_code, " ".join(result.output.split())


def test_a_request_waits_for_the_next_node_and_status_says_so(live_settings: Settings) -> None:
    assert said("pause", "--market", MARKET, "--flatten", "--for", "2h", "--reason", "news") == (
        0,
        f"no node runs: the next one begins with this pause of market {MARKET}",
    )
    ((one,), unreadable) = pauses.waiting(live_settings.live_dir)
    assert unreadable == []
    assert (one.request.scope, one.request.flatten, one.request.for_s) == (market_scope(MARKET), True, 7200.0)
    assert f"asked for pause of market {MARKET}, which no node has taken yet" in said("status")[1]
    assert any(str(problem).startswith("reducing: market") for problem in check_node(live_settings)[1])


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--model", "nobody"], "no model 'nobody'"),
        (["--market", "binance:XXX/USDT"], "no market 'binance:XXX/USDT'"),
        (["--model", "a", "--market", "b"], "--model and --market are given"),
        (["--for", "soon"], "--for 'soon' is no length of time; write e.g. 90s, 30m, 2h or 1d"),
        (["--for", "0h"], "--for '0h' is no length of time"),
    ],
)
def test_what_is_not_understood_is_refused_and_asks_for_nothing(
    live_settings: Settings, arguments: list[str], why: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        said("pause", *arguments)
    assert why in str(refused.value)
    assert pauses.waiting(live_settings.live_dir) == ([], [])


def test_lengths_of_time() -> None:
    assert [seconds_of(text) for text in ("90s", "1.5m", "2h", "1d")] == [90.0, 90.0, 7200.0, 86400.0]


def test_what_holds_a_node_that_does_not_run_is_shown_with_cause_and_remedy(live_settings: Settings) -> None:
    with closing(Journal(live_settings.live_dir / JOURNAL_FILE, "node")) as journal:
        for change in pause({}, NOW, NODE, State.HALTED):
            journal.record("risk_states", row_of(change))
    held = ["node halted: paused; `trading resume` ends it"]
    assert [str(one) for one in read_holds(live_settings.live_dir)] == held
    assert held[0] in said("status")[1]
    code, output = said("status", "--check")
    assert code == 1
    assert "halted: node: paused; `trading resume` ends it" in output
    with closing(sqlite3.connect(live_settings.live_dir / JOURNAL_FILE)) as file, file:
        file.execute("INSERT INTO journal (session, event_id, kind, payload) VALUES (1, 'x', 'risk_states', '{')")
    assert [str(one) for one in read_holds(live_settings.live_dir)] == held, "a damaged event takes no other along"


def test_a_file_that_says_nothing_is_set_aside(live_settings: Settings) -> None:
    folder = live_settings.live_dir / pauses.FOLDER
    folder.mkdir(parents=True)
    (folder / "1.json").write_text("{}")
    (folder / "2.json").write_text(pauses.now_at("resume", NODE).model_dump_json())
    found, unreadable = pauses.waiting(live_settings.live_dir)
    assert [one.name for one in found] == ["2"]
    assert unreadable == ["1.json"]
    assert pauses.waiting(live_settings.live_dir)[1] == []
