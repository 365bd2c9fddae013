"""The loops of screening, compiled once: each worker would take half a minute for the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.screening.worlds import FREE, OfVolume, SaysVolume, at, candles, screening
from tests.shared import made_once
from trading_assets.screening import frames


@pytest.fixture(scope="session", autouse=True)
def _compiled_loops(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whoever comes first compiles them, the others read them from numba's files."""

    def compile_them(_: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(frames, "rule_of", OfVolume)
            screening(at(candles(60), {1: 1}), settings=FREE).trades([SaysVolume()])

    made_once(tmp_path_factory, "screening-loops", compile_them)
