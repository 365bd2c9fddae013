"""The dashboards: their JSON is what the code makes, and each asks for what is exported."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from deploy.grafana.dashboards import BOARDS
from deploy.grafana.dashboards.board import Board, Panel, Unit
from deploy.grafana.dashboards.grafana import dashboard_json
from deploy.grafana.dashboards.models import MODELS
from deploy.grafana.dashboards.pictures import draw, said
from deploy.grafana.dashboards.replayed import configured
from tests.deploy.expressions import (
    ALERTS,
    DEPLOY,
    PROMETHEUS,
    RECORDED,
    exported,
    labels_of,
    names_in,
    scraped_in,
)
from tests.deploy.promtool import PROMTOOL, needs_promtool
from trading_assets.monitoring.exported.catalogue import DATA
from trading_live.metrics.catalogue import NODE


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_the_file_is_what_the_code_makes(board: Board) -> None:
    file = DEPLOY / "grafana" / f"{board.name}.json"
    assert file.read_text() == dashboard_json(board), "run python -m deploy.grafana.dashboards"


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_panel_asks_for_what_is_exported(board: Board) -> None:
    for panel in board.panels:
        for query in panel.queries:
            assert names_in(query.expr), (panel.title, query.expr)
            assert names_in(query.expr) <= exported() | RECORDED.keys(), panel.title


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_panels_do_not_lie_over_each_other_and_legends_name_labels(board: Board) -> None:
    made = json.loads((DEPLOY / "grafana" / f"{board.name}.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in made["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"])
    for panel in board.panels:
        for query in panel.queries:
            labels = set[str]().union(*map(labels_of, scraped_in(query.expr)))
            assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= labels, panel.title


def test_nearly_every_metric_is_on_some_dashboard() -> None:
    shown = {
        name for one in BOARDS for panel in one.panels for query in panel.queries for name in scraped_in(query.expr)
    }
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    hidden = {metric.name for metric in (*NODE.metrics, *DATA.metrics)} - shown
    assert hidden == {
        "trading_node_info",
        "trading_node_market_timestamp_seconds",
        "trading_node_dropped_series",
        "trading_node_page_incomplete",
        "trading_bar_limit_seconds",
        "trading_bar_end_timestamp_seconds",
        "trading_node_running",
        "trading_node_beat_timestamp_seconds",
        "trading_dagster_run_success_timestamp_seconds",
        "trading_dagster_run_failure_timestamp_seconds",
        "trading_asset_freshness_limit_seconds",
        "trading_check_timestamp_seconds",
        "trading_store_late_limit_seconds",
    }


def test_pictures_are_drawn_from_what_prometheus_answers(tmp_path: Path) -> None:
    """A server that knows one series, whatever it is asked."""
    asked: list[str] = []

    class Prometheus(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(parse_qs(urlsplit(self.path).query)["query"][0])
            series = {"metric": {"model": "syna", "version": "3"}, "values": [[1.8e9 + n, str(n)] for n in range(60)]}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"data": {"result": [series]}}).encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Prometheus)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        file = tmp_path / "models.png"
        draw(MODELS, f"http://127.0.0.1:{server.server_port}", 1.8e9, 1.8e9 + 60, file)
    finally:
        server.shutdown()
        server.server_close()
    assert file.read_bytes().startswith(b"\x89PNG")
    assert len(asked) == sum(len(panel.queries) for panel in MODELS.panels)
    assert not any("$" in expression for expression in asked)


@needs_promtool
def test_the_prometheus_of_the_docs_pictures_scrapes_every_job_and_has_every_rule(tmp_path: Path) -> None:
    ours = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    ports = {job["job_name"]: number for number, job in enumerate(ours["scrape_configs"], 1)}
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump(configured(ports)))
    checked = subprocess.run([str(PROMTOOL), "check", "config", str(config)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    for name, rules in (("alerts.yml", ALERTS), ("recording.yml", RECORDED)):
        assert f"Checking {PROMETHEUS / name}\n  SUCCESS: {len(rules)} rules found" in checked.stdout


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.0123, "percentunit", "1.23 %"),
        (0.0074, "s", "7.4 ms"),
        (90.0, "s", "90 s"),
        (1950.0, "s", "32.5 min"),
        (2.5e6, "bytes", "2.5 MB"),
    ],
)
def test_numbers_are_said_in_their_unit(value: float, unit: Unit, expected: str) -> None:
    assert said(value, Panel("x", (), unit=unit)) == expected
    assert said(value, Panel("x", (), unit=unit, words={f"{value:g}": "on"})) == "on"
