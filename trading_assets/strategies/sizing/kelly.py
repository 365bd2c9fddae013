"""A sizing: a fraction of the stake that the probability is worth."""

from __future__ import annotations

from trading_assets.settings import KellySettings
from trading_assets.strategies.signals import Signal
from trading_assets.strategies.sizing.base import Sizing, Stake, bounded
from trading_assets.strategies.sizing.registry import register
from trading_assets.validation.coverage import CERTAIN, NAMES, OTHER, TAKE_PROFIT


@register
class Kelly(Sizing[KellySettings]):
    """The signal's Kelly stake, times a fraction that the prediction set caps.

    The stake is that of the calibrated probability: :meth:`trading_assets.strategies.entry_rule.EntryRule.kelly_share`.
    A set that holds take-profit alone gives the whole fraction. One that holds both outcomes says that the model cannot
    tell them apart at the coverage asked for: a part of the fraction. So does no set: nobody has said that it is
    certain. A set without take-profit rules the trade out, and an empty one says that the row is like none of those
    that the sets were made from: nothing.

    References
    ----------
    J. L. Kelly, "A New Interpretation of Information Rate", *Bell System Technical Journal* 35, 1956; the
    fraction: L. C. MacLean, E. O. Thorp, W. T. Ziemba, "Long-term capital growth: the good and bad properties of the
    Kelly and fractional Kelly capital growth criteria", *Quantitative Finance* 10, 2010.
    """

    section = KellySettings
    source = "Kelly (1956); fractional: MacLean, Thorp and Ziemba (2010)"

    def stake(self, signal: Signal, *, volatility: float | None = None) -> Stake:
        """Large where the expected return is, and where the model is certain."""
        held, whole = signal.prediction_set, signal.kelly_share
        named = "unknown" if held is None else NAMES[held]
        share = self._fraction(held) * whole
        why = f"Kelly stake {whole:.4g} of equity, fraction {self._fraction(held):.4g} for the prediction set {named}"
        return bounded(share, self.settings.max_position_share, f"{why}: {share:.4g} of equity")

    def _fraction(self, held: int | None) -> float:
        if held == CERTAIN:
            return self.settings.fraction
        if held is None or held == TAKE_PROFIT | OTHER:
            return self.settings.fraction * self.settings.when_ambiguous
        return 0.0
