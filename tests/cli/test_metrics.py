"""`trading metrics`: a page for Prometheus, printed, written or served; what cannot be read is named."""

from __future__ import annotations

import urllib.request
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.live.metrics.world import Scrape
from trading_assets.monitoring.exported.page import Page
from trading_assets.settings import Settings
from trading_cli.main import app
from trading_live.metrics.exporter import Exporter

PARTS = ("node", "store", "models", "dagster")


@pytest.fixture
def project(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TRADING_DATA_DIR", str(settings.data_dir))
    return settings


def test_a_page_of_a_new_project_is_whole_and_says_that_nothing_failed(project: Settings, tmp_path: Path) -> None:
    file = tmp_path / "trading.prom"
    done = CliRunner().invoke(app, ["metrics", "--file", str(file)])
    assert done.exit_code == 0, done.output
    said = Scrape.of(file.read_text())
    assert {part: said[f'trading_export_failed{{part="{part}"}}'] for part in PARTS} == dict.fromkeys(PARTS, 0.0)
    assert said["trading_export_timestamp_seconds"] > 1.7e9
    assert [one.name for one in tmp_path.glob("trading.prom*")] == ["trading.prom"]  # nothing half written beside it
    printed = CliRunner().invoke(app, ["metrics"])
    assert said.names() <= Scrape.of(printed.stdout).names()


def test_a_part_that_fails_is_named_and_the_others_are_there() -> None:
    def fails(page: Page, now: datetime) -> None:
        raise RuntimeError("the store is locked")

    exporter = Exporter({"store": fails, "node": lambda page, now: None})
    exporter.read()
    with exporter.serving("127.0.0.1", 0, lambda event, detail: None) as port:
        said = Scrape.of(urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30).read().decode())
    assert said['trading_export_failed{part="store"}'] == 1
    assert said['trading_export_failed{part="node"}'] == 0


def test_a_file_that_cannot_be_written_is_an_error_with_a_remedy(project: Settings, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    done = CliRunner().invoke(app, ["metrics", "--file", str(tmp_path / "taken" / "trading.prom")])
    assert done.exit_code != 0
    assert "cannot be written" in str(done.exception)
