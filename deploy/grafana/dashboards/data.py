"""The dashboard of the graph: runs, freshness, gaps, checks."""

from __future__ import annotations

from deploy.grafana.dashboards.board import Board, Row, lines, number

_ALL = '{instance=~"$instance"}'
_MARKET = '{instance=~"$instance", market=~"$market"}'

DATA = Board(
    "data",
    "Data",
    "Runs, freshness, gaps and checks of the graph.",
    (
        Row(
            "Now",
            (
                number("Page made", f"time() - trading_export_timestamp_seconds{_ALL}", unit="s", limit=900),
                number(
                    "Runs failed in a day",
                    'sum(trading_dagster_runs{instance=~"$instance", status="failure"}) or vector(0)',
                    limit=1,
                ),
                number("Checks that fail", f"sum(trading_check_passed{_ALL} == bool 0)", limit=1),
                number(
                    "Missing months",
                    'sum(trading_asset_partitions{instance=~"$instance", state="missing", '
                    'asset=~"candles|bars_.*|features|labels"})',
                    limit=1,
                ),
                number("Unexplained gaps", f"sum(market:trading_gap_candles:unexplained{_ALL})"),
                number("Store", f"trading_store_size_bytes{_ALL}", unit="bytes"),
            ),
        ),
        Row(
            "Runs",
            (
                lines("Runs of a day", (f"trading_dagster_runs{_ALL}", "{{job_name}} {{status}}")),
                lines("How long they take", (f"trading_dagster_run_duration_seconds{_ALL}", "{{job_name}}"), unit="s"),
                lines("Not ended for", (f"trading_dagster_unfinished_run_seconds{_ALL}", "{{job_name}}"), unit="s"),
                lines(
                    "Daemons' last word",
                    (f"time() - trading_dagster_daemon_timestamp_seconds{_ALL}", "{{daemon}}"),
                    unit="s",
                ),
            ),
        ),
        Row(
            "Freshness",
            (
                lines(
                    "Age of the newest candle", (f"market:trading_candles_age_seconds{_MARKET}", "{{market}}"), unit="s"
                ),
                lines("Age of assets", (f"asset:trading_asset_age_seconds{_ALL}", "{{asset}}"), unit="s"),
                lines(
                    "Missing partitions",
                    ('trading_asset_partitions{instance=~"$instance", state="missing"}', "{{asset}}"),
                ),
                lines("Journal not in the tables", (f"trading_journal_unloaded{_ALL}", "behind")),
            ),
        ),
        Row(
            "Quality",
            (
                lines("Missing candles", (f"sum by (reason) (trading_gap_candles{_MARKET})", "{{reason}}")),
                lines("In quarantine", (f"trading_quarantined_candles{_MARKET}", "{{market}}")),
                lines("Failing parts", (f"trading_check_problems{_ALL} > 0", "{{asset}}: {{check}}")),
                lines("What the node's folder shows", (f"trading_node_problems{_ALL}", "{{kind}}")),
                lines("Time for a page", (f"trading_export_duration_seconds{_ALL}", "{{part}}"), unit="s"),
                lines("Parts that cannot be read", (f"trading_export_failed{_ALL}", "{{part}}")),
            ),
        ),
    ),
)
