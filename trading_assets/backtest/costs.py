"""What a verdict says of a backtest's costs: where they rest on an assumption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trading_assets.core.candles import Market
from trading_assets.settings import CostSettings


def remarks(metrics: Mapping[str, float], markets: Sequence[str], costs: CostSettings) -> list[str]:
    """Sentences on funding that nobody stored; none where all payments are stored, or there are none.

    Parameters
    ----------
    metrics
        Of a backtest.
    markets
        Those that were traded.
    costs
        What is assumed.
    """
    assumed, due = metrics.get("assumed_payments", 0.0), metrics.get("payments", 0.0)
    real = [one for one in markets if Market.parse(one).is_perpetual and not Market.parse(one).is_synthetic]
    if not assumed or not real:
        return []
    share = "no funding rates are stored" if assumed >= due else f"{assumed:,.0f} of {due:,.0f} payments are not stored"
    return [
        f"{share} of {', '.join(real)}: {costs.assumed_funding_bps:g} bps every 8 hours are charged to either side in "
        f"their place, {-metrics['assumed_funding']:,.2f} in all; materialize funding_rates, or set "
        "trading.costs.assumed_funding_bps"
    ]
