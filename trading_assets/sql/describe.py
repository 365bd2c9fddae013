"""The reference page of the SQL models, written from their files: ``python -m trading_assets.sql.describe``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from trading_assets.core.timeframes import Timeframe
from trading_assets.sql.loading import load_models
from trading_assets.sql.model import SourceColumn, SqlModel

_HEAD = """# SQL models

Written from `dbt_like_sql/` by `python -m trading_assets.sql.describe`; do not edit.

One SELECT per file; the file's name is the table's and the asset's. What the columns mean stands with the
[tables](tables.md); how to add a model, [here](../how-to/add-a-sql-model.md). A file with `{timeframe}` in its name is
a template: a model of each timeframe that the settings' models decide on, or another SQL model reads; 15m is shown.
"""


def models_markdown() -> str:
    """The page: for each model what it reads and needs, where its columns come from, and its tests."""
    models = load_models(timeframes=[Timeframe.parse("15m")])
    index = "\n".join(f"| [`{name}`](#{name}) | {models[name].description} |" for name in sorted(models))
    sections = (_section(models[name]) for name in sorted(models))
    return "\n".join([_HEAD, f"| model | what it selects |\n|---|---|\n{index}\n", *sections])


def _section(model: SqlModel) -> str:
    parts = [f"## {model.name}\n", f"`{model.path.name}`. {' '.join(_opening_comment(model))}\n"]
    parts.append(f"Reads {_code(model.dependencies)}; parameters {_code(f'${name}' for name in model.parameters)}.\n")
    rows = "\n".join(f"| `{column}` | {_sources(sources)} |" for column, sources in model.lineage.items())
    parts.append(f"| column | computed from |\n|---|---|\n{rows}\n")
    if model.expectations:
        tests = "\n".join(f"| `{one.name}` | {one.severity} | {one.description} |" for one in model.expectations)
        parts.append(f"| test | severity | what it asks for |\n|---|---|---|\n{tests}\n")
    return "\n".join(parts)


def _opening_comment(model: SqlModel) -> Iterable[str]:
    for line in model.sql.splitlines():
        if not line.startswith("--"):
            return
        yield line.removeprefix("--").strip()


def _sources(sources: Sequence[SourceColumn]) -> str:
    return _code(f"{source.table}.{source.column}" for source in sources)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


if __name__ == "__main__":
    sys.stdout.write(models_markdown())
