"""What follows data: requested once, and not at all where a run has done it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from tests.defs.small import NOISE, SYNA, Location


def requested(location: Location, instance: dg.DagsterInstance, cursor: object = None) -> tuple[set[str], object]:
    result = dg.evaluate_automation_conditions(location.defs, instance, cursor=cursor)  # type: ignore[arg-type]
    names = {
        one.key.to_user_string()
        for one in result.results
        if isinstance(one.key, dg.AssetKey) and result.get_num_requested(one.key)
    }
    return names, result.cursor


def test_bars_follow_candles_that_passed_and_nothing_is_requested_twice(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        names, cursor = requested(location, instance)
        assert names == set(), "nothing is stored yet"

        tags = location.months(SYNA, "2025-03", "2025-03")
        assert location.run(settings, "market_data", instance=instance, tags=tags).success
        names, cursor = requested(location, instance, cursor)
        assert names == set(), "the run has materialized what follows itself"

        assert location.materialize(settings, "candles", "candle_checks", instance=instance, tags=tags).success
        names, cursor = requested(location, instance, cursor)
        assert names >= {"bars_15m"}
        names, cursor = requested(location, instance, cursor)
        assert names == set(), "requested once"


def test_nothing_follows_candles_whose_gates_failed(location: Location, tmp_path: Path) -> None:
    strict = location.settings(tmp_path, quality={"gap_share": {"max_share": 0.0}})
    with dg.DagsterInstance.ephemeral() as instance:
        _, cursor = requested(location, instance)
        tags = location.months(NOISE, "2025-03", "2025-03")
        assert not location.run(strict, "market_data", instance=instance, tags=tags).success
        names, _ = requested(location, instance, cursor)
        assert names == set()
