"""Statements in DuckDB's dialect mean the same on PostgreSQL."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading_assets.core.errors import StoreError
from trading_assets.store import Store
from trading_assets.store.postgres.dialect import to_postgres

ROWS = """
WITH t AS (
    SELECT * FROM (VALUES
        (1, 'a', 0.1::DOUBLE, 3::DOUBLE, TIMESTAMPTZ '2025-01-01 00:07:30+00'),
        (2, 'a', 0.2::DOUBLE, NULL, TIMESTAMPTZ '2025-01-01 00:20:00+00'),
        (3, 'b', 0.3::DOUBLE, 1::DOUBLE, TIMESTAMPTZ '2025-01-31 23:59:59.999999+00'),
        (4, 'b', 1e16::DOUBLE, -1::DOUBLE, TIMESTAMPTZ '2024-02-29 12:00:00+00')
    ) AS v (n, k, x, y, ts)
)
"""
MOMENT = datetime(2025, 1, 1, 12, 30, tzinfo=UTC)


def both(duckdb: Store, postgres: Store, sql: str, parameters: dict[str, Any] | None = None) -> pl.DataFrame:
    """The result, once it is known to be the same."""
    wanted = duckdb.query(ROWS + sql, parameters)
    found = postgres.query(ROWS + sql, parameters)
    assert found.columns == wanted.columns
    assert_frame_equal(found.cast(dict(wanted.schema)), wanted, rel_tol=1e-12, abs_tol=0)
    return wanted


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT k, arg_min(x, ts) AS first, arg_max(x, ts) AS last, arg_max(y, n) AS c FROM t GROUP BY k ORDER BY k",
        "SELECT k, arg_min(n, ts) FILTER (WHERE n > $low) AS a, max_by(n, y) AS b FROM t GROUP BY ALL ORDER BY ALL",
        "SELECT time_bucket(INTERVAL '15 minutes', ts) AS a, time_bucket(INTERVAL '7 days', ts) AS b FROM t ORDER BY n",
        "SELECT time_bucket(INTERVAL '1 month', ts) AS a, date_trunc('day', ts) AS b FROM t ORDER BY n",
        "SELECT ts + to_minutes(n) AS a, ts + to_days($low) AS b, ts - to_seconds(90) AS c FROM t ORDER BY n",
        "SELECT epoch(ts) AS a, epoch_us(ts) AS b, epoch(ts - $moment) AS c FROM t ORDER BY n",
        "SELECT n // 2 AS a, -n // 2 AS b, n % 2 AS c, n / 2 AS d, sum(n) OVER (ORDER BY n) / 3 AS e FROM t ORDER BY n",
        "SELECT k, sum(x ORDER BY ts) AS a, sum(x ORDER BY n) FILTER (WHERE n < 4) AS b FROM t GROUP BY 1 ORDER BY 1",
        "SELECT k, median(x) AS a, median(n) FILTER (WHERE n <> 2) AS b FROM t GROUP BY 1 ORDER BY 1",
        "SELECT k, quantile_cont(x, 0.25) AS a, quantile_disc(n, 0.5) AS b FROM t GROUP BY 1 ORDER BY 1",
        "SELECT n FROM t QUALIFY row_number() OVER (PARTITION BY k ORDER BY ts DESC) = 1 ORDER BY n",
        "SELECT n, y FROM t ORDER BY y DESC, n",
        "SELECT isnan(x / nullif(y, 0)) AS a, isfinite(y) AS b, x IS DISTINCT FROM y AS c FROM t ORDER BY n",
        "SELECT list(n ORDER BY n DESC)[1] AS a, count_if(n > 2) AS b, bool_and(n > 0) AS c FROM t",
        "SELECT substr(k || ':x:y', strpos(k || ':x:y', ':') + 1) AS a, left(k, 1) AS b FROM t ORDER BY n",
        "SELECT k LIKE 'a%' AS a, '100 %' AS b, CASE WHEN k == 'a' THEN 1 ELSE 0 END AS c FROM t ORDER BY n",
        "SELECT greatest(y, x) AS a, least(y, NULL, x) AS b, coalesce(y, 0) AS c, round(x, 1) AS d FROM t ORDER BY n",
        "SELECT lag(n, m) OVER (PARTITION BY m ORDER BY n) AS a, m FROM t CROSS JOIN (VALUES (-1), (1)) AS s (m)"
        " ORDER BY m, n",
        "SELECT unnest(generate_series($moment, $moment + INTERVAL '2 days', INTERVAL '1 day')) AS day ORDER BY 1",
        "SELECT datediff('day', min(ts), max(ts)) AS a, any_value(n) FILTER (WHERE n = 2) AS b FROM t",
        "SELECT k FROM t SEMI JOIN (SELECT 'a' AS k) AS s USING (k) ORDER BY 1",
    ],
)
def test_a_construct_gives_the_same_on_both_engines(duckdb_store: Store, postgres_store: Store, sql: str) -> None:
    given = {name: value for name, value in {"low": 1, "moment": MOMENT}.items() if f"${name}" in sql}
    assert both(duckdb_store, postgres_store, sql, given).height


def test_the_order_of_a_sum_decides_its_last_digit(duckdb_store: Store, postgres_store: Store) -> None:
    sql = ROWS + "SELECT sum(x ORDER BY n) AS up, sum(x ORDER BY n DESC) AS down FROM t WHERE n < 4"
    found = duckdb_store.query(sql).row(0)
    assert found == postgres_store.query(sql).row(0) == (0.6000000000000001, 0.6)


def test_medians_are_the_same_to_the_last_digit(duckdb_store: Store, postgres_store: Store) -> None:
    values = ", ".join(f"({n % 40}, {math.sin(n) * 10 ** (n % 7)!r}::DOUBLE)" for n in range(2_001))
    sql = (
        "SELECT g, median(x) AS a, median(abs(x)) FILTER (WHERE x > 0) AS b "
        f"FROM (VALUES {values}) AS t (g, x) GROUP BY g ORDER BY g"
    )
    assert postgres_store.query(sql).rows() == duckdb_store.query(sql).rows()


def test_parameters_and_percent_signs_are_ready_for_psycopg() -> None:
    assert to_postgres("SELECT $a % 2, 'x%', $b") == "SELECT %(a)s %% 2, 'x%%', %(b)s"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * EXCLUDE (a) FROM t", "PostgreSQL has no .*EXCLUDE.*name the columns"),
        ("SELECT 1 FROM (t", "SELECT 1 FROM .t: no PostgreSQL for this statement: Expecting"),
    ],
)
def test_what_postgres_cannot_say_is_refused_with_the_reason(sql: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        to_postgres(sql)
