"""How good predictions are: mean Poisson deviance, mean absolute error, and how often the interval held the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import mean_poisson_deviance

Numbers = NDArray[np.float64]
SMALLEST = 1e-6
"""Deviance is infinite where nothing was foreseen and something came, so no prediction counts as less than this."""


def poisson_deviance(truth: Numbers, predicted: Numbers) -> float:
    """Mean Poisson deviance; 0 is exact."""
    return float(mean_poisson_deviance(truth, np.maximum(predicted, SMALLEST)))


def grouped_error(truth: Numbers, predicted: Numbers, *groups: NDArray[np.generic]) -> float:
    """Mean absolute error of sums: rows that agree in all `groups`, arrays of one value a row, are added up first."""
    codes = np.zeros(len(truth), np.int64)
    for group in groups:
        found, code = np.unique(group, return_inverse=True)
        codes = codes * len(found) + code
    _, code = np.unique(codes, return_inverse=True)
    return float(np.mean(np.abs(np.bincount(code, truth) - np.bincount(code, predicted))))


def coverage(truth: Numbers, lower: Numbers, upper: Numbers) -> float:
    """The share of truths that lie in their interval, ends included."""
    return float(np.mean((truth >= lower) & (truth <= upper)))
