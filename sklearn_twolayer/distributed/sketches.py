"""Sketches of a column: quantiles of its rows and of its distinct values, from parts that merge.

While there are few distinct values a sketch holds them all, with their weights, and is exact.
"""

from dataclasses import dataclass

import numpy as np

SIZE = 2048
"""Distinct values that a sketch holds."""


@dataclass(frozen=True)
class Sketch:
    """At most `size` rising values with weights, which stand for those of all rows.

    Let R(x) be the weight of the rows with values up to x, and W that of all rows. What `values`
    and `weights` make of R is exact unless they had to be compressed, once they were more than
    `size`. Of m = (size - 1) // 2 cells of equal weight W / m, those values that lie in the same
    cell then go to their weighted median. Whatever x is, R(x) so changes by no more than half a
    cell, W / (2 m): it does at a value of the cell where x is, by the part of its weight on one
    side of the median. A value that reaches over the end of a cell stays alone, and so do the
    least and the greatest: 2 m + 1 values at most.

    The R of two parts add up, and so do their errors. In a tree of depth d there is one compression
    on each way from a leaf to the root at each of d + 1 levels, and on each level the weights of
    the nodes add up to W: R is known but for (d + 1) W / (2 m), about (d + 1) / size of W.

    `sample` has `size` of the distinct values, or is None while `values` has them all. They are
    those of smallest hash (Bar-Yossef et al. 2002): a uniform sample, and that of two parts is what
    is smallest in either, without any error.
    """

    size: int
    values: np.ndarray
    weights: np.ndarray
    sample: np.ndarray | None = None

    @property
    def cumulated(self) -> np.ndarray:
        """R(x) at each of the values."""
        return np.cumsum(self.weights)

    @property
    def distinct(self) -> np.ndarray:
        """The distinct values, or the sample that stands for them, in rising order."""
        return self.values if self.sample is None else self.sample

    def merged(self, other: "Sketch") -> "Sketch":
        """That of the rows of both."""
        values = np.concatenate([self.values, other.values])
        values, weights = _summed(values, np.concatenate([self.weights, other.weights]))
        sample = None
        if self.sample is not None or other.sample is not None:
            sample = _of_smallest_hash(np.union1d(self.distinct, other.distinct), self.size)
        return _limited(Sketch(self.size, values, weights, sample))


def sketch(x: np.ndarray, weights: np.ndarray | None, size: int = SIZE) -> Sketch:
    """That of the numbers x, none of which is NaN; a weight counts copies."""
    return _limited(Sketch(size, *_summed(x + np.float64(0), weights)))  # -0.0 is 0.0


def _summed(x: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values in rising order, and the weight of each."""
    if weights is None:
        x = np.sort(x)
    else:
        order = np.argsort(x, kind="stable")
        x, weights = x[order], weights[order]
    starts = np.flatnonzero(np.append(len(x) > 0, x[1:] != x[:-1]))
    if weights is None:
        return x[starts], np.diff(starts, append=len(x)).astype(np.float64)
    return x[starts], np.add.reduceat(weights, starts) if len(x) else np.empty(0)


def _limited(sketch: Sketch) -> Sketch:
    """The same with no more than `size` values."""
    size, values = sketch.size, sketch.values
    if len(values) <= size:
        return sketch
    sample = _of_smallest_hash(values, size) if sketch.sample is None else sketch.sample
    return Sketch(size, *_compressed(values, sketch.weights, (size - 1) // 2), sample)


def _compressed(
    values: np.ndarray, weights: np.ndarray, n_cells: int
) -> tuple[np.ndarray, np.ndarray]:
    """At most ``2 n_cells + 1`` of the values, with the weights of those they stand for."""
    ends = np.cumsum(weights)
    bounds = np.append(0, ends) / ends[-1] * n_cells
    cells = np.floor(bounds[:-1])
    is_alone = bounds[1:] > cells + 1
    is_alone[[0, -1]] = True
    begins = is_alone.copy()
    begins[1:] |= is_alone[:-1] | (cells[1:] != cells[:-1])
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(values)) - 1
    sums = np.add.reduceat(weights, first)
    median = np.searchsorted(ends, ends[first] - weights[first] + sums / 2)
    return values[np.clip(median, first, last)], sums


def _of_smallest_hash(values: np.ndarray, size: int) -> np.ndarray:
    """As many of the distinct, rising values as are to be kept, in the same order."""
    if len(values) <= size:
        return values
    hashes = _hashes(values)
    return values[hashes <= np.partition(hashes, size - 1)[size - 1]]


def _hashes(values: np.ndarray) -> np.ndarray:
    """The last step of SplitMix64 (Steele et al. 2014): other numbers have other hashes."""
    bits = values.view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
