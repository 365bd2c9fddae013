"""How exact the mean of a series is that remembers: the long-run variance from its slow waves.

The usual standard error takes observations for independent. Here the series is laid against the slowest cosines that
fit into it; what it has in common with them is how much its mean may wander. A handful of waves is few, and is counted
as such: the error goes with a Student distribution of as many degrees of freedom. That keeps what a bootstrap of blocks
loses, memory longer than its blocks and the doubt about its own error.

Source: E. Lazarus, D. J. Lewis, J. H. Stock and M. W. Watson, "HAR Inference: Recommendations for Practice", *Journal
of Business & Economic Statistics* 36(4), 2018: equally weighted cosines, ``0.4 n^(2/3)`` of them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_MIN_WAVES = 2


def long_run_error(values: npt.ArrayLike) -> tuple[float, int]:
    """The standard error of the mean of a series, and its degrees of freedom.

    Parameters
    ----------
    values
        Equally spaced observations, oldest first; at least four.
    """
    series = np.asarray(values, dtype=np.float64)
    count = series.size
    waves = max(_MIN_WAVES, int(0.4 * count ** (2 / 3)))
    place = (np.arange(count) + 0.5) / count
    shared = np.cos(math.pi * np.outer(np.arange(1, waves + 1), place)) @ (series - series.mean())
    return math.sqrt(2 * float(np.mean(shared**2))) / count, waves


def student_quantile(degrees: int, probability: float) -> float:
    """The value that a Student distribution falls below with a probability."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))
