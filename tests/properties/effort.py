"""How long the properties are tried: quickly in CI, HYPOTHESIS_PROFILE=nightly for hours."""

import os

from hypothesis import HealthCheck, Phase, settings

PROFILES = {"quick": 1, "long": 10, "nightly": 100}
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "quick")
TIMES = PROFILES[PROFILE]
SLOW_IS_FINE = (HealthCheck.too_slow, HealthCheck.data_too_large)
SEARCH_ONLY = (Phase.explicit, Phase.generate)


def tries(examples: int, *, steps: int = 30) -> settings:
    """Return the settings for so many examples in CI, each of at most so many steps."""
    return settings(
        max_examples=examples * TIMES,
        stateful_step_count=steps,
        deadline=None,
        print_blob=True,
        suppress_health_check=SLOW_IS_FINE,
    )


def hunts(examples: int, *, steps: int = 30) -> settings:
    """Return the settings for a mutilated machine, which has to fail: always the same tries.

    What it fails with is not made smaller: nobody wants to read it.
    """
    return settings(
        tries(1, steps=steps),
        max_examples=examples,
        derandomize=True,
        database=None,
        phases=SEARCH_ONLY,
        print_blob=False,
        report_multiple_bugs=False,
    )
