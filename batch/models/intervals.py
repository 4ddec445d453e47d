"""Predictive intervals, widened to what a validation month showed.

Demand is a count, mostly 0 or 1, so its interval has whole ends and cannot hold exactly 90 %: it is the smallest that
holds at least that, and `expected_coverage` says how much it does hold when the model is right.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import nbinom, poisson

from batch.models.scores import Numbers

LEVEL = 0.9


def dispersion(truth: Numbers, mean: Numbers) -> float:
    """How much more counts vary than Poisson's, as in variance = mean + dispersion · mean²: the moment estimate."""
    return max(0.0, float(np.sum((truth - mean) ** 2 - mean) / np.sum(mean**2)))


def count_interval(mean: Numbers, spread: float, level: float = LEVEL) -> tuple[Numbers, Numbers]:
    """The ends of the central interval of counts with this mean and dispersion `spread`."""
    tail = (1 - level) / 2
    if spread == 0:
        return poisson.ppf(tail, mean), poisson.ppf(1 - tail, mean)
    size = 1 / spread
    chance = size / (size + mean)
    return nbinom.ppf(tail, size, chance), nbinom.ppf(1 - tail, size, chance)


def expected_coverage(mean: Numbers, spread: float, lower: Numbers, upper: Numbers) -> float:
    """The share of truths that these intervals would hold if counts came as the model says."""
    if spread == 0:
        held = poisson.cdf(upper, mean) - poisson.cdf(lower - 1, mean)
    else:
        size = 1 / spread
        chance = size / (size + mean)
        held = nbinom.cdf(upper, size, chance) - nbinom.cdf(lower - 1, size, chance)
    return float(np.mean(held))


def relative_error_quantile(truth: Numbers, predicted: Numbers, level: float = LEVEL) -> float:
    """Half the width of an interval of positive amounts, as a share of the prediction: split conformal prediction."""
    errors = np.abs(truth - predicted) / predicted
    return float(np.quantile(errors, min(1.0, level * (1 + 1 / len(errors))), method="higher"))
