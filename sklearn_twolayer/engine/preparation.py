"""Preparation of the rows of a fit: measured, scaled and cast, once for all its training runs."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .bayes.evidence import MOST_ROWS
from .bayes.extrapolation import Ranges, of_table
from .data.moments import Moments, no_moments
from .data.rows import Rows
from .data.scaling import Scaling
from .data.table import ArrayTable, RowFormat, Table
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
    rows: Rows
    weight: float
    validation: Rows | None = None
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
    rows = _rows(plan, scaling, task.table)
    # a scorer rates rows in raw units, and has them already
    rated = task.validation is not None and task.score is None
    validation = _rows(plan, scaling, _table_of(task.validation)) if rated else None
    # predictions are compared with the variance of the targets, where there is such a thing; what a
    # variance decides is not monotonic
    of_quantities = task.loss.standardizes_target
    comparable = of_quantities and plan.settings.standardize and task.monotonic is None
    ranges = of_table(task.table, task.n_levels) if comparable else None
    return Training(scaling, rows, scaling.weight, validation, ranges)


AS_GOOD_AS_STANDARD = 1e-6
"""Columns whose mean and deviation are so near 0 and 1, as other scalers leave them, stay."""


def _measure(plan: Plan) -> Scaling:
    """What ``standardize`` asks for: moments of X, and of Y where the loss wants them."""
    task = plan.task
    n_rows, n_features, weight = task.X.shape[0], plan.shape.n_features, task.table.weight
    Y = no_moments(task.n_targets)
    if not plan.settings.standardize:
        return Scaling(_used(plan, no_moments(n_features)), Y, n_rows, weight, _means(plan))
    X, present = _moments(plan)
    X = _used(plan, X)
    if task.loss.standardizes_target:
        Y = task.table.moments_of_targets()
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
        return task.table.encoded_moments(plan.encoding)
    X = task.table.moments()
    standard = X.are_standard(AS_GOOD_AS_STANDARD)
    return (no_moments(plan.shape.n_features) if standard else X), None


def _means(plan: Plan) -> Array | None:
    """What stands for a missing value where columns stay as they are; None for sparse X."""
    table = plan.task.table
    if plan.encoding is not None:
        return table.encoded_moments(plan.encoding)[0].mean
    return table.means()


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
    tables = {"": task.table} | ({"_val": _table_of(task.validation)} if task.validation else {})
    found = {suffix: table.magnitudes() for suffix, table in tables.items()}
    sizes = {"X" + suffix: of_X for suffix, (of_X, _) in found.items()}
    return sizes | {"y" + suffix: of_Y for suffix, (_, of_Y) in found.items()}


def _table_of(validation: Any) -> Table:
    """That of validation rows (X, Y, weights)."""
    X = validation[0]
    return X if isinstance(X, Table) else ArrayTable(*validation)


def _rows(plan: Plan, scaling: Scaling, table: Table) -> Rows:
    """Rows in standardised units; weights are relative to their mean, which no float overflows."""
    n_rows = table.shape[0]
    mean = float(table.weight / n_rows)
    form = RowFormat(
        scaling if plan.settings.standardize else None,
        plan.settings.dtype,
        block_size(plan.shape.width),
        plan.encoding,
        scaling.fill,
        mean,
        min(mean, MOST_ROWS / n_rows),
    )
    return table.rows(form)
