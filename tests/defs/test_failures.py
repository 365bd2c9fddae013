"""Why a step failed, as a run and the command say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg

from trading_assets.core.errors import ModelError
from trading_assets.defs.lib.failures import failure_reason


def reason(raising: Any) -> str:
    """What is said of a run whose asset calls this."""

    @dg.asset
    def failing() -> None:
        raising()

    ended = dg.materialize([failing], raise_on_error=False)
    return failure_reason(ended.get_step_failure_events()[0])


def test_an_error_in_a_plug_in_is_told_with_its_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "my_estimator.py"
    file.write_text("def fit():\n    return {}['oops']\n")
    plugged: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), plugged)
    assert reason(plugged["fit"]) == f"{file}:2: KeyError: 'oops'"


def test_an_error_of_ours_is_its_message_alone() -> None:
    def refuse() -> None:
        raise ModelError("no model", where="here", remedy="train one")

    assert reason(refuse) == "here: no model; train one"
