"""What moves outputs: numbers along their slopes, and the levels of categories as they vary."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from encoded_tables import TABLES, origins, write_out
from sklearn_twolayer.engine.data.encoded import Encoded, encoded_moments
from sklearn_twolayer.engine.data.encoding import NUMBER
from sklearn_twolayer.engine.model.movement import movement, movement_by_deviations

N_ROWS = 150

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
skips = pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])
weighted = pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])
# with more rows than columns the levels of a category are made fewer, by a QR decomposition
widths = pytest.mark.parametrize("n_hidden", [2, 100], ids=["few units", "many units"])


class Problem:
    """Later rows of a table, encoded, and weights that act on them."""

    def __init__(self, table, n_hidden, skip, rng, with_weights=False):
        X = table.draw(N_ROWS, rng)
        encoding = table.learn(X)
        fill = encoded_moments(X, None, encoding)[0].mean
        self.X = Encoded(table.draw_later(N_ROWS, rng), encoding, fill)
        self.columns, self.kinds = write_out(self.X.X, encoding)
        self.origins, self.encoding = origins(encoding), encoding
        n = len(self.kinds)
        self.coefs = [rng.randn(n, n_hidden), rng.randn(n_hidden, 2)]
        self.coefs += [rng.randn(n, 2)] if skip else []
        self.weights = rng.rand(N_ROWS) if with_weights else None

    @property
    def W(self):
        """All that acts on encoded columns."""
        return np.concatenate([self.coefs[0], *self.coefs[2:]], axis=1)

    def rows_of(self, moved):
        """The same of what is moved."""
        return np.concatenate([moved.W1, *([] if moved.W0 is None else [moved.W0])], axis=1)


def test_of_plain_columns_all_move(rng):
    coefs = [rng.randn(4, 3), rng.randn(3, 1), rng.randn(4, 1)]
    moved = movement(coefs, rng.randn(9, 4))
    assert moved.W1 is coefs[0] and moved.W0 is coefs[2] and moved.n_columns == 4
    assert movement(coefs[:2], rng.randn(9, 4)).W0 is None
    X, weights = rng.randn(9, 4), rng.rand(9)
    X[:, 2] = 7
    mean = np.average(X, axis=0, weights=weights)
    expected = np.average((X - mean) ** 2, axis=0, weights=weights) ** 0.5
    steps = movement_by_deviations(coefs, X, weights).steps
    assert_allclose(steps, expected, atol=1e-14)
    assert steps[2] == 0


@every_table
@skips
def test_of_encoded_columns_those_of_numbers_move(table, skip, rng):
    p = Problem(table, 3, skip, rng)
    moved = movement(p.coefs, p.X)
    numbers = np.flatnonzero(table.n_levels == NUMBER)
    of_numbers = [kind in ("value", "increment") for kind in p.kinds]
    assert_array_equal(p.rows_of(moved), p.W[of_numbers])
    assert_array_equal(moved.numbers, numbers)
    assert len(moved.categories) == 0 and (moved.W0 is None) != skip
    of_rows = p.origins[of_numbers]
    assert_array_equal(moved.starts, np.searchsorted(of_rows, numbers))
    assert_array_equal(moved.steps, np.ones(sum(of_numbers)))


@every_table
@weighted
def test_numbers_move_by_their_deviations(table, with_weights, rng):
    p = Problem(table, 3, True, rng, with_weights)
    moved = movement_by_deviations(p.coefs, p.X, p.weights)
    w = np.ones(N_ROWS) if p.weights is None else p.weights
    expected = []
    for kind, origin in zip(p.kinds, p.origins, strict=True):
        if kind in ("value", "increment"):
            x = p.X.X[:, origin]
            present = ~np.isnan(x)
            mean = np.average(x[present], weights=w[present])
            # the others do not move, and count as 0 in the mean of squares
            squares = (x[present] - mean) ** 2
            expected.append(np.average(squares, weights=w[present]) ** 0.5)
    # increments in units of about their number's deviation
    assert_allclose(moved.steps[: len(expected)] * moved.units, expected, rtol=1e-10)
    is_value = [kind == "value" for kind in p.kinds if kind in ("value", "increment")]
    assert ((moved.units == 1) | ~np.array(is_value, dtype=bool)).all()
    assert (np.frexp(moved.units)[0] == 0.5).all()
    assert_array_equal(moved.steps[len(expected) :], 1)


@every_table
@weighted
@widths
@skips
def test_squares_of_categories_add_up_to_the_variance(table, with_weights, n_hidden, skip, rng):
    """Of what the columns of a category contribute to any linear function of W1 and W0."""
    p = Problem(table, n_hidden, skip, rng, with_weights)
    moved = movement_by_deviations(p.coefs, p.X, p.weights)
    assert_array_equal(moved.categories, np.flatnonzero(table.n_levels != NUMBER))
    along = rng.randn(p.W.shape[1])
    squares = (p.rows_of(moved) @ along) ** 2
    ends = np.append(moved.starts, len(squares))[len(moved.numbers) :]
    for column, start, end in zip(moved.categories, ends[:-1], ends[1:], strict=True):
        block = p.origins == column
        contributions = p.columns[:, block] @ (p.W[block] @ along)
        mean = np.average(contributions, weights=p.weights)
        variance = np.average((contributions - mean) ** 2, weights=p.weights)
        assert_allclose(squares[start:end].sum(), variance, rtol=1e-10)
        assert end - start <= min(block.sum() + 1, p.W.shape[1])


@every_table
def test_weights_are_copies(table, rng):
    p = Problem(table, 3, True, rng)
    copies = rng.randint(1, 4, size=N_ROWS)
    repeated = p.X.part(np.repeat(np.arange(N_ROWS), copies))
    one = movement_by_deviations(p.coefs, repeated, None)
    other = movement_by_deviations(p.coefs, p.X, copies.astype(float))
    assert_allclose(one.steps, other.steps, rtol=1e-12)
    assert_array_equal(one.starts, other.starts)
    # a decomposition is unique but for signs
    assert_allclose(np.abs(p.rows_of(one)), np.abs(p.rows_of(other)), rtol=1e-8, atol=1e-9)


def test_what_does_not_vary_does_not_move(rng):
    p = Problem(TABLES["everything"], 3, True, rng)
    p.X.X[:] = p.X.X[0] = [4, 2.5, 1, -1, 7]
    moved = movement_by_deviations(p.coefs, p.X, None)
    n_numbers = moved.starts[len(moved.numbers)]
    assert_array_equal(moved.steps[:n_numbers], 0)
    assert_allclose(p.rows_of(moved)[n_numbers:], 0, atol=1e-12)
