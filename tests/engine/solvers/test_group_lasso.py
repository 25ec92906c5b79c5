"""Group lasso by proximal gradient steps: against optimality conditions, and by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_twolayer.engine.model.parameters import Shape
from sklearn_twolayer.engine.solvers.group_lasso import Groups, groups_of_columns, solve

GROUPS = Groups(np.array([0, 0, 1, 1, 1, 2, 3, 3]), 3)  # the last two are free


def least_squares(rng):
    X = rng.randn(40, 8)
    y = X @ [2.0, -1.0, 0.1, 0.0, 0.1, 0.7, 1.0, -1.0] + 0.1 * rng.randn(40)

    def F(theta):
        residual = X @ theta - y
        return 0.5 * float(residual @ residual) / 40, X.T @ residual / 40

    return F


@pytest.mark.parametrize("strength", [[0.2, 0.2, 0.2], [0.3, 0.02, 5.0], [9.0, 9.0, 9.0]])
def test_no_group_has_a_reason_to_move(strength, rng):
    F, strength = least_squares(rng), np.array(strength)
    theta = rng.randn(8)
    for _ in range(20):
        theta = solve(F, theta, GROUPS, strength, 100)
    gradient, lengths = F(theta)[1], GROUPS.lengths(theta)
    assert_allclose(gradient[6:], 0, atol=1e-4)
    for group in range(3):
        part = GROUPS.of_parameter == group
        if lengths[group]:
            expected = -strength[group] * theta[part] / lengths[group]
            assert_allclose(gradient[part], expected, atol=1e-4)
        else:
            assert_array_equal(theta[part], 0)
            assert np.linalg.norm(gradient[part]) <= strength[group]
    assert (lengths == 0).any()


def test_a_group_of_infinite_strength_is_zero_and_of_none_is_free(rng):
    F = least_squares(rng)
    theta = rng.randn(8)
    for _ in range(20):
        theta = solve(F, theta, GROUPS, np.array([np.inf, 0.0, 0.0]), 100)
    assert_array_equal(theta[:2], 0)
    assert_allclose(F(theta)[1][2:], 0, atol=1e-4)


def test_a_function_that_bends_downwards_is_lowered(rng):
    """No curvature to tell the length by, and none that is finite everywhere."""

    def F(theta):
        with np.errstate(all="ignore"):
            value = float(np.log(theta**2 + 1).sum()) if np.abs(theta).max() < 50 else np.nan
        return value, 2 * theta / (theta**2 + 1)

    start = 20 + rng.rand(8)
    strength = np.full(3, 0.01)
    found = solve(F, start, GROUPS, strength, 100)
    assert np.isfinite(found).all() and F(found)[0] < 0.1 * F(start)[0]


def test_the_proximal_point_shortens_groups(rng):
    theta = np.array([3.0, 4.0, 0.1, 0.1, 0.1, -2.0, 5.0, 6.0])
    found = GROUPS.shrunk(theta, np.array([1.0, 1.0, 0.5]))
    assert_allclose(found, [2.4, 3.2, 0, 0, 0, -1.5, 5, 6])
    assert_allclose(GROUPS.lengths(found), [4, 0, 1.5])


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("blocks", [None, ((1, 2), (0, 1))])
def test_groups_are_all_that_leaves_a_column(skip, blocks):
    shape = Shape(3, 2, 1, skip, blocks)
    groups = groups_of_columns(shape)
    parts = shape.views(groups.of_parameter)
    columns = [0, 1, 2] if blocks is None else [1, 1, 0]
    assert groups.n == (3 if blocks is None else 2)
    assert_array_equal(parts.W1, np.transpose([columns, columns]))
    if skip:
        assert_array_equal(parts.W0[:, 0], columns)
    for others in (parts.b1, parts.W2, parts.b2):
        assert_array_equal(others, groups.n)
