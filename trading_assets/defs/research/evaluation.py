"""Evaluation: the out-of-sample predictions, traded by the project's own strategy, and the gates of a candidate."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import dagster as dg
import polars as pl

from trading_assets.defs.lib.check_results import selected
from trading_assets.defs.lib.check_states import PASSED_HERE, Judged, remember
from trading_assets.defs.lib.metadata import (
    RESEARCH_TEAM,
    asset_metadata,
    describe_frame,
    measured,
    origin,
    origin_tags,
    picture,
    preview,
    synthetic_markets,
)
from trading_assets.defs.lib.partitions import ALL_PARTITIONS, Partitions, keys_of_run
from trading_assets.defs.lib.versions import backtested, required
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.migration import up_to_date
from trading_assets.store.tables import (
    BACKTEST_METRICS,
    CANDLES,
    FUNDING_RATES,
    TRADES,
)

if TYPE_CHECKING:
    from trading_assets.backtest.gates import GateResult

BACKTEST: Final = "backtest"
GATES = {
    "sharpe": "Sharpe ratio, annualised from daily equity returns (365 days), reaches `gates.min_sharpe`.",
    "win_rate": "The share of winning trades reaches `gates.min_win_rate`.",
    "profit_factor": "Gross profit over gross loss reaches `gates.min_profit_factor`.",
    "max_drawdown": "The deepest fall from a peak of equity stays within `gates.max_drawdown`.",
    "trades": "There are at least `gates.min_trades` trades to judge by.",
    "dsr": "The Sharpe ratio exceeds the luck of all trials with a probability of `gates.min_dsr`.",
    "pbo": "The past's best band is below the median later, or none to trade, at most in `gates.max_pbo` of cases.",
    "skill_low": "Over all predictions, probabilities rank returns better than chance may (`gates.min_skill_low`).",
}


def backtest_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset, for the models of a project."""
    return dg.asset(
        deps=[
            "walk_forward",
            "candidate",
            dg.AssetDep(CANDLES.name, partition_mapping=ALL_PARTITIONS),
            dg.AssetDep(FUNDING_RATES.name, partition_mapping=ALL_PARTITIONS),
        ],
        group_name="evaluation",
        owners=[RESEARCH_TEAM],
        kinds={"python", "polars", "duckdb"},
        tags=origin_tags(settings),
        metadata={
            **asset_metadata(TRADES),
            "tables": "trades, equity, backtest_metrics, trial_returns",
            "engine": "NautilusTrader",
        },
        partitions_def=Partitions.of(settings).models,
    )(backtest)


def backtest(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> dg.MaterializeResult[None]:
    """The walk-forward's predictions traded by the live strategy class with fees, slippage, funding and latency."""
    from trading_assets.backtest.approval import predictions_hash, traded_with
    from trading_assets.backtest.judging import judge_candidate, write_report
    from trading_assets.backtest.report import plots
    from trading_assets.backtest.report.files import chart_address, report_address
    from trading_assets.backtest.report.page import Provenance
    from trading_assets.models.code_version import code_version

    name, spec = context.partition_key, settings.models[context.partition_key]
    trained = required(context.instance, "candidate", name)
    judgement = judge_candidate(settings, store, name, trained.version)
    for remark in judgement.remarks:
        context.log.warning("%s: %s", name, remark)
    result = judgement.result
    provenance = Provenance(
        dataset_hash=trained.metadata["dataset_hash"],
        code_version=code_version(),
        run_id=context.run.run_id,
        bundle_hash=trained.metadata["bundle_hash"],
        model_version=str(trained.version),
    )
    page = write_report(judgement, settings, store, provenance=provenance, created_at=datetime.now(UTC))
    title = f"{name}{' (SYNTHETIC)' if synthetic_markets(spec.markets) else ''}"
    curve = plots.summary_png(result.equity, starting_balance=settings.simulation.starting_balance, title=title)
    return dg.MaterializeResult(
        metadata={
            **origin(spec.markets),
            "report": dg.MetadataValue.url(report_address(name, trained.version)),
            "chart": dg.MetadataValue.url(chart_address(name, trained.version)),
            "report_file": dg.MetadataValue.path(str(page)),
            "equity": picture(curve, "equity and drawdown"),
            "version": trained.version,
            "traded_with": traded_with(settings, name),
            "remarks": dg.MetadataValue.json(list(judgement.remarks)),
            "refused_by": dg.MetadataValue.json(result.refusals),
            "predictions_hash": predictions_hash(judgement.predictions),
            **describe_frame(result.trades, TRADES),
            **measured(result.metrics),
        }
    )


def gate_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """A check for each gate: the eight that every model has, and those on metrics that the settings name."""
    asked = GATES | {name: _asked_for(name, settings) for name in named_gates(settings)}

    @dg.multi_asset_check(
        name="gates",
        specs=[
            dg.AssetCheckSpec(name, asset=BACKTEST, description=text, blocking=True) for name, text in asked.items()
        ],
        can_subset=True,
    )
    def checks(
        context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
    ) -> Iterator[dg.AssetCheckResult]:
        """Measure the newest backtest of the run's model, or of every model, against the gates in the settings."""
        yield from _measured(context, settings, store)

    return checks


def named_gates(settings: Settings) -> list[str]:
    """The metrics that the section `gates` or a model's own gates name, in the order of the settings."""
    return list(dict.fromkeys(name for model in settings.models for name in settings.gates_of(model).metrics))


def _asked_for(name: str, settings: Settings) -> str:
    """What a gate on a named metric asks: its description in the UI."""
    from trading_assets.settings.metrics import METRICS

    metric = METRICS[name]
    asked = "of every model" if name in settings.gates.metrics else "of the models whose `gates` name it"
    return f"{metric.label} ({metric.meaning}) is within `gates.metrics.{name}`, {asked}."


def _measured(
    context: dg.AssetCheckExecutionContext, settings: Settings, store: Store
) -> Iterator[dg.AssetCheckResult]:
    from trading_assets.backtest.gates import evaluate

    names = selected(context)
    found: dict[str, list[tuple[str, GateResult]]] = {name: [] for name in (*GATES, *named_gates(settings))}
    backtests = 0
    for model in keys_of_run(context.run.tags, Partitions.of(settings).models):
        version = backtested(context.instance, up_to_date(store), model)
        if version is not None:
            backtests += 1
            frame = store.read(BACKTEST_METRICS, where={"model": model, "version": version})
            for gate in evaluate(dict(frame.select("metric", "value").iter_rows()), settings.gates_of(model)):
                found[gate.name].append((model, gate))
    judged = {name: [Judged(model, "" if gate.passed else gate.text) for model, gate in found[name]] for name in names}
    others = remember(store, context, BACKTEST, judged, known=settings.models)
    for name in names:
        yield _gate(name, found[name], others[name], unasked=bool(backtests) and not found[name])


def _gate(
    name: str, found: "Sequence[tuple[str, GateResult]]", others: Mapping[str, str], *, unasked: bool
) -> dg.AssetCheckResult:
    """The gate's verdict on the run's models: a refusal is a warning, since nothing went wrong.

    ``unasked``: none of them has this gate, which other models of the settings have; so nothing speaks against them.

    Also where the run's own pass, as long as another model of the settings is refused: the page shows the newest alone.
    """
    refused = [model for model, gate in found if not gate.passed]
    told = [f"{model}: {gate.text}" for model, gate in found if not refused or not gate.passed]
    rows = [(model, gate.value, gate.threshold, gate.passed) for model, gate in found]
    nothing = "not a gate of the run's models" if unasked else "no backtest yet: run the job retrain"
    others_told = f". Other runs found: {'; '.join(f'{one}: {text}' for one, text in others.items())}" if others else ""
    return dg.AssetCheckResult(
        asset_key=BACKTEST,
        check_name=name,
        passed=(bool(found) or unasked) and not refused and not others,
        severity=dg.AssetCheckSeverity.WARN,
        description=("; ".join(told) or nothing) + others_told,
        metadata={
            PASSED_HERE: (bool(found) or unasked) and not refused,
            "refused_models": refused,
            "refused_elsewhere": list(others),
            "gates": preview(
                pl.DataFrame(rows, schema=["model", "value", "threshold", "passed"], orient="row"), rows=20
            ),
            **measured({f"value of {model}": gate.value for model, gate in found}),
            **(measured({"threshold": found[0][1].threshold}) if found else {}),
        },
    )
