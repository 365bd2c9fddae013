"""The engine's logs have a bound, however often an engine is started."""

from __future__ import annotations

import os
from pathlib import Path

from trading_assets.settings import Settings
from trading_live.node.engine import KEPT_LOGS, engine_logging


def test_however_many_engines_were_started_the_newest_logs_of_each_name_are_kept(settings: Settings) -> None:
    folder: Path = settings.data_dir / "logs"
    folder.mkdir(parents=True)
    for number in range(40):
        for name in ("engine", "engine-record"):
            file = folder / f"{name}_2026-01-01_{number:06d}-000.jsonl"
            file.touch()
            os.utime(file, (number, number))
    (folder / "node.log").touch()
    engine_logging(settings, "engine")
    kept = sorted(folder.glob("engine_*"))
    assert [file.stat().st_mtime for file in kept] == list(range(26, 40))
    assert len(kept) + 6 == KEPT_LOGS, "its own and the five that it rotates make the rest"
    assert len(list(folder.glob("engine-record_*"))) == 40
    assert (folder / "node.log").exists()
