"""Dagster's private names: one module has them."""

from __future__ import annotations

import re

from trading_assets.settings import PROJECT_ROOT

HOLDER = "trading_assets/defs/lib/dagster_internals.py"
PRIVATE = re.compile(r"\bdagster\w*(?:\.\w+)*\._[a-z]")


def test_private_names_of_dagster_stand_in_one_module() -> None:
    folders = ("trading_assets", "trading_live", "trading_cli", "benchmarks", "deploy")
    files = [
        file for folder in folders for file in (PROJECT_ROOT / folder).rglob("*") if file.suffix in (".py", ".yaml")
    ]
    found = [
        f"{file.relative_to(PROJECT_ROOT)}:{number}"
        for file in [*files, PROJECT_ROOT / "dagster.yaml", PROJECT_ROOT / "workspace.yaml"]
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if PRIVATE.search(line) and file != PROJECT_ROOT / HOLDER
    ]
    assert found == []
