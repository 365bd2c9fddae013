"""`trading models ...` and the job `rollback`: what a person does with a version, and what is told of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from tests.lifecycle.shelf import MODEL, Shelf
from trading_assets import lifecycle
from trading_assets.definitions import build_definitions
from trading_assets.registry import Cause, read_manifest
from trading_assets.registry.events import this_user
from trading_assets.settings import origin
from trading_cli import main
from trading_cli.console import console
from trading_cli.research import models

type Trading = Callable[..., tuple[int, str, str]]


@pytest.fixture
def trading(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Trading:
    """Run the command in this process on the shelf's data folder; returns exit code, stdout, stderr."""
    for name in ("TRADING_SETTINGS", "TRADING_DATA_DIR", "TRADING_LOGS__LEVEL", "TRADING_LOGS__FORMAT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(origin, "_carried", {})
    # the command opens the store as the project does; the shelf's is another file
    for module in ("trading_cli.research.versions", "trading_cli.research.models"):
        monkeypatch.setattr(f"{module}.configured_store", lambda _settings: shelf.store)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["trading", "--data-dir", str(shelf.settings.data_dir), *arguments])
        monkeypatch.setattr(console, "width", 300)
        with pytest.raises(SystemExit) as ended:
            main.run()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run


def test_events_of_a_name_that_nothing_has_are_refused(trading: Trading) -> None:
    code, _, err = trading("models", "events", "nosuch")
    assert code == 2
    assert "no model 'nosuch' in the settings; known: " in err
    assert trading("models", "events", MODEL)[0] == 0  # it has none yet


def test_what_is_no_journal_cannot_be_explained(trading: Trading, tmp_path: Path) -> None:
    code, _, err = trading("explain", "--file", str(tmp_path / "gone.sqlite"))
    assert code == 2
    assert "gone.sqlite" in "".join(err.replace("│", "").split())  # the box breaks a long path anywhere
    assert "the journal has no entry yet; trading paper or trading demo makes some" in trading("explain")[2]


def test_two_versions_are_compared_put_away_and_told_of(shelf: Shelf, trading: Trading) -> None:
    lifecycle.promote(shelf.settings, shelf.store, MODEL, shelf.approve(edge=0.5), Cause("dagster run 7"))
    lifecycle.promote(shelf.settings, shelf.store, MODEL, shelf.approve(edge=-0.5), Cause("dagster run 8"))
    code, out, _ = trading("models")
    assert code == 0
    assert all(word in out for word in ("active", "challenger"))

    code, out, _ = trading("models", "compare", "syna@1", "syna@2")
    assert code == 0
    assert "120 days both have (2025-03-01 to 2025-06-28)" in out
    assert "100%" in out
    assert "(synthetic)" in out
    told = json.loads(trading("models", "compare", "syna", "syna@2", "--json")[1])
    assert (told["first"], told["difference"]["sharpe"]["better"]) == ("syna@1", 1.0)

    code, out, _ = trading("models", "archive", MODEL, "2", "--reason", "nothing came of it")
    assert (code, "syna version 2 is archived" in out) == (0, True)
    code, out, _ = trading("models", "reject", MODEL, "2", "--reason", "learnt from a broken feed")
    assert (code, "syna version 2 is rejected" in out) == (0, True)
    code, out, _ = trading("models", "events", MODEL)
    assert "challenger -> archived" in out
    assert "nothing came of it" in out
    assert this_user() in out
    assert "dagster run 8" in out
    events = json.loads(trading("models", "events", "--json")[1])
    assert {event["new_status"] for event in events} >= {"draft", "approved", "active", "challenger", "rejected"}
    assert any(event["evidence"].get("champion") == 1 for event in events)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["archive", MODEL, "1", "--reason", " "], "--reason: archiving needs a reason"),
        (["archive", MODEL, "1", "--reason", "why"], "a version that is draft cannot become archived"),
        (["reject", MODEL, "9", "--reason", "why"], "model syna has no version 9"),
        (["compare", "syna@1", "none"], "no version of 'none' is registered"),
        (["compare", "syna@1", "syna@1"], "syna@1: it has no backtest; trading backtest syna makes one"),
        (["archive", MODEL, "1"], "Missing option '--reason'"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(shelf: Shelf, trading: Trading, arguments: list[str], said: str) -> None:
    shelf.registry.register(shelf.bundle(0.5), MODEL)
    shelf.registry.write_to(shelf.store)
    code, _, err = trading("models", *arguments)
    assert code == 2
    assert said in err


def test_every_verb_explains_itself(trading: Trading) -> None:
    for command in models.app.registered_commands:
        assert command.callback is not None
        code, out, _ = trading("models", command.callback.__name__, "--help")
        assert (code, "Usage" in out) == (0, True)
    assert len(models.app.registered_commands) == 6


def test_the_job_rollback_needs_nothing_but_the_model_and_its_run_is_who_changed_it(
    shelf: Shelf, tmp_path: Path
) -> None:
    for edge in (0.0, 1.0):
        lifecycle.promote(shelf.settings, shelf.store, MODEL, shelf.approve(edge=edge), Cause("test"))
    job = build_definitions(shelf.settings).resolve_job_def("rollback")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            instance=instance,
            partition_key=MODEL,
            resources={"settings": shelf.settings, "store": shelf.store},
        )
        said = result.get_asset_materialization_events()[0].materialization.metadata
    assert (said["version"].value, said["decision"].value) == (1, "rollback")
    assert "version 1 is active in its place" in str(said["changes"].value)
    assert read_manifest(shelf.settings.live_dir).models[MODEL].version == 1
    assert shelf.get(1).events[-1].cause.by == f"dagster run {result.run_id}"
