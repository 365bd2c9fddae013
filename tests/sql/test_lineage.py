"""Where the columns of a model come from."""

from __future__ import annotations

from pathlib import Path

from trading_assets.sql import SourceColumn, load_models
from trading_assets.store import TABLES


def sources(name: str, column: str) -> set[str]:
    return {f"{table}.{source}" for table, source in load_models()[name].lineage[column]}


def test_a_bars_prices_come_from_the_candles_prices_and_times() -> None:
    assert sources("bars_15m", "market") == {"candles.market"}
    assert sources("bars_15m", "known_at") == {"candles.ts"}
    assert sources("bars_15m", "high") == {"candles.high"}
    assert sources("bars_15m", "open") == {"candles.open", "candles.ts"}, "the first by time"


def test_lineage_reaches_through_parts_of_a_statement_joins_and_unions() -> None:
    assert sources("performance_summary", "node") == {"signals.node", "fills.node", "positions.node"}
    assert sources("performance_summary", "fees") == {
        f"fills.{name}" for name in ("fee", "seq", "fee_price", "fee_currency", "market", "price")
    }
    assert sources("exchange_comparison", "reference") == {"candles.market"}
    assert sources("daily_quality", "candles_quarantined") == {"candles_quarantine.ts"}
    assert sources("daily_quality", "candles_revised") == {"candle_revisions.ts"}


def test_every_column_is_traced_to_declared_columns_of_what_the_model_reads() -> None:
    for model in load_models().values():
        assert list(model.lineage) == list(model.columns)
        for column in {one for found in model.lineage.values() for one in found}:
            assert column.table in model.dependencies
            assert column.column in TABLES[column.table].columns


def test_a_column_that_reads_nothing_has_no_source(tmp_path: Path) -> None:
    sql = "SELECT market, ts, ts AS known_at, 1.0 AS open, high, low, close, volume, count(*) AS candles FROM candles"
    (tmp_path / "bars_5m.sql").write_text(f"{sql} GROUP BY ALL")
    lineage = load_models(tmp_path)["bars_5m"].lineage
    assert lineage["open"] == lineage["candles"] == ()
    assert lineage["low"] == (SourceColumn("candles", "low"),)
