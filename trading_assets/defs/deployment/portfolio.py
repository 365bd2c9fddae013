"""The portfolio: approved models as sleeves of one account, and the weights that the node sizes by."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from trading_assets.defs.lib.metadata import (
    TRADING_TEAM,
    asset_metadata,
    describe_frame,
    measured,
    origin,
    origin_tags,
    picture,
    preview,
)
from trading_assets.defs.lib.schedules import by_the_clock
from trading_assets.portfolio.gates import GATES
from trading_assets.portfolio.stored import equity_rows, judge_portfolio, publish, sleeve_versions, weight_rows
from trading_assets.settings import PortfolioSettings, Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import PORTFOLIO_WEIGHTS

PORTFOLIO: Final = "portfolio"

rebalance = dg.define_asset_job(
    "rebalance",
    selection=dg.AssetSelection.assets(PORTFOLIO),
    description="Decides the weights of the sleeves; where they pass their gates, the node sizes by them from then on.",
)


def portfolio_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset, for the models of a project."""
    return dg.asset(
        name=PORTFOLIO,
        deps=["backtest", "deployment"],
        group_name="deployment",
        owners=[TRADING_TEAM],
        kinds={"python", "polars"},
        tags=origin_tags(settings),
        metadata={**asset_metadata(PORTFOLIO_WEIGHTS), "tables": "portfolio_weights, portfolio_equity"},
        check_specs=[dg.AssetCheckSpec(name, asset=PORTFOLIO, description=text) for name, text in GATES.items()],
    )(portfolio)


def portfolio(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> Iterator[dg.MaterializeResult[None]]:
    """The share of the account that each approved model trades with, from out-of-sample days alone.

    A method's weights are used where its walk-forward beats equal weights. Weights that fail a gate do not reach the
    node: those of before stay in force.
    """
    from trading_assets.portfolio.plots import portfolio_picture
    from trading_assets.portfolio.summary import accounts_frame, correlation_frame, sleeves_frame

    found = judge_portfolio(settings, store, datetime.now(UTC))
    in_force = publish(settings, store, found)
    context.log.info(found.verdict.text)
    for note in found.notes:
        context.log.warning(note)
    if not in_force:
        context.log.warning("a gate failed: the weights of before stay in force")
    markets = sorted({market for name in found.versions for market in settings.models[name].markets})
    walked, table = weight_rows(found), sleeves_frame(found)
    image = portfolio_picture(
        walked, equity_rows(found, settings.simulation.starting_balance), title=f"Portfolio, {found.chosen.method}"
    )
    yield dg.MaterializeResult(
        metadata={
            **origin(markets),
            **describe_frame(walked, PORTFOLIO_WEIGHTS),
            "weights": preview(table, rows=50),
            "picture": picture(image, "accounts, and weights over time"),
            "verdict": found.verdict.text,
            "evidence": dg.MetadataValue.json(found.verdict.evidence),
            "accounts": preview(accounts_frame(found)),
            "correlation": preview(correlation_frame(found), rows=50),
            "decided_at": str(found.chosen.as_of),
            "in_force": in_force,
            "notes": dg.MetadataValue.json(list(found.notes)),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=gate.name,
                passed=gate.passed,
                severity=dg.AssetCheckSeverity.WARN,
                description=gate.text,
                metadata=measured({"value": gate.value, "limit": gate.limit}),
            )
            for gate in found.gates
        ],
    )


def rebalancing_schedule(settings: Settings, section: PortfolioSettings) -> dg.ScheduleDefinition:
    """The schedule, as often as a project's `portfolio.rebalance`."""
    return by_the_clock(
        rebalance,
        section.cron,
        "As often as `portfolio.rebalance`, after the night's retraining: the sleeves' weights.",
    )(rebalancing)


def rebalancing(
    context: dg.ScheduleEvaluationContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> dg.RunRequest | dg.SkipReason:
    """Decide the weights anew, where any model is approved."""
    if not sleeve_versions(store, list(settings.models)):
        return dg.SkipReason("no model has an approved version")
    return dg.RunRequest(run_key=f"rebalance@{context.scheduled_execution_time:%Y-%m-%d}")
