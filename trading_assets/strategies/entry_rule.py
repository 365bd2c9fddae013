"""When a prediction is worth a trade: the one rule of backtest and node.

A trade of either side that reaches its target earns the target's distance. **Every other one counts as a full stop**,
also one that the end of the horizon closes somewhere between the two: what those earn depends on how lively the market
was when they were entered, which a mean over the training window does not know, and a model is most often wrong where
it is most sure. So the expected return is a lower bound of what the probability promises, never a hope.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import polars as pl

from trading_assets.settings import ModelSettings, StrategySettings
from trading_assets.validation.coverage import CERTAIN, NAMES


class Payoff(NamedTuple):
    """What a trade is expected to come to, in percent of the entry price and before costs.

    Attributes
    ----------
    gain_pct
        Where it reaches its first target before its stop.
    loss_pct
        What it loses where it does not.
    """

    gain_pct: float
    loss_pct: float


_LEAST_PCT: Final = 1e-6


def _above_nothing[Number: (float, pl.Expr)](percent: Number) -> Number:
    """What is divided by: a right call on an exit plan may earn nothing, or less, and a wrong one lose nothing."""
    return percent.clip(_LEAST_PCT) if isinstance(percent, pl.Expr) else max(percent, _LEAST_PCT)


@dataclass(frozen=True, slots=True)
class EntryRule:
    """Enter where the expected net return exceeds a minimum and, where one is set, the probability a threshold.

    The numbers of a prediction may be floats, or Polars expressions for many predictions at once.

    Attributes
    ----------
    cost_bps
        Fees and slippage of a round trip, in basis points of the notional.
    min_edge_bps
        What the expected net return must exceed, in basis points of the notional.
    threshold
        A probability that must be reached besides; None where the expected return alone decides.
    only_certain
        Whether the prediction set must besides hold take-profit alone.
    slippage_bps
        What of the costs is slippage.
    min_net_pct
        What the expected net profit must besides reach, in percent of the notional, funding taken off; None for
        nothing. The rule knows no funding, which a signal does: it asks for the profit before it.
    """

    cost_bps: float = 0.0
    min_edge_bps: float = 0.0
    threshold: float | None = None
    only_certain: bool = False
    slippage_bps: float = 0.0
    min_net_pct: float | None = None

    @classmethod
    def of(cls, model: StrategySettings, *, cost_bps: float, slippage_bps: float = 0.0) -> Self:
        """The rule of a model, at the costs of an account, of which a part is slippage."""
        only_certain = isinstance(model, ModelSettings) and model.confidence.enter_only_when_certain
        return cls(
            cost_bps,
            model.min_edge_bps,
            model.threshold,
            only_certain,
            min(slippage_bps, cost_bps),
            model.min_expected_net_pct,
        )

    @property
    def wanted_bps(self) -> float:
        """The expected net return that is wanted, in basis points, whichever setting asks for it."""
        return max(self.min_edge_bps, -math.inf if self.min_net_pct is None else 100 * self.min_net_pct)

    def edge_bps[Number: (float, pl.Expr)](
        self, probability: Number, take_profit_pct: Number, stop_loss_pct: Number
    ) -> Number:
        """The expected net return of a trade, in basis points: ``p x target - (1 - p) x stop - costs``."""
        return (probability * take_profit_pct - (1 - probability) * stop_loss_pct) * 100 - self.cost_bps

    def break_even[Number: (float, pl.Expr)](self, take_profit_pct: Number, stop_loss_pct: Number) -> Number:
        """The probability at which a trade earns its costs and no more; above 1 where costs exceed the target."""
        return (stop_loss_pct + self.cost_bps / 100) / _above_nothing(take_profit_pct + stop_loss_pct)

    def required[Number: (float, pl.Expr)](self, take_profit_pct: Number, stop_loss_pct: Number) -> Number:
        """The probability at which the expected net return is the wanted one, whatever the threshold."""
        wanted = stop_loss_pct + (self.cost_bps + self.wanted_bps) / 100
        return wanted / _above_nothing(take_profit_pct + stop_loss_pct)

    def kelly_share(self, probability: float, take_profit_pct: float, stop_loss_pct: float) -> float:
        """The notional, as a share of equity, with which equity grows fastest if the probability is right; at least 0.

        Of a bet that earns ``g`` of its stake or loses ``l``, with costs in both: ``p / l - (1 - p) / g``. Where even
        the target does not earn its costs, nothing.

        References
        ----------
        J. L. Kelly, "A New Interpretation of Information Rate", *Bell System Technical Journal* 35, 1956.
        """
        gain = (take_profit_pct - self.cost_bps / 100) / 100
        loss = _above_nothing(stop_loss_pct + self.cost_bps / 100) / 100
        return max(probability / loss - (1 - probability) / gain, 0.0) if gain > 0 else 0.0

    def enters[Number: (float, pl.Expr)](
        self,
        probability: Number,
        take_profit_pct: Number,
        stop_loss_pct: Number,
        prediction_set: int | pl.Expr | None = None,
    ) -> bool | pl.Expr:
        """Whether a prediction is entered on; one with a missing number is not."""
        edge = self.edge_bps(probability, take_profit_pct, stop_loss_pct)
        worth = edge > self.min_edge_bps
        if self.min_net_pct is not None:
            worth = worth & (edge >= 100 * self.min_net_pct)
        if self.threshold is not None:
            worth = worth & (probability >= self.threshold)
        return worth & (prediction_set == CERTAIN) if self.only_certain else worth

    def entered(self, take_profit_pct: pl.Expr, stop_loss_pct: pl.Expr) -> pl.Expr:
        """The same of rows of the table ``predictions``, by their columns."""
        known = pl.col("prediction_set") if self.only_certain else None
        said = self.enters(pl.col("probability"), take_profit_pct, stop_loss_pct, known)
        assert isinstance(said, pl.Expr)
        return said

    def reason(
        self, probability: float, take_profit_pct: float, stop_loss_pct: float, prediction_set: int | None = None
    ) -> str:
        """Why a prediction is entered on, or not, in one line."""
        edge = self.edge_bps(probability, take_profit_pct, stop_loss_pct)
        even = self.break_even(take_profit_pct, stop_loss_pct)
        said = f"expected net return {edge:+.1f} bps: probability {probability:.4f}, break-even {even:.4f}"
        if not edge > self.min_edge_bps:
            return f"{said}; more than {self.min_edge_bps:g} bps are wanted"
        if self.min_net_pct is not None and not edge >= 100 * self.min_net_pct:
            return f"{said}; at least {self.min_net_pct:g} % are wanted (min_expected_net_pct)"
        if self.threshold is not None and not probability >= self.threshold:
            return f"below the threshold of {self.threshold:.4f}; {said}"
        if self.only_certain and prediction_set != CERTAIN:
            held = "unknown" if prediction_set is None else NAMES[prediction_set]
            return f"not certain, the prediction set is {held}; {said}"
        return said
