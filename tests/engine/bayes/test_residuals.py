"""Quantiles of residuals: how many rows are where, and what stands where there are none."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import ndtri

from sklearn_twolayer.engine.bayes import residuals as module
from sklearn_twolayer.engine.bayes.residuals import LEVELS, tabulate, upper_quantiles


def table(residuals, weights=None):
    residuals = np.asarray(residuals, float)
    residuals = residuals[:, None] if residuals.ndim == 1 else residuals
    weights = np.ones(len(residuals)) if weights is None else np.asarray(weights, float)
    return tabulate(residuals, weights, by_held_out=True)


@pytest.mark.parametrize(
    ("level", "rank"), [(0.5, 10), (0.9, 18), (0.95, 19), (0.8, 16), (0.81, 17), (0.01, 1)]
)
def test_one_row_more_than_there_are_is_counted(level, rank, rng):
    """Of 19 rows the greatest is what one of twenty, the new one with them, exceeds."""
    residuals = rng.permutation(np.arange(1.0, 20.0))[:, None]
    assert upper_quantiles(residuals, np.ones(19), np.array([level])) == rank


@pytest.mark.parametrize("n_rows", [7, 60, 999])
def test_so_large_a_part_of_new_residuals_is_within(n_rows, rng):
    """On average over tables, exactly: P(a new one is below) = ceil(level (n + 1)) / (n + 1)."""
    levels = np.array([0.25, 0.5, 0.8])
    parts = []
    for _ in range(400):
        uniform = rng.rand(n_rows, 1)
        parts.append(upper_quantiles(uniform, np.ones(n_rows), levels)[0])
    expected = np.ceil(levels * (n_rows + 1)) / (n_rows + 1)
    assert_allclose(np.mean(parts, axis=0), expected, atol=4 / np.sqrt(400 * (n_rows + 2)) / 2)


def test_a_weight_is_as_many_rows(rng):
    residuals, copies = rng.standard_t(3, size=(40, 2)), rng.randint(1, 5, 40)
    weighted = table(residuals, copies)
    copied = table(residuals.repeat(copies, axis=0))
    assert_array_equal(weighted.signed, copied.signed)
    assert_array_equal(weighted.absolute, copied.absolute)
    assert weighted.weight == copied.weight
    # in units of their mean they round otherwise, and still count alike
    rounded = table(residuals, copies / copies.mean() * copies.mean() * (1 + 1e-14))
    assert_array_equal(rounded.signed, copied.signed)
    levels = np.linspace(0.001, 0.999, 77)
    assert_allclose(rounded.quantiles(levels), copied.quantiles(levels), rtol=1e-12)


def test_signs_matter_where_they_are_asked_for(rng):
    residuals = rng.exponential(size=(2000, 1)) - 1
    levels = np.array([0.05, 0.5, 0.95])
    found = table(residuals).quantiles(levels)[0]
    assert_allclose(found, -np.log(1 - levels) - 1, atol=0.25)
    assert found[0] > -1 and found[2] > 1.5
    mirrored = table(-residuals).quantiles(levels)[0]
    assert_array_equal(mirrored, -found[::-1])
    assert_array_equal(table(-residuals).magnitudes(0.9), table(residuals).magnitudes(0.9))


@pytest.mark.parametrize("n_rows", [1, 2, 5, 19, 20, 400, 3000])
@pytest.mark.parametrize("weight", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("scale", [0.01, 1.0, 10.0])
def test_quantiles_never_cross(n_rows, weight, scale, rng):
    residuals = scale * (rng.standard_t(2, size=(n_rows, 1)) + 0.3)
    found = table(residuals, np.full(n_rows, weight))
    levels = np.unique(np.concatenate([rng.rand(3000), LEVELS[1:-1], [1e-12, 1 - 1e-12]]))
    assert (np.diff(found.quantiles(levels)[0]) >= 0).all()
    assert (np.diff([found.magnitudes(level)[0] for level in levels]) >= 0).all()


@pytest.mark.parametrize(("largest", "is_gaussian"), [(0.5, True), (9.0, False)])
def test_beyond_the_last_row_it_is_what_is_further_out(largest, is_gaussian):
    found = table(np.linspace(-largest, largest, 9))
    outer = np.array([0.01, 0.99])  # the tenth row would be above 0.9
    expected = ndtri(outer) if is_gaussian else np.array([-largest, largest])
    assert_allclose(found.quantiles(outer)[0], expected)
    assert_allclose(found.magnitudes(0.98)[0], ndtri(0.99) if is_gaussian else largest)
    # and up to it, the row
    assert_allclose(found.quantiles(np.array([0.1, 0.9]))[0], [-largest, largest])
    assert_allclose(found.magnitudes(0.9)[0], largest)


def test_between_levels_of_the_table_quantiles_are_interpolated(rng):
    found = table(rng.randn(5000, 1))
    exact = upper_quantiles(rng.randn(1, 1), np.ones(1), LEVELS)
    assert exact.shape == (1, len(LEVELS))
    near = found.quantiles(np.array([0.9, 0.902, 0.905]))[0]
    assert near[0] < near[1] < near[2]
    assert_allclose(near[1], near[0] + 0.4 * (near[2] - near[0]))


def test_the_table_is_symmetric_and_has_the_levels_people_ask_for():
    assert (np.diff(LEVELS) > 0).all()
    assert_allclose(LEVELS, 1 - LEVELS[::-1], atol=1e-15)
    assert {0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 0.9, 0.95, 0.975, 0.99} <= set(LEVELS)


@pytest.mark.parametrize("residuals", [np.empty((0, 1)), [[np.nan]], [[1.0], [np.inf]]])
def test_of_nothing_finite_there_is_no_table(residuals):
    assert table(residuals) is None


def test_it_is_arrays_and_numbers_only(rng):
    found = table(rng.randn(10, 3))
    assert {type(value) for value in vars(found).values()} == {np.ndarray, float, bool, type(None)}
    assert found.signed.shape == found.absolute.shape == (3, len(LEVELS))
    assert module.Residuals(**dict(vars(found))).weight == 10
