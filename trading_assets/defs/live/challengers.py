"""Challengers: what each version said in shadow, traded by the backtest's engine and compared."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from trading_assets.defs.lib.metadata import TRADING_TEAM, asset_metadata, describe_frame
from trading_assets.registry import read_manifest
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES, CHALLENGERS, SHADOW_EQUITY, SHADOW_SIGNALS, SHADOW_TRADES

GROUP = "live"
_MADE = (
    (SHADOW_TRADES, "Round trips that champion and challengers would have made on what they said in shadow."),
    (SHADOW_EQUITY, "The hypothetical account of champion and challengers at the end of each day."),
    (CHALLENGERS, "Champion and challengers side by side, with the probability that a challenger is the better one."),
)


@dg.multi_asset(
    name="shadow_accounts",
    specs=[
        dg.AssetSpec(
            table.name,
            deps=[SHADOW_SIGNALS.name, CANDLES.name],
            description=text,
            group_name=GROUP,
            owners=[TRADING_TEAM],
            kinds={"nautilus", "duckdb"},
            metadata=asset_metadata(table),
        )
        for table, text in _MADE
    ],
)
def shadow_accounts(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> Iterator[dg.MaterializeResult[None]]:
    """Trade the shadow signals of every model that has challengers, by the backtest's own engine, and compare."""
    from trading_assets.backtest.challengers import compare_in_shadow, keep
    from trading_assets.backtest.report.challengers import render_challengers

    pages = {}
    for model in sorted(read_manifest(settings.live_dir).challengers):
        records = compare_in_shadow(settings, store, model)
        rows = keep(settings, store, model, records)
        pages[model] = str(render_challengers(records, rows.to_dicts(), settings, created_at=datetime.now(UTC)))
        for record in records:
            if record.note:
                context.log.info(f"{model} version {record.contender.version}: {record.note}")
    for table, _ in _MADE:
        shown = {f"page {model}": dg.MetadataValue.path(page) for model, page in pages.items()}
        yield dg.MaterializeResult(asset_key=table.name, metadata={**describe_frame(store.read(table), table), **shown})
