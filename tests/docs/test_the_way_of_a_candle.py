"""The page that walks through the modules names modules that are there."""

from __future__ import annotations

import re

import pytest

from trading_assets.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "concepts" / "the-way-of-a-candle.md"


def named() -> list[str]:
    rows = [line.split("|") for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    told = [name for row in rows for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)*)`", row[2])]
    return sorted(dict.fromkeys(told))


@pytest.mark.parametrize("name", named())
def test_every_module_on_the_way_is_there(name: str) -> None:
    full = name if name.startswith("trading_") else f"trading_assets.{name}"
    folder = PROJECT_ROOT.joinpath(*full.split("."))
    assert folder.is_dir() or folder.with_suffix(".py").is_file()
