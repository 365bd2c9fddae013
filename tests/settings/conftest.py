"""What tests of the settings share."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from trading_assets.settings import PROJECT_ROOT, SETTINGS_FILE_VARIABLE


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a settings file that changes some keys of the base and make it the one in force."""

    def write(changes: dict) -> Path:
        base = yaml.safe_load((PROJECT_ROOT / "trading.yaml").read_text())
        for key, value in changes.items():
            section = base
            *parents, last = key.split(".")
            for parent in parents:
                section = section.setdefault(parent, {})
            section[last] = value
        file = tmp_path / "settings.yaml"
        file.write_text(yaml.safe_dump(base))
        monkeypatch.setenv(SETTINGS_FILE_VARIABLE, str(file))
        return file

    return write


def line_of(file: Path, text: str) -> int:
    return next(number for number, line in enumerate(file.read_text().splitlines(), 1) if text in line)
