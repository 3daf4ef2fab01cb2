"""How sure a share is that was counted."""

from math import sqrt


def wilson(share: float, trials: float, z: float = 1.96) -> tuple[float, float]:
    """Return the interval of a share of 1 (Wilson, 1927). z: how many deviations wide; 1.96 = it holds in 19
    of 20 cases."""
    middle = (share + z * z / 2 / trials) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * sqrt(share * (1 - share) / trials + z * z / 4 / trials**2)
    return middle - half, middle + half
