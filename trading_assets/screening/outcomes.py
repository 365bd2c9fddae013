"""What becomes of a trade after each bar, for both sides: computed once for all sets, and only where one asks."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.errors import ModelError
from trading_assets.labels.barrier_distances import PERCENT, average_true_range, widths
from trading_assets.screening.sizes import stakes
from trading_assets.screening.world import Scene
from trading_assets.settings import BacktestSettings, LabelSettings
from trading_assets.settings.sections.exits import ExitSettings

if TYPE_CHECKING:
    from trading_assets.exits.arrays import Plan
    from trading_assets.screening.arrays import Outcomes

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

_SIDES: Final = (1, -1)


@dataclass(frozen=True)
class Way:
    """How trades end, whatever the market: by a named exit plan, or by the label set's barriers.

    Attributes
    ----------
    plan
        Distances in units.
    hold
        Microseconds from the decision on.
    best_case
        Who wins an ambiguous candle.
    opposite
        Whether a wanted trade of the other side closes the open one.
    cost
        Of in and out at the market, as a fraction: what break-even is beyond the entry price.
    """

    plan: Plan
    hold: int
    best_case: bool
    opposite: bool
    cost: float
    _labels: LabelSettings | None = field(repr=False)
    _atr_bars: int | None = None

    @classmethod
    def of(cls, labels: LabelSettings, exit_plan: ExitSettings | None, *, cost: float) -> Self:
        """Of a label set, and the exit plan of a model that names one."""
        from trading_assets.exits.kernel import plan_of

        best_case = labels.ambiguous == "best_case"
        if exit_plan is None:
            stop, target = _multiples(labels)
            plan = plan_of(stop, np.array([target]), np.array([1.0]))
            return cls(plan, labels.horizon_bars * labels.timeframe.micros, best_case, False, cost, labels)
        follows = exit_plan.trailing
        plan = plan_of(
            exit_plan.stop,
            np.array([one.at for one in exit_plan.targets], np.float64),
            np.array([one.share for one in exit_plan.targets], np.float64),
            break_even_after=exit_plan.break_even_after or 0,
            trailing=0.0 if follows is None else follows.distance,
            trailing_after=0 if follows is not None and follows.after == "entry" else 1,
        )
        micros = round(exit_plan.hold.total_seconds() * 1e6)
        scale = exit_plan.atr_bars if exit_plan.unit == "atr" else None
        return cls(plan, micros, best_case, exit_plan.on_opposite, cost, None, scale)

    def units(self, bars: pl.DataFrame) -> Floats:
        """What a unit of distance is worth at each bar, as a fraction of the price; NaN where it is not known yet."""
        if self._labels is not None:
            found = widths(bars, self._labels)["stop_loss"] / _multiples(self._labels)[0]
        elif self._atr_bars is not None:
            moved = average_true_range(self._atr_bars)
            found = bars.select(unit=pl.when(moved > 0).then(moved))["unit"]
        else:
            found = pl.repeat(PERCENT, bars.height, eager=True)
        return np.ascontiguousarray(found.fill_null(float("nan")).to_numpy(), np.float64)


def _multiples(labels: LabelSettings) -> tuple[float, float]:
    """Stop and target in units of the scale; of fixed barriers the unit is a hundredth."""
    if labels.barriers == "fixed":
        return labels.stop_loss_pct, labels.take_profit_pct
    return labels.stop_loss_multiple, labels.take_profit_multiple


class OutcomeTable:
    """The outcomes of a scene under one way of ending trades, filled where they are asked for.

    Parameters
    ----------
    scene, way
        The markets, and how trades end.
    settings
        How large positions are.
    """

    def __init__(self, scene: Scene, way: Way, settings: BacktestSettings) -> None:
        from trading_assets.screening.arrays import Outcomes

        shape = (len(scene.markets), len(_SIDES), scene.width)
        targets = len(way.plan.targets)
        self.scene, self.way = scene, way
        self.units = np.full((len(scene.markets), scene.width), np.nan)
        for market, (bars, rows) in enumerate(zip(scene.bars, scene.rows, strict=True)):
            self.units[market, rows] = way.units(bars)
        shares = stakes(scene, settings, self.units * way.plan.stop)
        self.arrays: Outcomes = Outcomes(
            entry=np.full(shape, np.nan),
            entered_at=np.zeros(shape, np.int64),
            left_at=np.zeros(shape, np.int64),
            left=np.zeros(shape),
            reason=np.zeros(shape, np.int8),
            free=np.zeros(shape, np.int32),
            parts=np.zeros(shape, np.int8),
            part_at=np.zeros((*shape, max(targets, 1)), np.int64),
            part_price=np.zeros((*shape, max(targets, 1))),
            shares=_shares(way.plan.shares, len(scene.markets)),
            stake=np.broadcast_to(shares, shape).copy(),  # a view would be read-only: another type, compiled anew
        )
        self._done = np.zeros(shape, np.bool_)
        self._lock = threading.Lock()

    def need(self, first: int, asked: Bools) -> None:
        """See that the outcomes are there of what is asked for: markets x sides x bars, from a bar of the grid on."""
        part = slice(first, first + asked.shape[2])
        with self._lock:
            missing = asked & ~self._done[:, :, part]
            for market, side in zip(*np.nonzero(missing.any(axis=2)), strict=True):
                self._fill(int(market), int(side), np.flatnonzero(missing[market, side]) + first)

    def _fill(self, market: int, side: int, at: npt.NDArray[np.int64]) -> None:
        from trading_assets.exits.arrays import Outcomes as Found
        from trading_assets.exits.kernel import follow_plans
        from trading_assets.screening.exits import write_down

        world, path = self.scene.world, self.scene.paths[market]
        unit = np.ascontiguousarray(self.units[market, at])
        known = np.isfinite(unit) & ~np.isnan(world.next_open[market, at])
        self._done[market, side, at] = True
        at, unit = at[known], unit[known]
        found = Found.empty(len(at))
        signs = np.full(len(at), _SIDES[side], np.int8)
        closes_at = world.known[at] + self.way.hold
        begun = np.ascontiguousarray(world.next_at[market, at])
        arguments: tuple[Any, ...] = tuple(map(_read_only, (begun, signs, unit, closes_at)))
        way, until = self.way, self.scene.until
        rest: tuple[Any, ...] = (way.plan, way.cost, until, way.best_case, True, found)
        follow_plans(path, *arguments, *rest)
        write_down(path, way.plan, world, self.arrays, market, side, at, unit, closes_at, until, found)


def _read_only(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = values.view()
    view.setflags(write=False)
    return view


def _shares(shares: Floats, markets: int) -> Floats:
    """Of each target; where they make up the whole, the last one takes the rest."""
    made = np.array(shares) if len(shares) else np.zeros(1)
    if made.sum() >= 1 - 1e-9:
        made[-1] = 1 - made[:-1].sum()
    return np.tile(made, (markets, 1))


def refuse_unscreened(exit_plan: ExitSettings | None, where: str) -> None:
    """Refuse what screening does not do.

    Raises
    ------
    ModelError
        For a plan that ends trades before funding: that depends on what is left to gain, which the event engine knows.
    """
    if exit_plan is not None and exit_plan.before_funding:
        raise ModelError(
            "a plan with before_funding is not screened",
            where=where,
            remedy="screen with a plan without it, and judge with it by `trading train`",
        )
