"""The report of a search: one self-contained HTML page, in the style of the backtest's."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from trading_assets.backtest.report import plots as backtest_plots
from trading_assets.core.atomic_files import write_file
from trading_assets.core.candles import Market
from trading_assets.registry.searches import quiet
from trading_assets.search import plots
from trading_assets.search.finding import Found
from trading_assets.search.judging import Judged
from trading_assets.search.objective import Worth
from trading_assets.settings import Range, Settings
from trading_assets.settings.sections.ranges import Searched
from trading_assets.settings.sections.space import present

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

TEMPLATE: Final = "search.html.j2"
_ENOUGH: Final = 12
"""Trials that ended with a value, below which no importance is claimed."""

_SHOWN: Final = 10


def render(
    found: Found, judged: Judged, fragment: str, settings: Settings, *, created_at: datetime, file: Path
) -> Path:
    """Write the page; a reader never sees half of it."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loader = ChoiceLoader(
        [PackageLoader("trading_assets.search", "."), PackageLoader("trading_assets.backtest.report", ".")]
    )
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    weights = importance_of(found.trials)
    page = environment.get_template(TEMPLATE).render(
        model=found.model,
        markets=found.after.markets,
        synthetic=[market for market in found.after.markets if Market.parse(market).is_synthetic],
        cut=found.cut,
        gates=judged.gates,
        failed=[gate for gate in judged.gates if not gate.passed],
        problem=judged.problem,
        tiles=_tiles(found, judged),
        states=_states(found.trials),
        settings_rows=_settings(found, weights),
        windows=_windows(found, judged),
        best_trials=_best(found),
        plots=_plots(found, judged, weights, settings),
        fragment=fragment,
        created_at=created_at,
    )
    write_file(file, page.encode())
    return file


def importance_of(trials: Sequence[FrozenTrial]) -> dict[str, float]:
    """How much each setting decides whether a trial is among the best tenth, the most important first.

    PED-ANOVA: S. Watanabe, A. Bansal and F. Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in
    Arbitrary Subspaces", IJCAI 2023. Empty where too few trials ended with a value, or all with the same.
    """
    done = [one for one in trials if one.state.name == "COMPLETE"]
    if len(done) < _ENOUGH or len({one.value for one in done}) < 2:
        return {}
    with quiet():
        import optuna
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        study = optuna.create_study(direction="maximize")
        study.add_trials(done)
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {name: value for name, value in found.items() if math.isfinite(value)} if any(found.values()) else {}


def _tiles(found: Found, judged: Judged) -> list[tuple[str, str]]:
    attributes = found.best.user_attrs
    metrics = judged.result.metrics if judged.result is not None else {}

    def shown(name: str, form: str) -> str:
        value = metrics.get(name, math.nan)
        return format(value, form) if math.isfinite(value) else "-"

    return [
        (f"{len(found.trials)}", "trials"),
        (f"{found.best.value:.2f}", f"the best one's value, trial {found.best.number + 1}"),
        (f"{attributes.get('sharpe', math.nan):.2f}", "its Sharpe where it was searched"),
        (shown("sharpe", ".2f"), "Sharpe on the unseen windows"),
        (shown("dsr", ".1%"), "deflated Sharpe, all trials counted"),
        (shown("trades", ".0f"), "trades on the unseen windows"),
    ]


def _states(trials: Sequence[FrozenTrial]) -> str:
    words = {"COMPLETE": "measured to the end", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "stopped"}
    counts = {word: sum(one.state.name == state for one in trials) for state, word in words.items()}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _settings(found: Found, weights: Mapping[str, float]) -> list[dict[str, str]]:
    before, after = present(found.before, found.space), present(found.after, found.space)
    order = sorted(found.space, key=lambda name: -weights.get(name, 0.0))
    return [
        {
            "name": name,
            "before": _text(before[name]),
            "after": _text(after[name]),
            "tried": _range(found.space[name]),
            "importance": f"{weights[name]:.0%}" if name in weights else "",
        }
        for name in order
    ]


def _windows(found: Found, judged: Judged) -> list[tuple[str, str, str, str]]:
    first = min(found.trials, key=lambda one: one.number).user_attrs
    rows: list[tuple[str, Any, Any]] = [
        ("searched part: the first trial", first.get("sharpe"), first.get("trades")),
        ("searched part: what was found", found.best.user_attrs.get("sharpe"), found.best.user_attrs.get("trades")),
        ("unseen windows: the model as it is", *_of(judged.before)),
        ("unseen windows: what was found", *_of(judged.after)),
    ]
    searched = f"{found.cut.tested:%Y-%m-%d} to {found.cut.split:%Y-%m-%d}"
    unseen = f"{found.cut.split:%Y-%m-%d} to {found.cut.end:%Y-%m-%d}"
    return [
        (label, searched if "searched" in label else unseen, _number(sharpe), _number(trades, ".0f"))
        for label, sharpe, trades in rows
    ]


def _of(worth: Worth | None) -> tuple[float | None, int | None]:
    return (None, None) if worth is None else (worth.sharpe, worth.trades)


def _best(found: Found) -> list[dict[str, str]]:
    done = sorted(
        (one for one in found.trials if one.state.name == "COMPLETE"), key=lambda one: (-(one.value or 0.0), one.number)
    )
    return [
        {
            "number": f"{one.number + 1}",
            "value": _number(one.value),
            "sharpe": _number(one.user_attrs.get("sharpe")),
            "trades": _number(one.user_attrs.get("trades"), ".0f"),
            "params": ", ".join(f"{name.rpartition('.')[2]} {_text(value)}" for name, value in one.params.items()),
        }
        for one in done[:_SHOWN]
    ]


def _plots(found: Found, judged: Judged, weights: Mapping[str, float], settings: Settings) -> list[dict[str, Any]]:
    pictures = [("The path of the best", True, plots.path_of_best(found.trials))]
    if weights:
        pictures.append(("Importance of settings", False, plots.importance(weights)))
    if len(weights) > 1:
        first, second = list(weights)[:2]
        pictures.append(("The two most important", False, plots.heat_map(found.trials, (first, second), found.space)))
    if judged.by_trials:
        asked = settings.gates_of(found.model).min_dsr
        pictures.append(("Deflated Sharpe by trials", False, plots.deflated(judged.by_trials, asked)))
    if judged.result is not None:
        balance = settings.simulation.starting_balance
        curve = backtest_plots.equity_and_drawdown(judged.result.equity, starting_balance=balance)
        pictures.append(("Equity on the unseen windows", True, curve))
    return [
        {"title": title, "wide": wide, "source": f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"}
        for title, wide, svg in pictures
    ]


def _range(searched: Searched) -> str:
    if not isinstance(searched, Range):
        return ", ".join(_text(one) for one in searched)
    return f"{searched.low:g} to {searched.high:g}{', by ratio' if searched.log else ''}"


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "none" if value is None else str(value)


def _number(value: float | None, form: str = ".2f") -> str:
    return "-" if value is None or not math.isfinite(value) else format(value, form)
