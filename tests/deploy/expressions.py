"""What rules and dashboards ask of Prometheus: the metrics that an expression names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from trading_assets.monitoring.exported.catalogue import DATA
from trading_assets.settings import PROJECT_ROOT
from trading_live.metrics.catalogue import NODE

DEPLOY = PROJECT_ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
OF_THE_CLIENT = {"process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"}
OF_PROMETHEUS = {"up", "ALERTS"}
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"')
_LABELS = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def names_in(expression: str) -> set[str]:
    """The metrics, and recorded ones, of an expression."""
    bare = _LABELS.sub(" ", _QUOTED.sub('""', expression))
    bare = re.sub(r"\{[^}]*\}", " ", bare)
    bare = re.sub(r"\[[^\]]*\]", " ", bare)
    return {name for name in _NAME.findall(bare) if name.startswith("trading_") or ":" in name or name in KNOWN_OTHERS}


KNOWN_OTHERS = OF_THE_CLIENT | OF_PROMETHEUS


def exported() -> set[str]:
    """Every series' name that the two exporters may show."""
    found = set()
    for metric in (*NODE.metrics, *DATA.metrics):
        ends = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        found |= {metric.name + end for end in ends}
    return found | KNOWN_OTHERS


OF_THE_TARGET = {"job", "instance"}
"""Labels that Prometheus gives to whatever it scrapes."""


def labels_of(name: str) -> set[str]:
    """The labels of a scraped series, as it is stored."""
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    own = {label for metric in (*NODE.metrics, *DATA.metrics) if metric.name in {name, base} for label in metric.labels}
    return own | OF_THE_TARGET | ({"le"} if name.endswith("_bucket") else set())


def rules(file: Path) -> list[dict[str, Any]]:
    """All rules of a file."""
    return [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in rules(PROMETHEUS / "alerts.yml")}
RECORDED: dict[str, str] = {rule["record"]: rule["expr"] for rule in rules(PROMETHEUS / "recording.yml")}


def scraped_in(expression: str) -> set[str]:
    """The names that are scraped of an expression: recorded ones are looked up."""
    found: set[str] = set()
    for name in names_in(expression):
        found |= scraped_in(RECORDED[name]) if name in RECORDED else {name}
    return found
