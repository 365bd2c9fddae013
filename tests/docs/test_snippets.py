"""Every snippet of the documentation does what its page says: settings load, commands parse, code and queries run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import polars as pl
import pytest
import typer
import yaml

from tests.seats import registered_here
from tests.shared import made_once
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import compute
from trading_assets.settings import PROJECT_ROOT, SETTINGS_FILE_VARIABLE, Settings, load_settings
from trading_assets.sources import split_valid
from trading_assets.sources.candles.sample import SampleCandles
from trading_assets.sql import build_bars, load_models
from trading_assets.store import Store, open_store
from trading_assets.store.tables import BARS, CANDLES, FEATURES, LABELS

M15 = Timeframe.parse("15m")

if TYPE_CHECKING:
    from conftest import PlantedFrames

MARKET = "sample:SYNA/USDT:USDT"
PAGES = (PROJECT_ROOT / "README.md", *sorted((PROJECT_ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
ALIAS = re.compile(r"""^alias (\w+)=(['"])(.*?)\2$""")
SHELL = {
    "sudo",
    "make",
    "git",
    "export",
    "createdb",
    "psql",
    "sqlite3",
    "grep",
    "systemctl",
    "cp",
    "alias",
    "curl",
    "kill",
    "uv",
    "crontab",
    "promtool",
    "amtool",
}
"""Other people's commands, which are not ours to try."""


@dataclass(frozen=True)
class Snippet:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(PROJECT_ROOT)}:{self.line}"


def snippets(language: str) -> list[Snippet]:
    found = []
    for page in PAGES:
        content = page.read_text()
        for block in BLOCK.finditer(content):
            indent, kind, text = block.groups()
            lines = [line.removeprefix(indent) for line in text.splitlines()]
            line = content.count("\n", 0, block.start()) + 1
            found.append(Snippet(page, line, kind, "\n".join(lines) + "\n"))
    return [one for one in found if one.language == language]


def test_every_block_has_a_language_that_is_tried_or_is_a_picture() -> None:
    for page in PAGES:
        for block in BLOCK.finditer(page.read_text()):
            assert block[2] in {"bash", "yaml", "python", "sql", "mermaid", "", "text", "ini", "json"}, (
                page,
                block[0][:80],
            )


# commands


def commands(snippet: Snippet) -> Iterator[list[str]]:
    """The words of each call of `trading`, with the page's aliases in place and without variables before it."""
    aliases: dict[str, str] = {}
    for line in snippet.text.replace("\\\n", " ").splitlines():
        if named := ALIAS.match(line.strip()):
            aliases[named[1]] = named[3]
            continue
        words = shlex.split(line, comments=True)
        while words and re.match(r"[A-Z0-9_]+=", words[0]):
            words = words[1:]
        if not words:
            continue
        if words[0] in aliases:
            words = [*shlex.split(aliases[words[0]]), *words[1:]]
        if Path(words[0]).name == "trading":
            yield words[1:]
        else:
            assert Path(words[0]).name in SHELL | {"python", "ruff", "pytest"}, f"{snippet}: what is {words[0]!r}?"


def parse(words: list[str]) -> None:
    """Read a command line as the command does, without running it."""
    from trading_cli.main import app

    command: click.Command = typer.main.get_command(app)
    context = command.make_context("trading", list(words), help_option_names=["-h", "--help"])
    while isinstance(command, click.Group) and (rest := [*context._protected_args, *context.args]):
        name, command, rest = command.resolve_command(context, rest)
        assert command is not None
        context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("snippet", snippets("bash"), ids=str)
def test_every_command_is_one_that_the_program_takes(snippet: Snippet, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in commands(snippet):
        try:
            parse(words)
        except (click.exceptions.Exit, typer.Exit):
            pass  # --help and --version end by themselves
        except click.ClickException as error:
            raise AssertionError(f"{snippet}: trading {shlex.join(words)}: {error.format_message()}") from None


# settings


def write_files(page: Path, folder: Path) -> None:
    """The files of a page: the code that begins with a file's name."""
    for other in snippets("python"):
        if other.page == page and (named := re.match(r"# (\w+\.py)\b", other.text)):
            (folder / named[1]).write_text(other.text)


def laid_over(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        merged[key] = laid_over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def of_settings(snippet: Snippet) -> bool:
    return set(yaml.safe_load(snippet.text)) <= set(Settings.model_fields) and "data_tests" not in snippet.text


@pytest.mark.parametrize("snippet", [one for one in snippets("yaml") if of_settings(one)], ids=str)
def test_every_piece_of_settings_loads(snippet: Snippet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = yaml.safe_load((PROJECT_ROOT / "trading.yaml").read_text())
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(laid_over(base, yaml.safe_load(snippet.text))))
    write_files(snippet.page, tmp_path)
    monkeypatch.setenv(SETTINGS_FILE_VARIABLE, str(file))
    with registered_here():
        assert load_settings()


@pytest.mark.parametrize("snippet", [one for one in snippets("yaml") if not of_settings(one)], ids=str)
def test_every_other_piece_of_yaml_is_read_by_its_reader(snippet: Snippet, tmp_path: Path) -> None:
    from trading_live.replay import Faults

    file = tmp_path / "piece.yaml"
    file.write_text(snippet.text)
    if "faults" in yaml.safe_load(snippet.text):
        assert Faults.read(file)
        return
    folder = tmp_path / "models"
    folder.mkdir()
    for part in (PROJECT_ROOT / "dbt_like_sql").glob("*.sql"):
        (folder / part.name).write_text(part.read_text())
    (folder / "tests.yaml").write_text(snippet.text)
    assert load_models(folder)


# code and queries


@pytest.fixture(scope="session")
def after_the_demo(tmp_path_factory: pytest.TempPathFactory, planted: PlantedFrames) -> Path:
    """A data folder with candles, features and labels of the demo's first market, as far as the pages read them."""

    def make(folder: Path) -> None:
        store = open_store(f"duckdb:///{folder / 'market.duckdb'}")
        start, end = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 4, 11, tzinfo=UTC)
        sample = pl.concat(SampleCandles(start, 100, 7).fetch(MARKET, "1m", start, end))
        store.upsert(CANDLES, split_valid(sample, market=MARKET, timeframe="1m", start=start, end=end, now=end)[0])
        bars = build_bars(store, load_models()["bars_15m"], market=MARKET, timeframe="1m", start=start, end=end)
        store.upsert(BARS["15m"], bars)
        store.upsert(FEATURES, compute(bars, timeframe=M15).with_columns(timeframe=pl.lit("15m")))
        store.upsert(LABELS, planted(days=100, markets=(MARKET,))[1].with_columns(label_set=pl.lit("swing")))

    return made_once(tmp_path_factory, "demo", make)


@pytest.mark.parametrize("snippet", snippets("python"), ids=str)
def test_every_piece_of_code_runs_as_printed(snippet: Snippet, after_the_demo: Path, tmp_path: Path) -> None:
    """In a process of its own: a page's feature registers itself. What begins with a file's name is a file there."""
    data = shutil.copytree(after_the_demo, tmp_path / "data")
    write_files(snippet.page, tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", snippet.text],
        env=os.environ | {"TRADING_DATA_DIR": str(data)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, f"{snippet}: {ended.stderr[-2000:]}"


@pytest.mark.parametrize("snippet", snippets("sql"), ids=str)
def test_every_query_runs(snippet: Snippet, store: Store) -> None:
    names = set(re.findall(r"\$(\w+)", snippet.text))
    store.query(snippet.text, {name: "1m" if name == "timeframe" else "2025-01-01T00:00Z" for name in names})
