"""The tests beside the SQL models, as checks of their assets; failing rows stand in the metadata.

Like the other gates they look at what the run covers, and at all that is stored where they run on their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import dagster as dg

from trading_assets.defs.lib.check_results import selected, windows_of_run
from trading_assets.defs.lib.check_states import PASSED_HERE, Judged, remember
from trading_assets.defs.lib.metadata import preview
from trading_assets.defs.lib.partitions import Month, Partitions, Window, keys_of_run
from trading_assets.defs.sql_models.assets import windows_of_months
from trading_assets.defs.sql_models.bars import project_models
from trading_assets.settings import Settings
from trading_assets.sql import Expectation, Outcome, SqlModel, check_expectations
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
        if "market" not in model.parameters:
            scopes = _scopes(context, model, settings)
            for outcomes in zip(*(check_expectations(store, model, names=names, **one) for one in scopes), strict=True):
                yield _result(outcomes)
            return
        found = windows_of_run(context, settings, store, model.name)
        runs = [check_expectations(store, model, names=names, **_rows(one.market, one)) for one in found]
        by_test = {outcomes[0].expectation.name: outcomes for outcomes in zip(*runs, strict=True)}
        judged = {
            name: [
                one
                for window, outcome in zip(found, outcomes, strict=True)
                for one in _judged(store, model, window, outcome)
            ]
            for name, outcomes in by_test.items()
        }
        others = remember(store, context, model.name, judged, known=settings.markets)
        for name, outcomes in by_test.items():
            yield _result(outcomes, others[name])

    return checks


def _scopes(context: dg.AssetCheckExecutionContext, model: SqlModel, settings: Settings) -> list[dict[str, Any]]:
    """Which rows of a model over all markets the run is about."""
    if "start" in model.parameters:
        months = windows_of_months(keys_of_run(context.run.tags, Partitions.of(settings).months), settings)
        return [{"start": one.start, "end": one.end} for one in months]
    return [{}]


def _rows(market: str, span: Window | Month) -> dict[str, Any]:
    return {"where": {"market": market}, "start": span.start, "end": span.end}


def _judged(store: Store, model: SqlModel, window: Window, outcome: Outcome) -> list[Judged]:
    """The months of a window in which a test fails; all of them where none does alone."""
    months = window.months
    if outcome.passed:
        return [Judged(month.key, "", month) for month in months]
    names = [outcome.expectation.name]
    failing = [check_expectations(store, model, names=names, **_rows(window.market, month))[0] for month in months]
    counts = (
        [one.failing for one in failing] if any(one.failing for one in failing) else [outcome.failing for _ in months]
    )
    return [
        Judged(month.key, f"{count:,} rows break it" if count else "", month)
        for month, count in zip(months, counts, strict=True)
    ]


def _result(outcomes: Sequence[Outcome], others: Mapping[str, str] | None = None) -> dg.AssetCheckResult:
    """One test over all scopes of a run; a warning where it fails only in ``others`` that the run did not look at."""
    one, failing = outcomes[0].expectation, sum(outcome.failing for outcome in outcomes)
    told = [f"{part}: {problem}" for part, problem in (others or {}).items()]
    said = f"{failing:,} rows break it: {one.description}" if failing else one.description
    examples = next((outcome.examples for outcome in outcomes if not outcome.passed), None)
    return dg.AssetCheckResult(
        asset_key=one.model,
        check_name=one.name,
        passed=failing == 0 and not told,
        severity=_SEVERITY[one.severity] if failing else dg.AssetCheckSeverity.WARN,
        description=said + (f" Other runs found: {'; '.join(told[:12])}" if told else ""),
        metadata={
            "failing_rows": failing,
            PASSED_HERE: failing == 0,
            **({"bad_elsewhere": told} if told else {}),
            "file": _file(one),
            **({} if examples is None else {"examples": preview(examples, rows=10)}),
        },
    )


def _file(one: Expectation) -> str:
    return one.place.rpartition("/")[2]


def sql_model_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The tests beside the SQL models of a project, a group for each model that has some."""
    return [model_checks(model) for model in project_models(settings).values() if model.expectations]
