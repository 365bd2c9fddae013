"""The tests beside the SQL models, as checks of their assets; failing rows stand in the metadata.

Like the other gates they look at what the run covers, and at all that is stored where they run on their own.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import dagster as dg

from trading_assets.defs.partitions import MONTHS, keys_of_run
from trading_assets.defs.present import preview
from trading_assets.defs.sql_models import windows_of_months
from trading_assets.defs.verdicts import selected, windows_of_run
from trading_assets.settings import Settings
from trading_assets.sql import Expectation, Outcome, SqlModel, check_expectations, load_models
from trading_assets.store.contract import Store

_SEVERITY: Final = {"error": dg.AssetCheckSeverity.ERROR, "warn": dg.AssetCheckSeverity.WARN}


def model_checks(model: SqlModel) -> dg.AssetChecksDefinition:
    """The checks of one model's asset: those of severity ``error`` stop what follows."""

    @dg.multi_asset_check(
        name=f"{model.name}_tests",
        specs=[
            dg.AssetCheckSpec(
                one.name,
                asset=model.name,
                description=one.description,
                blocking=one.severity == "error",
                metadata={"file": _file(one), "failing_rows": dg.MetadataValue.md(f"```sql\n{one.sql}\n```")},
            )
            for one in model.expectations
        ],
        can_subset=True,
    )
    def checks(
        context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
    ) -> Iterator[dg.AssetCheckResult]:
        names = selected(context)
        runs = [check_expectations(store, model, names=names, **scope) for scope in _scopes(context, model, settings)]
        for outcomes in zip(*runs, strict=True):
            yield _result(outcomes)

    return checks


def _scopes(context: dg.AssetCheckExecutionContext, model: SqlModel, settings: Settings) -> list[dict[str, Any]]:
    """Which of the model's rows the run is about."""
    if "market" in model.parameters:
        found = windows_of_run(context, settings)
        return [{"where": {"market": one.market}, "start": one.start, "end": one.end} for one in found]
    if "start" in model.parameters:
        months = windows_of_months(keys_of_run(context.run.tags, MONTHS), settings)
        return [{"start": one.start, "end": one.end} for one in months]
    return [{}]


def _result(outcomes: Sequence[Outcome]) -> dg.AssetCheckResult:
    """One test over all scopes of a run."""
    one, failing = outcomes[0].expectation, sum(outcome.failing for outcome in outcomes)
    examples = next((outcome.examples for outcome in outcomes if not outcome.passed), None)
    return dg.AssetCheckResult(
        asset_key=one.model,
        check_name=one.name,
        passed=failing == 0,
        severity=_SEVERITY[one.severity],
        description=f"{failing:,} rows break it: {one.description}" if failing else one.description,
        metadata={
            "failing_rows": failing,
            "file": _file(one),
            **({} if examples is None else {"examples": preview(examples, rows=10)}),
        },
    )


def _file(one: Expectation) -> str:
    return one.place.rpartition("/")[2]


sql_model_checks = [model_checks(model) for model in load_models().values() if model.expectations]
