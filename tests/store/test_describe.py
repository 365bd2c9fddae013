"""The reference page of the tables is the one that their declarations give."""

from __future__ import annotations

from pathlib import Path

from trading_assets.core.timeframes import Timeframe
from trading_assets.sql import load_models
from trading_assets.store.describe import tables_markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "tables.md"


def test_the_page_of_tables_is_current() -> None:
    assert PAGE.read_text() == tables_markdown(), (
        "run python -m trading_assets.store.describe > docs/reference/tables.md"
    )


def test_the_page_names_the_file_of_every_sql_model() -> None:
    files = {model.path.name for model in load_models(timeframes=[Timeframe.parse("15m")]).values()}
    for file in files:
        assert f"Selected by `dbt_like_sql/{file}`." in tables_markdown()
    assert tables_markdown().count("Selected by") == len(files)
