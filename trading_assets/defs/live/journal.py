"""Live: what the node journalled, loaded exactly once; ``performance_summary.sql`` sums it up."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from trading_assets.defs.lib.metadata import TRADING_TEAM, Metadata, asset_metadata, describe_frame
from trading_assets.defs.lib.partitions import ALL_PARTITIONS
from trading_assets.journal import JOURNAL_FILE, cursor, load_journal
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import (
    ACCOUNT_EQUITY,
    BALANCES,
    FILLS,
    FUNDING_RATES,
    LIVE_FEATURES,
    LIVE_FUNDING,
    ORDERS,
    PAYMENTS,
    POSITIONS,
    RISK_STATES,
    SHADOW_SIGNALS,
    SIGNALS,
    Table,
)

GROUP = "live"
_JOURNALLED = (  # each with what it follows from
    (SIGNALS, "deployment", "What the node decided on each bar: enter, hold or refuse, with the model's probability."),
    (ORDERS, SIGNALS.name, "Each event in the life of each order that the node sent."),
    (FILLS, ORDERS.name, "Each fill of the node's orders, with the signal that caused it."),
    (POSITIONS, FILLS.name, "The node's position in a market after each change."),
    (RISK_STATES, POSITIONS.name, "What held trading back, of the node, a model or a market, and what ended it."),
    (PAYMENTS, FILLS.name, "Each line of the venue's account statement: fees, results, funding, transfers."),
    (BALANCES, PAYMENTS.name, "What the account owned of each currency, whenever that had changed."),
    (
        ACCOUNT_EQUITY,
        FILLS.name,
        "What the account was worth, open trades included, whenever that changed: by the minute.",
    ),
    (LIVE_FEATURES, "deployment", "The feature row that each decision was made from, and each side's probability."),
    (SHADOW_SIGNALS, "deployment", "What challengers, and the model that trades, said on each bar while in shadow."),
)
_LONG = (LIVE_FEATURES, SHADOW_SIGNALS, ACCOUNT_EQUITY)


@dg.multi_asset(
    name="journal",
    specs=[
        dg.AssetSpec(
            table.name,
            deps=[cause],
            description=text,
            group_name=GROUP,
            owners=[TRADING_TEAM],
            kinds={"sqlite", "duckdb"},
            metadata=asset_metadata(table),
        )
        for table, cause, text in _JOURNALLED
    ],
)
def journal(
    settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> Iterator[dg.MaterializeResult[None]]:
    """Bring the journal's new events into their tables; what is there already is not written again."""
    path = settings.live_dir / JOURNAL_FILE
    position = cursor(path)
    new = load_journal(store, path)
    for table, _, _ in _JOURNALLED:
        described = _described(store, table) if table in _LONG else describe_frame(store.read(table), table)
        yield dg.MaterializeResult(
            asset_key=table.name, metadata={**described, "new_rows": new[table.name], "journal_cursor": position}
        )


@dg.asset(
    name=LIVE_FUNDING.name,
    deps=[FILLS.name, dg.AssetDep(FUNDING_RATES.name, partition_mapping=ALL_PARTITIONS)],
    group_name=GROUP,
    owners=[TRADING_TEAM],
    kinds={"polars", "duckdb"},
    metadata=asset_metadata(LIVE_FUNDING),
)
def live_funding(settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]) -> dg.MaterializeResult[None]:
    """What the node's positions paid and received in funding, by their fills and the stored rates."""
    from trading_assets.costs.ledger import live_funding as reckoned

    rows = reckoned(store, settings)
    for node in store.read(FILLS, columns=["node"])["node"].unique().sort():
        store.replace_together([(LIVE_FUNDING, rows.filter(pl.col("node") == node))], where={"node": node})
    return dg.MaterializeResult(metadata=describe_frame(rows, LIVE_FUNDING))


def _described(store: Store, table: Table) -> Metadata:
    """Row count and range, without reading the rows: they are many."""
    rows = int(store.query(f"SELECT count(*) AS rows FROM {table.name}")["rows"][0])
    first, last = store.bounds(table) or (None, None)
    return {"dagster/row_count": rows} | ({} if first is None else {"first": str(first), "last": str(last)})
