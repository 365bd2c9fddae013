"""What a trade is expected to earn when all is paid, with its parts; known before it is entered."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExpectedNet:
    """Expected profit of a trade in percent of its notional.

    Attributes
    ----------
    gross_pct
        ``p x gain - (1 - p) x loss``, of the probability and what the plan or the barriers earn and lose.
    fees_pct, slippage_pct
        Of a round trip at the market, the dearer way out.
    funding_pct
        What can have to be paid until the end of the horizon; what may be received counts nothing.
    """

    gross_pct: float
    fees_pct: float
    slippage_pct: float
    funding_pct: float

    @property
    def net_pct(self) -> float:
        """What is left."""
        return self.gross_pct - self.fees_pct - self.slippage_pct - self.funding_pct

    def __str__(self) -> str:
        return (
            f"expected net profit {self.net_pct:+.3f} %: {self.gross_pct:+.3f} % gross, less "
            f"fees {self.fees_pct:.3f} %, slippage {self.slippage_pct:.3f} %, funding {self.funding_pct:.3f} %"
        )
