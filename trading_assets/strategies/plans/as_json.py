"""Trade plans as the journal's text, of this version and of those before there were parts."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from trading_assets.core.errors import NodeError
from trading_assets.core.sides import Side
from trading_assets.exits.plan import ExitPlan, Target

if TYPE_CHECKING:
    from trading_assets.strategies.plans.plan import TradePlan

_PLAIN: Final = (
    *("market", "signal_id", "probability", "quantity", "entry_order_id", "cost", "stage", "entry_price"),
    *("stop_price", "best_price", "stop_kind", "counted", "stop_order_id", "replaced_order_id", "exit_order_id"),
    *("exit_reason", "side", "sent"),
)
_REQUIRED: Final = {"market", "signal_id", "probability", "quantity", "entry_order_id", "known_at", "expires_at"}
_FIELDS: Final = {*_PLAIN, *_REQUIRED, "exits", "bar"}
_EXITS: Final = ("stop", "break_even_after", "trailing", "trailing_after", "on_opposite", "before_funding")


def written(plan: TradePlan) -> str:
    """A plan as text."""
    said: dict[str, Any] = {name: getattr(plan, name) for name in _PLAIN}
    said["known_at"], said["expires_at"] = _time_written(plan.known_at), _time_written(plan.expires_at)
    said["bar_s"], said["targets"] = plan.bar.total_seconds(), plan.targets
    return f'{json.dumps(said)[:-1]}, "exits": {_exits_written(plan.exits)}}}'


@lru_cache(maxsize=256)  # a trade's plan is written ten times, and its times and exits never change
def _time_written(moment: datetime) -> str:
    return moment.isoformat()


@lru_cache(maxsize=64)
def _exits_written(exits: ExitPlan) -> str:
    said = {name: getattr(exits, name) for name in _EXITS}
    return json.dumps(said | {"targets": exits.targets, "hold_s": exits.hold.total_seconds()})


def read(text: str) -> tuple[dict[str, Any], list[tuple[float, float, str, float, float]]]:
    """What :func:`written` wrote, in this version or an earlier one: the plan's fields, and its targets.

    Raises
    ------
    NodeError
        If the text is not a plan.
    """
    try:
        said: dict[str, Any] = json.loads(text)
        said |= {name: datetime.fromisoformat(said[name]) for name in ("known_at", "expires_at")}
        said["side"] = Side(said.get("side", Side.LONG))  # there was none before trades had two
        if "exits" not in said:
            said = _with_one_target(said)
        exits = said.pop("exits")
        targets, hold = (Target(*one) for one in exits.pop("targets")), timedelta(seconds=exits.pop("hold_s"))
        said["exits"] = ExitPlan(targets=tuple(targets), hold=hold, **exits)
        said["bar"] = timedelta(seconds=said.pop("bar_s"))
        orders = [(*map(float, one[:2]), *map(str, one[2:3]), *map(float, one[3:])) for one in said.pop("targets")]
        if wrong := {*said} ^ ({*said} & _FIELDS | _REQUIRED):
            raise ValueError(f"{', '.join(sorted(wrong))}")
        return said, orders  # type: ignore[return-value]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise NodeError(
            f"not a trade plan ({error})",
            where="journal",
            remedy="trading journal check says what is damaged, trading journal export FILE saves the rest",
        ) from None


def _with_one_target(said: dict[str, Any]) -> dict[str, Any]:
    """A plan from before there were several: one target for the whole, and a stop that stays."""
    distance, stop = said.pop("take_profit_pct") / 100, said.pop("stop_loss_pct") / 100
    price, order_id = said.pop("target_price", 0.0), said.pop("target_order_id", "")
    entered = said.get("entry_price", 0.0) > 0
    hold = max(said["expires_at"] - said["known_at"], timedelta(0)).total_seconds()
    return said | {
        "exits": {"stop": stop, "targets": [[distance, 1.0]], "hold_s": hold},
        "targets": [[price, said["quantity"], order_id]] if entered else [],
        "best_price": said.get("entry_price", 0.0),
        "bar_s": 0.0,
    }
