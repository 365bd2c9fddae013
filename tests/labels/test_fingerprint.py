"""The labels' code version: it changes with what the code does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from trading_assets import labels
from trading_assets.labels import fingerprint

HOME = Path(labels.__file__).parent


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("kernels", "_TOUCH: Final = 1e-12", "_TOUCH: Final = 0.0"),
        ("exits", "settings.costs", "0.0"),
        ("barrier_distances", "settings.scale_bars) + 1", "settings.scale_bars)"),
        ("barriers", 'pl.col("side") != 0', 'pl.col("side") > 0'),
        ("plan_exits", "named.trailing.distance", "0.5"),
        ("plan_units", "plan.atr_bars + 1", "plan.atr_bars"),
        ("../exits/kernel", "filled >= plan.trailing_after", "filled > plan.trailing_after"),
        ("sampling", '"imbalance": (volume * close', '"imbalance": (volume'),
        ("kinds/meta", "return self.rule.sides(bars)", "return -self.rule.sides(bars)"),
        ("kinds/contract", "earned > 0", "earned >= 0"),
    ],
)
def test_other_code_of_labels_is_another_version(tmp_path: Path, module: str, old: str, new: str) -> None:
    for room in ("labels", "exits"):
        shutil.copytree(HOME.parent / room, tmp_path / room)
    path = tmp_path / "labels" / f"{module}.py"
    assert fingerprint(tmp_path / "labels") == fingerprint()
    source = path.read_text("utf-8")
    assert old in source
    path.write_text(source + "\n# a comment\n", "utf-8")
    assert fingerprint(tmp_path / "labels") == fingerprint()
    path.write_text(source.replace(old, new), "utf-8")
    assert fingerprint(tmp_path / "labels") != fingerprint()
