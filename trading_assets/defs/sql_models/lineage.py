"""What an asset made by a SQL model shows: its SELECT, its columns, and the stored columns that each comes from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import dagster as dg

from trading_assets.defs.lib.metadata import Metadata, asset_metadata
from trading_assets.sql import SqlModel
from trading_assets.store.tables import TABLES


def column_lineage(model: SqlModel) -> dg.TableColumnLineage:
    """Column -> the columns of other assets that it is computed from."""
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(source.table, source.column) for source in sources]
            for column, sources in model.lineage.items()
        }
    )


def lineage_metadata(model: SqlModel) -> Metadata:
    """The entry of a materialization from which the UI draws the columns' lineage."""
    return {"dagster/column_lineage": column_lineage(model)}


def sql_asset(model: SqlModel, **options: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """``dg.asset`` with all that the SQL says: name, upstream assets, code version and metadata."""
    metadata = {**asset_metadata(TABLES[model.name]), **lineage_metadata(model)}
    decorate: Callable[[Callable[..., Any]], dg.AssetsDefinition] = dg.asset(
        name=model.name,
        deps=list(model.dependencies),
        kinds={"sql", "duckdb"},
        code_version=hashlib.sha256(model.sql.encode()).hexdigest()[:12],
        metadata={**metadata, "sql": dg.MetadataValue.md(f"```sql\n{model.sql}\n```")},
        **options,
    )
    return decorate
