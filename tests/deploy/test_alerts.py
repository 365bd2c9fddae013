"""Every alert: its words, its case, and that the fault which it is about makes it fire and nothing before does."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.expressions import (
    ALERTS,
    DEPLOY,
    OF_PROMETHEUS,
    OF_THE_TARGET,
    PROMETHEUS,
    RECORDED,
    exported,
    labels_of,
    names_in,
    scraped_in,
)
from tests.deploy.faults import FAULTS, Bench, Pages
from tests.deploy.promtool import AMTOOL, PROMTOOL, needs_amtool, needs_promtool
from tests.live.metrics.world import Scrape, World
from trading_assets.monitoring.exported.catalogue import DATA
from trading_assets.settings import PROJECT_ROOT, Settings
from trading_assets.store.contract import Store
from trading_live.metrics.catalogue import NODE

RUNBOOK = PROJECT_ROOT / "docs" / "how-to" / "runbook.md"
CASES = PROMETHEUS / "alerts_test.yml"
WELL_MIN = 12
"""Minutes for which all is well before the fault."""

_FOR = re.compile(r"(\d+)([smh])")
SLOW_TO_SHOW = {"TradingExportStale": 22, "TradingDaemonDown": 8, "TradingAssetStale": 370, "TradingCandlesLate": 130}
"""Minutes after the fault until the alert fires, where it needs more than its own patience."""


# -- words -------------------------------------------------------------------------------------------------------------


def test_there_are_enough_of_them_and_each_has_a_fault() -> None:
    assert len(ALERTS) >= 20
    assert set(FAULTS) == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_it_means_and_where_to_read_on(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^### (\w+)$", (PROJECT_ROOT / page).read_text(), re.MULTILINE)
    assert name in headings
    assert anchor == name.lower()


def test_the_runbook_knows_no_alert_that_there_is_not() -> None:
    assert set(re.findall(r"^### (Trading\w+)$", RUNBOOK.read_text(), re.MULTILINE)) == set(ALERTS)


@pytest.mark.parametrize("expression", [*(rule["expr"] for rule in ALERTS.values()), *RECORDED.values()])
def test_a_rule_asks_for_what_is_exported(expression: str) -> None:
    assert names_in(expression)
    assert names_in(expression) <= exported() | RECORDED.keys()


def test_no_metric_has_a_label_that_prometheus_gives_itself() -> None:
    assert not [metric.name for metric in (*NODE.metrics, *DATA.metrics) if OF_THE_TARGET & set(metric.labels)]


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_speaks_of_labels_that_each_of_its_branches_has(name: str) -> None:
    text = " ".join(ALERTS[name]["annotations"].values())
    asked = set(re.findall(r"\$labels\.(\w+)", text)) - set(re.findall(r"\{\{ with \$labels\.(\w+) \}\}", text))
    for branch in re.split(r"\bor\b", ALERTS[name]["expr"]):
        there = set[str]().union(*map(labels_of, scraped_in(branch)))
        assert asked <= there | ALERTS[name]["labels"].keys(), branch


def test_the_cases_feed_series_as_they_are_exported() -> None:
    for test in yaml.safe_load(CASES.read_text())["tests"]:
        for one in test["input_series"]:
            name = one["series"].partition("{")[0]
            assert set(re.findall(r"(\w+)=", one["series"])) == labels_of(name), one["series"]


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    fires = {case["alertname"] for case in cases if case["exp_alerts"]}
    rests = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert fires == rests == set(ALERTS)


def test_what_a_dead_node_does_not_do_is_no_news() -> None:
    routing = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text())
    named = [re.findall(r"Trading\w+", " ".join(m)) for r in routing["inhibit_rules"] for m in r.values()]
    assert {name for names in named for name in names} <= set(ALERTS)
    receivers = {one["name"] for one in routing["receivers"]}
    assert {one["receiver"] for one in [routing["route"], *routing["route"]["routes"]]} <= receivers


def test_a_dead_node_silences_no_other_and_its_exporter_speaks_of_the_same_one() -> None:
    routing = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text())
    assert all(rule.get("equal") == ["instance"] for rule in routing["inhibit_rules"])
    jobs = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    named = [one.get("labels", {}).get("instance") for job in jobs for one in job["static_configs"]]
    assert named[0]
    assert named == named[:1] * len(jobs)


# -- by Prometheus' own tools ------------------------------------------------------------------------------------------


def ran(*command: str | None) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_rules_and_configuration_are_valid() -> None:
    ran(PROMTOOL, "check", "config", str(PROMETHEUS / "prometheus.yml"))


@needs_promtool
def test_the_cases_of_all_alerts_hold() -> None:
    ran(PROMTOOL, "test", "rules", str(CASES))


@needs_amtool
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [("severity=critical", "at-once"), ("severity=warning", "everyday"), ("severity=info", "nobody")],
)
def test_alerts_reach_whom_they_are_for(labels: str, receiver: str) -> None:
    config = str(DEPLOY / "alertmanager" / "alertmanager.yml")
    ran(AMTOOL, "check-config", config)
    assert ran(AMTOOL, "config", "routes", "test", f"--config.file={config}", labels).strip() == receiver


# -- provoked ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def bench(settings: Settings, store: Store, tmp_path: Path) -> Iterator[Bench]:
    """Makes nodes' parts, each in a folder of its own."""
    made: list[World] = []

    def world(given: Settings = settings, **parts: Any) -> World:
        own = given.model_copy(update={"data_dir": tmp_path / f"node{len(made)}"})
        made.append(World(own, **parts))
        return made[-1]

    yield Bench(settings, store, world)
    for one in made:
        one.end()


@pytest.mark.parametrize("name", ALERTS)
def test_a_fault_makes_its_alert_fire_and_nothing_before_does(name: str, bench: Bench, tmp_path: Path) -> None:
    pages = FAULTS[name](bench)
    asked = scraped_in(ALERTS[name]["expr"])

    def looked_at(page: Scrape) -> dict[str, float]:
        return {series: value for series, value in page.series.items() if series.split("{")[0] in asked}

    faulty = list(pages.faulty)
    assert looked_at(faulty[-1]), asked
    if name not in SLOW_TO_SHOW:
        assert looked_at(pages.well) != looked_at(faulty[-1])
    if PROMTOOL is None:
        pytest.skip("what the alert asks for has changed; whether it fires needs promtool (apt install prometheus)")
    file = tmp_path / "provoked.yml"
    files = [str(PROMETHEUS / "recording.yml"), str(PROMETHEUS / "alerts.yml")]
    test = promtool_test(name, Pages(pages.well, faulty))
    file.write_text(json.dumps({"rule_files": files, "evaluation_interval": "1m", "tests": [test]}))
    ran(PROMTOOL, "test", "rules", str(file))


def promtool_test(name: str, pages: Pages) -> dict[str, Any]:
    """One alert: what is scraped minute by minute, and that it fires after the fault and not before."""
    minutes = _patience_min(ALERTS[name].get("for", "0s")) + SLOW_TO_SHOW.get(name, 2)
    faulty = list(pages.faulty)
    timeline = [pages.well] * WELL_MIN + faulty + [faulty[-1]] * (minutes + 2)
    asked = scraped_in(ALERTS[name]["expr"])
    series = sorted({one for page in timeline for one in page.series if one.split("{")[0] in asked})
    fires = f'clamp_max(count by (alertname) (ALERTS{{alertname="{name}", alertstate="firing"}}), 1)'
    answer = [{"labels": f'{{alertname="{name}"}}', "value": 1}]
    at = WELL_MIN + len(faulty) - 1 + minutes
    return {
        "interval": "1m",
        "input_series": [{"series": _labelled(one), "values": _values(one, timeline)} for one in series],
        "promql_expr_test": [
            {"expr": fires, "eval_time": f"{WELL_MIN - 1}m", "exp_samples": []},
            {"expr": fires, "eval_time": f"{at}m", "exp_samples": answer},
        ],
    }


def _patience_min(text: str) -> int:
    number, unit = _FOR.fullmatch(text).groups()  # type: ignore[union-attr]
    return -(-int(number) * {"s": 1, "m": 60, "h": 3600}[unit] // 60)


def _labelled(series: str) -> str:
    """A series as Prometheus stores it: with the labels of its target. Prometheus' own come with their job."""
    name, _, labels = series.partition("{")
    target = "" if name in OF_PROMETHEUS else 'job="trading", '
    return f'{name}{{{target}instance="n"' + (f", {labels}" if labels else "}")


def _values(series: str, timeline: list[Scrape]) -> str:
    """Minute by minute; times of day are moved so that the fault begins at the test's minute."""
    shift = 0.0
    if "timestamp_seconds" in series:
        shift = time.time() - 60 * WELL_MIN
    told = [page.series.get(series) for page in timeline]
    return " ".join("_" if value is None else f"{value - shift:.9f}" for value in told)
