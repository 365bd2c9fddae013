"""How many examples a property is tried on: the full number in `make test`, a quarter of it in `make check`."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings

SUITE, LOOP = "suite", "loop"
"""Names of the profiles. Neither has a deadline: a slow machine is no failure."""

_FULL, _LEAST = 100, 3

for _name, _examples in ((SUITE, _FULL), (LOOP, _FULL // 4)):
    settings.register_profile(
        _name, deadline=None, max_examples=_examples, suppress_health_check=[HealthCheck.too_slow]
    )


def examples(count: int, *, suppress: HealthCheck | None = None, **more: Any) -> settings:
    """So many examples of a property where all tests run; the profile's share of them elsewhere.

    Parameters
    ----------
    suppress
        A health check that does not apply.
    **more
        Other settings of Hypothesis.
    """
    profile = settings()
    share = max(min(count, _LEAST), count * profile.max_examples // _FULL)
    checks = [*profile.suppress_health_check, *([suppress] if suppress else [])]
    return settings(profile, max_examples=share, suppress_health_check=checks, **more)
