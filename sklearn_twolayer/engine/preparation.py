"""Preparation of the rows of a fit: measured, scaled and cast, once for all its training runs."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from .bayes.evidence import MOST_ROWS
from .bayes.extrapolation import Ranges, measure
from .data.encoded import encoded_moments
from .data.moments import Moments, magnitude, means, moments, no_moments
from .data.rows import ArrayRows
from .data.scaling import Scaling
from .model.network import block_size
from .numerics import Array
from .plan import Plan


@dataclass(frozen=True)
class Training:
    """The rows that all runs of one fit share, scaled and cast, and in which units they are.

    `weight` is what the penalty is divided by: the weight of all rows so far. `ranges` are those of
    the rows of this fit alone; None where the targets are not standardised, or have no noise, or
    where predictions are to be monotonic.
    """

    scaling: Scaling
    rows: ArrayRows
    weight: float
    validation: ArrayRows | None = None
    ranges: Ranges | None = None

    def alone(self) -> "Training":
        """The same for a run at the same time as others, which has buffers of its own."""
        validation = None if self.validation is None else self.validation.alone()
        return replace(self, rows=self.rows.alone(), validation=validation)

    def part(self, index: Array) -> "Training":
        """Some of the rows, in the same units."""
        rows = self.rows.part(index)
        weight = self.weight * rows.sum_weights / self.rows.sum_weights
        return Training(self.scaling, rows, weight, ranges=self.ranges)


def prepare(plan: Plan, earlier: Scaling | None = None) -> Training:
    """Measure, scale and cast the rows of a fit, once; `earlier` rows of a stream count too."""
    task = plan.task
    scaling = _measure(plan)
    if earlier is not None:
        scaling = earlier.merged(scaling)
    _check_range(plan, scaling)
    rows = _rows(plan, scaling, task.X, task.Y, task.weights)
    # a scorer rates rows in raw units, and has them already
    rated = task.validation is not None and task.score is None
    validation = _rows(plan, scaling, *task.validation) if rated else None  # type: ignore[misc]
    # predictions are compared with the variance of the targets, where there is such a thing; what a
    # variance decides is not monotonic
    of_quantities = task.loss.has_noise or task.loss.borrows_prior
    comparable = of_quantities and plan.settings.standardize and task.monotonic is None
    ranges = measure(task.X, task.Y, task.n_levels) if comparable else None
    return Training(scaling, rows, scaling.weight, validation, ranges)


AS_GOOD_AS_STANDARD = 1e-6
"""Columns whose mean and deviation are so near 0 and 1, as other scalers leave them, stay."""


def _measure(plan: Plan) -> Scaling:
    """What ``standardize`` asks for: moments of X, and of Y where the loss wants them."""
    task = plan.task
    n_rows, n_features = task.X.shape[0], plan.shape.n_features
    weight = float(n_rows if task.weights is None else task.weights.sum())
    Y = no_moments(task.n_targets)
    if not plan.settings.standardize:
        return Scaling(_used(plan, no_moments(n_features)), Y, n_rows, weight, _means(plan))
    X, present = _moments(plan)
    X = _used(plan, X)
    if task.loss.standardizes_target:
        Y = moments(task.Y, task.weights)
    return Scaling(X, Y, n_rows, weight, present=present, link=task.loss.link)


def _used(plan: Plan, X: Moments) -> Moments:
    """Columns that are to be ignored are constant whatever they hold: their weights will be 0."""
    used = plan.task.used
    if used is None:
        return X
    return replace(X, deviation=np.where(used[plan.shape.columns], X.deviation, 0.0))


def _moments(plan: Plan) -> tuple[Moments, Array | None]:
    """Those of the columns of X, encoded if they are, and the weights of what is not missing."""
    task = plan.task
    if plan.encoding is not None:
        return encoded_moments(task.X, task.weights, plan.encoding)
    X = moments(task.X, task.weights)
    standard = X.are_standard(AS_GOOD_AS_STANDARD)
    return (no_moments(plan.shape.n_features) if standard else X), None


def _means(plan: Plan) -> Array | None:
    """What stands for a missing value where columns stay as they are; None for sparse X."""
    task = plan.task
    if plan.encoding is not None:
        return encoded_moments(task.X, task.weights, plan.encoding)[0].mean
    return None if sparse.issparse(task.X) else means(task.X, task.weights)


def _check_range(plan: Plan, scaling: Scaling) -> None:
    """ValueError for numbers near the end of the range, which leave no room to compute with."""
    if plan.settings.standardize:
        sizes = {"a column of X": scaling.X.deviation.max(), "y": scaling.Y.magnitude.max()}
        dtype = plan.task.X.dtype
        advice = "take other units" + (", or X in float64" if dtype == np.float32 else "")
    else:
        advice = "take dtype='float64', or standardize=True"
        sizes, dtype = _sizes(plan), np.dtype(plan.settings.dtype)
    limit = 1e-3 * float(np.finfo(dtype).max)
    for what, size in sizes.items():
        if not size <= limit:
            raise ValueError(
                f"{what} is as large as {size:.0e}: more than {limit:.0e} is too much for {dtype}; "
                + advice
            )


def _sizes(plan: Plan) -> dict[str, float]:
    """The largest magnitudes in rows that are to be rounded to float32 as they are."""
    task = plan.task
    if plan.settings.dtype == "float64":
        return {}
    rows = {"": (task.X, task.Y, None)} | ({"_val": task.validation} if task.validation else {})
    sizes = {"X" + suffix: magnitude(X) for suffix, (X, _, _) in rows.items()}
    return sizes | {"y" + suffix: float(np.abs(Y).max()) for suffix, (_, Y, _) in rows.items()}


def _rows(plan: Plan, scaling: Scaling, X: Any, Y: Array, weights: Array | None) -> ArrayRows:
    """Rows in standardised units; weights are relative to their mean, which no float overflows."""
    copies = 1.0
    if weights is not None:
        mean = float(weights.sum() / len(weights))
        weights, copies = weights / mean, min(mean, MOST_ROWS / len(weights))
    units, dtype = scaling if plan.settings.standardize else None, plan.settings.dtype
    size, encoding = block_size(plan.shape.width), plan.encoding
    return ArrayRows(X, Y, weights, units, dtype, size, copies, encoding, scaling.fill)
