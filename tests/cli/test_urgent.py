"""A kill goes out before the command is loaded, to the folder that the command would find, and to no other."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from trading_assets.settings import load_settings
from trading_cli import urgent
from trading_live.operations import kill_switch


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["kill"], {}),
        (["kill", "--reason", "why not", "--wait=3"], {"--reason": "why not", "--wait": "3"}),
        (["--settings", "kill", "status"], None),
        (["--data-dir=d", "--debug", "kill"], {"--data-dir": "d"}),
        (["kill", "--reset"], None),
        (["kill", "--reset", "--keep-positions"], None),
        (["kill", "--help"], None),
        (["--reason", "kill", "status"], None),
        (["status", "kill"], None),
        ([], None),
    ],
)
def test_only_a_kill_is_urgent(arguments: Sequence[str], found: dict[str, str] | None) -> None:
    assert urgent.parsed(arguments) == found


@pytest.mark.parametrize("how", ["flag", "variable", "lower case", "file"])
def test_it_finds_the_folder_that_the_settings_name(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRADING_DATA_DIR", "TRADING_SETTINGS"):
        monkeypatch.setenv(name, "given back at the end")
        monkeypatch.delenv(name)
    flags: list[str] = []
    if how == "flag":
        monkeypatch.chdir(tmp_path)
        flags = ["--data-dir", "here"]
        monkeypatch.setenv("TRADING_DATA_DIR", str(tmp_path / "elsewhere"))
        wanted = tmp_path / "here"
    elif how == "file":
        file = tmp_path / "other.yaml"
        wanted = tmp_path / "of file"
        file.write_text(re.sub(r"(?m)^data_dir:.*", f"data_dir: {wanted}", load_settings().file.read_text()))
        flags = ["--settings", str(file)]
    else:
        wanted = tmp_path / "told"
        monkeypatch.setenv("TRADING_DATA_DIR" if how == "variable" else "trading_data_dir", str(wanted))
        assert load_settings().data_dir == wanted
    options = urgent.parsed([*flags, "kill"])
    assert options is not None
    assert urgent.data_dir(options) == wanted
    if how == "file":
        assert load_settings().data_dir == wanted, "the flag is carried as the command carries it"


def test_a_kill_is_on_before_the_command_is_loaded_also_with_settings_that_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    broken = tmp_path / "broken.yaml"
    broken.write_text("nothing: here\n")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "trading_cli", "--settings", str(broken), "--data-dir", str(tmp_path)),
            *("kill", "--reason", "now"),
        ],
        capture_output=True,
        text=True,
    )
    switch = kill_switch.engaged(tmp_path / "live")
    assert switch is not None
    assert switch.reason == "now"
    assert done.returncode == 2
    assert "the kill switch is on; what came of it is not known:" in done.stdout
    assert "Traceback" not in done.stderr


def test_it_loads_little() -> None:
    heavy = "typer, rich, pydantic, polars, structlog, trading_assets.settings"
    code = (
        "import sys; from trading_cli import urgent; urgent.kill_first(['--data-dir', 'nowhere', 'kill']); "
        f"print([one for one in '{heavy}'.split(', ') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_folder_is_made_where_no_node_ever_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urgent, "sent", None)
    urgent.kill_first(["--data-dir", str(tmp_path / "typo"), "kill"])
    assert urgent.sent is None
    assert not (tmp_path / "typo").exists()
