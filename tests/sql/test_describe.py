"""The reference page of the SQL models is the one that their files give."""

from __future__ import annotations

from trading_assets.settings import PROJECT_ROOT
from trading_assets.sql import load_models
from trading_assets.sql.describe import models_markdown


def test_the_page_of_models_is_current_and_names_each_with_its_tests() -> None:
    page = models_markdown()
    assert (PROJECT_ROOT / "docs" / "reference" / "sql-models.md").read_text() == page, (
        "run python -m trading_assets.sql.describe > docs/reference/sql-models.md"
    )
    for model in load_models().values():
        assert f"## {model.name}\n" in page
        assert all(f"| `{one.name}` | {one.severity} |" in page for one in model.expectations)
