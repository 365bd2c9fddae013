"""One run of a job inside this process, recorded in the instance that the UI shows."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import dagster as dg

from trading_assets.definitions import build_definitions
from trading_assets.defs.lib.check_states import bad_parts, passed_here
from trading_assets.defs.lib.failures import failure_reason
from trading_assets.defs.lib.progress import Listener, Translator, told_to
from trading_assets.launch.instance import open_instance, run_tags
from trading_assets.launch.stopping import canceling, interrupts, refuse_stopped
from trading_assets.settings import Settings

_QUIET: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """One asset check of a run: whether what it looked at passed; ``error`` says whether it else stops what follows."""

    asset: str
    name: str
    passed: bool
    description: str
    metadata: dict[str, Any]
    error: bool = True

    @property
    def bad_partitions(self) -> list[str]:
        """The partition keys that the check names as bad, e.g. ``binance:BTC/USDT|2025-01``."""
        return bad_parts(self.metadata)


@dataclass(frozen=True, slots=True)
class LaunchResult:
    """What came out of a run.

    Attributes
    ----------
    subject, job, run_id
        What ran; the UI shows it under ``/runs/<run_id>``.
    success
        Whether every step went well and no blocking check failed.
    materialized
        Asset -> metadata of its newest materialization in this run.
    checks
        Every check that was evaluated.
    failures
        Step -> the reason, without a traceback; steps that failed by their checks are not among them.
    """

    subject: str
    job: str
    run_id: str
    success: bool
    materialized: dict[str, dict[str, Any]]
    checks: list[CheckOutcome]
    failures: dict[str, str]

    @property
    def failed_checks(self) -> list[CheckOutcome]:
        """The checks that did not pass."""
        return [check for check in self.checks if not check.passed]

    @property
    def blocked(self) -> list[str]:
        """The partition keys that checks have stopped."""
        named = {key for check in self.failed_checks if check.error for key in check.bad_partitions}
        return sorted(key for key in named if "|" in key)


def run(
    settings: Settings,
    job_name: str,
    subject: str,
    *,
    partition: str | None = None,
    tags: Mapping[str, str] | None = None,
    on_event: Listener | None = None,
    definitions: dg.Definitions | None = None,
    config: Mapping[str, Any] | None = None,
) -> LaunchResult:
    """Run a job and wait for it.

    Parameters
    ----------
    job_name, subject
        Which job, and what the run is about.
    partition, tags
        Its partition, or the tags that say its range and what it fetches.
    on_event
        Called for each step, materialization, check and log line.
    definitions
        Where the job is, if not in those of the settings.
    config
        Of its assets: ``{"ops": {asset: {"config": ...}}}``.

    Raises
    ------
    KeyboardInterrupt
        If it was stopped; what was written stays.
    """
    from trading_assets.launch.sqlite_files import held_open

    instance, definitions = open_instance(settings), definitions or build_definitions(settings)
    job, run_id = definitions.resolve_job_def(job_name), str(uuid.uuid4())
    translator = None if on_event is None else Translator(subject, len(job.nodes), on_event)
    with interrupts() as noted:
        instance.add_event_listener(run_id, canceling(instance, noted))
        if translator is not None:
            instance.add_event_listener(run_id, translator)
        with told_to(translator), held_open(run_id):
            result = job.execute_in_process(
                run_config=_QUIET | dict(config or {}),
                instance=instance,
                partition_key=partition,
                tags=run_tags() | dict(tags or {}),
                run_id=run_id,
                raise_on_error=False,
            )
        refuse_stopped(instance, result, noted)
    return _result(result, subject, job_name)


def _result(result: dg.ExecuteInProcessResult, subject: str, job: str) -> LaunchResult:
    materialized = {
        event.asset_key.to_user_string(): {key: value.value for key, value in event.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }
    checks = [
        CheckOutcome(
            check.asset_key.to_user_string(),
            check.check_name,
            passed_here(check),
            check.description or "",
            {key: value.value for key, value in check.metadata.items()},
            check.severity is dg.AssetCheckSeverity.ERROR,
        )
        for check in result.get_asset_check_evaluations()
    ]
    failures = {
        str(event.step_key): reason
        for event in result.all_events
        if event.is_step_failure and (reason := failure_reason(event))
    }
    return LaunchResult(subject, job, result.run_id, result.success, materialized, checks, failures)
