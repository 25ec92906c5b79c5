"""Monotonic constraints on weights: which parameters are held, where they begin, what they do."""

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_array_equal

from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.initializers import initialize
from sklearn_twolayer.engine.model.monotonic import (
    MONOTONIC_ACTIVATIONS,
    bounds,
    draw_within,
    unit_signs,
)
from sklearn_twolayer.engine.model.parameters import Shape

DIRECTIONS = {
    "none": [0, 0, 0, 0],
    "first": [1, 0, 0, 0],
    "falling": [0, 0, -1, -1],
    "apart": [1, 0, -1, 0],
    "all": [1, -1, -1, 1],
}
SHAPES = {
    "one output": Shape(4, 5, 1),
    "skip": Shape(4, 5, 2, skip=True),
    "one unit": Shape(4, 1, 3, skip=True),
}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
every_direction = pytest.mark.parametrize("directions", DIRECTIONS.values(), ids=DIRECTIONS)


def expected_signs(shape, directions):
    """By the definition, parameter by parameter; 0 for the free ones."""
    signs = np.zeros(shape.size)
    parts = shape.views(signs)
    for h in range(shape.n_hidden):
        of_unit = -1 if h % 2 else 1
        parts.W2[h] = of_unit
        for j, direction in enumerate(directions):
            parts.W1[j, h] = direction * of_unit
    if shape.skip:
        for j, direction in enumerate(directions):
            parts.W0[j] = direction
    return signs


@every_shape
@every_direction
def test_a_projection_is_the_nearest_point_within_the_bounds(shape, directions):
    theta, signs = RandomState(0).randn(shape.size), expected_signs(shape, directions)
    found = theta.copy()
    bounds(shape, np.array(directions)).project(found)
    assert_array_equal(found, np.where(theta * signs < 0, 0, theta))
    again = found.copy()
    bounds(shape, np.array(directions)).project(again)
    assert_array_equal(again, found)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_projection_keeps_the_precision(dtype):
    shape = SHAPES["skip"]
    theta = RandomState(0).randn(shape.size).astype(dtype)
    bounds(shape, np.array(DIRECTIONS["apart"])).project(theta)
    assert theta.dtype == dtype


@pytest.mark.parametrize(("n_hidden", "n_negative"), [(1, 0), (2, 1), (5, 2), (100, 50)])
def test_every_second_unit_is_negative(n_hidden, n_negative):
    signs = unit_signs(n_hidden)
    assert_array_equal(np.abs(signs), 1)
    assert (signs < 0).sum() == n_negative


BLOCKS = Shape(9, 40, 2, skip=True, blocks=((0, 4), (2, 1), (1, 4)), n_inputs=5.0)
OF_ENCODED = np.array([1, 1, 1, 0, 0, -1, -1, -1, -1])
"""A number with two increments and an indicator, one without constraint, one that falls."""


class TestBeginning:
    def drawn(self, directions=OF_ENCODED, shape=BLOCKS):
        theta = initialize(shape, "tanh", "auto", RandomState(0))
        found = theta.copy()
        draw_within(shape, directions, found, RandomState(1))
        return shape.views(theta), shape.views(found), found

    def test_is_within_the_bounds(self):
        _, _, theta = self.drawn()
        projected = theta.copy()
        bounds(BLOCKS, OF_ENCODED).project(projected)
        assert_array_equal(projected, theta)

    def test_leaves_other_columns_and_outputs_alone(self):
        before, after, _ = self.drawn()
        assert_array_equal(after.W1[OF_ENCODED == 0], before.W1[OF_ENCODED == 0])
        assert_array_equal(after.b2, before.b2)
        assert_array_equal(after.W0, before.W0)

    def test_half_of_the_units_step_at_one_place_of_each_column(self):
        _, after, _ = self.drawn()
        for rows in (slice(0, 3), slice(5, 9)):
            n_weights = (after.W1[rows] != 0).sum(axis=0)
            assert_array_equal(n_weights[:20], 1)
            assert_array_equal(n_weights[20:], rows.stop - rows.start)
            assert_array_equal(after.W1[rows][0, :20], 0)  # a value makes no step
            used = (after.W1[rows][:, :20] != 0).any(axis=1)
            assert used[1:].all()
        assert len(np.unique(after.b1)) == 40

    @pytest.mark.parametrize("directions", [[1, 0], [1, -1]])
    def test_columns_without_knots_begin_with_a_weight_for_every_unit(self, directions):
        shape = Shape(2, 6, 1)
        before, after, _ = self.drawn(np.array(directions), shape)
        held = np.array(directions) != 0
        assert (after.W1[held] != 0).all()
        assert (np.abs(after.W1[held]) < np.abs(before.W1[held])).all()


Z = np.linspace(-30, 30, 20_001)[:, None]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_say_whether_they_fall(name):
    values = np.empty_like(Z)
    ACTIVATIONS[name].value(Z.copy(), values)
    assert (np.diff(values, axis=0) >= 0).all() == (name in MONOTONIC_ACTIVATIONS)
