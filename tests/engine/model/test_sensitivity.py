import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from encoded_tables import TABLES, Table, origins, write_out
from sklearn_twolayer.engine.data.encoded import Encoded, encoded_moments
from sklearn_twolayer.engine.data.encoding import NUMBER
from sklearn_twolayer.engine.model.activations import ACTIVATIONS
from sklearn_twolayer.engine.model.network import block_size, raw_prediction
from sklearn_twolayer.engine.model.sensitivity import (
    gradient_magnitude,
    hidden_features,
    input_gradient,
)

every_activation = pytest.mark.parametrize("name", ACTIVATIONS)
every_storage = pytest.mark.parametrize(
    "storage", [np.asarray, sparse.csr_array, sparse.csr_matrix], ids=lambda f: f.__name__
)
with_and_without_skip = pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])


def draw_network(rng, n_features, n_hidden, n_outputs, skip):
    coefs = [rng.randn(n_features, n_hidden), rng.randn(n_hidden, n_outputs)]
    coefs += [rng.randn(n_features, n_outputs)] if skip else []
    return coefs, [rng.randn(n_hidden), rng.randn(n_outputs)]


def central_difference(coefs, intercepts, activation, X, step=1e-6):
    moves = step * np.eye(X.shape[1])
    columns = [
        raw_prediction(coefs, intercepts, activation, X + move)
        - raw_prediction(coefs, intercepts, activation, X - move)
        for move in moves
    ]
    return np.stack(columns, axis=2) / (2 * step)


@every_activation
@every_storage
@pytest.mark.parametrize("n_outputs", [1, 3])
@with_and_without_skip
def test_gradient_is_the_central_difference(name, storage, n_outputs, skip, rng):
    coefs, intercepts = draw_network(rng, 4, 6, n_outputs, skip)
    X = rng.randn(20, 4)
    expected = central_difference(coefs, intercepts, ACTIVATIONS[name], X)
    gradient = input_gradient(coefs, intercepts, ACTIVATIONS[name], storage(X))
    assert gradient.shape == (20, n_outputs, 4)
    assert_allclose(gradient, expected, rtol=1e-7, atol=1e-8)


@every_activation
@every_storage
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@with_and_without_skip
def test_blocks_of_rows_fit_together(name, storage, dtype, skip, rng):
    n_rows = 2 * block_size(1000) + 1
    X = rng.randn(n_rows, 3).astype(dtype)
    coefs, intercepts = draw_network(rng, 3, 1000, 2, skip)
    arguments = coefs, intercepts, ACTIVATIONS[name]
    gradient, features = (f(*arguments, storage(X)) for f in (input_gradient, hidden_features))
    assert gradient.dtype == features.dtype == dtype
    some = [0, block_size(1000), n_rows - 1]
    tolerance = {"rtol": 1e-10} if dtype == np.float64 else {"rtol": 1e-3, "atol": 1e-3}
    exact = X[some].astype(np.float64)
    assert_allclose(gradient[some], input_gradient(*arguments, exact), **tolerance)
    assert_allclose(features[some], hidden_features(*arguments, exact), **tolerance)


@every_activation
@every_storage
def test_outputs_are_linear_in_the_hidden_features(name, storage, rng):
    coefs, intercepts = draw_network(rng, 4, 6, 2, skip=True)
    X = rng.randn(20, 4)
    arguments = coefs, intercepts, ACTIVATIONS[name], storage(X)
    features = hidden_features(*arguments)
    assert features.shape == (20, 6)
    expected = features @ coefs[1] + intercepts[1] + X @ coefs[2]
    assert_allclose(raw_prediction(*arguments), expected, rtol=1e-12)


@pytest.mark.sampled(5)
@every_activation
@every_storage
@pytest.mark.parametrize("weighted", [False, True], ids=["no weights", "weights"])
@pytest.mark.parametrize("n_outputs", [1, 3])
@with_and_without_skip
def test_magnitude_is_its_formula(name, storage, weighted, n_outputs, skip, rng):
    n_rows = 2 * block_size(1000) + 1
    X = rng.randn(n_rows, 3) * [1, 10, 0.1] + 5
    coefs, intercepts = draw_network(rng, 3, 1000, n_outputs, skip)
    weights = rng.rand(n_rows) if weighted else None
    arguments = coefs, intercepts, ACTIVATIONS[name]
    mean_square = np.average(input_gradient(*arguments, X) ** 2, axis=0, weights=weights)
    variance = np.average(
        (X - np.average(X, axis=0, weights=weights)) ** 2, axis=0, weights=weights
    )
    expected = np.sqrt(mean_square.sum(axis=0) * variance)
    magnitude = gradient_magnitude(*arguments, storage(X), weights)
    assert_allclose(magnitude, expected, rtol=1e-9)


@every_activation
@pytest.mark.parametrize("unit", [1e-200, 1e200])
@with_and_without_skip
def test_magnitude_in_extreme_units(name, unit, skip, rng):
    """Of columns and of outputs: squares of either would leave the range."""
    (W1, W2, *W0), (b1, b2) = draw_network(rng, 3, 5, 2, skip)
    X = rng.randn(30, 3)
    expected = gradient_magnitude([W1, W2, *W0], [b1, b2], ACTIVATIONS[name], X, None)
    columns = [W1 / unit, W2, *(W / unit for W in W0)]
    actual = gradient_magnitude(columns, [b1, b2], ACTIVATIONS[name], X * unit, None)
    assert_allclose(actual, expected, rtol=1e-9)
    outputs = [W1, W2 * unit, *(W * unit for W in W0)]
    actual = gradient_magnitude(outputs, [b1, b2 * unit], ACTIVATIONS[name], X, None)
    assert_allclose(actual, expected * unit, rtol=1e-9)


@every_activation
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_out_gradients_are_finite_without_a_warning(name, dtype):
    coefs, intercepts = [np.eye(1), np.eye(1)], [np.zeros(1), np.zeros(1)]
    X = np.sqrt(np.finfo(dtype).max) * np.array([[-100], [100]], dtype=dtype)
    gradient = input_gradient(coefs, intercepts, ACTIVATIONS[name], X)
    near = input_gradient(coefs, intercepts, ACTIVATIONS[name], np.array([[-40.0], [40.0]]))
    assert_allclose(gradient, near, atol=1e-12)


def test_arguments_are_left_alone(rng):
    coefs, intercepts = draw_network(rng, 3, 5, 2, skip=True)
    X, weights = rng.randn(9, 3), rng.rand(9)
    arrays = [*coefs, *intercepts, X, weights]
    before = [array.copy() for array in arrays]
    for activation in ACTIVATIONS.values():
        hidden_features(coefs, intercepts, activation, X)
        input_gradient(coefs, intercepts, activation, X)
        gradient_magnitude(coefs, intercepts, activation, X, weights)
    for array, original in zip(arrays, before, strict=True):
        assert_array_equal(array, original)


def test_no_rows_have_no_gradients_and_no_features(rng):
    arguments = *draw_network(rng, 3, 5, 2, skip=True), ACTIVATIONS["tanh"], np.empty((0, 3))
    assert input_gradient(*arguments).shape == (0, 2, 3)
    assert hidden_features(*arguments).shape == (0, 5)


# encoded rows

N_ENCODED = 150

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
several_outputs = pytest.mark.parametrize("n_outputs", [1, 3])
# the levels of a category are made fewer where there are fewer units
widths = pytest.mark.parametrize("n_hidden", [4, 100], ids=["few units", "many units"])


def encoded_rows(table, rng, n_rows=N_ENCODED):
    """Rows beyond the ends, with levels that are not known and missing values anywhere."""
    X = table.draw(N_ENCODED, rng)
    encoding = table.learn(X)
    fill = encoded_moments(X, None, encoding)[0].mean
    return Encoded(table.draw_later(n_rows, rng), encoding, fill)


def moved_to(rows, X):
    return Encoded(X, rows.encoding, rows.expansion.fill)


def differences_of_encoded(network, rows, below=1e-6, above=1e-6):
    """By each original column; NaN where it is missing."""
    columns = []
    for j in range(rows.X.shape[1]):
        move = np.eye(rows.X.shape[1])[j]
        ends = [
            raw_prediction(*network, moved_to(rows, rows.X + step * move))
            for step in (-below, above)
        ]
        slopes = (ends[1] - ends[0]) / (below + above)
        columns.append(np.where(np.isnan(rows.X[:, [j]]), np.nan, slopes))
    return np.stack(columns, axis=2)


@pytest.mark.sampled(5)
@every_activation
@every_table
@several_outputs
@with_and_without_skip
def test_gradient_of_encoded_rows_is_the_central_difference(name, table, n_outputs, skip, rng):
    """By numbers, away from knots; by categories there is none."""
    rows = encoded_rows(table, rng)
    far = [np.abs(x[:, None] - k) for x, k in zip(rows.X.T, rows.encoding.knots, strict=True)]
    assert all((d > 1e-5)[~np.isnan(d)].all() for d in far)
    network = *draw_network(rng, rows.shape[1], 6, n_outputs, skip), ACTIVATIONS[name]
    is_category = table.n_levels != NUMBER
    gradient = input_gradient(*network, rows)
    assert gradient.shape == (N_ENCODED, n_outputs, len(table.columns))
    assert np.isnan(gradient[:, :, is_category]).all()
    if not is_category.all():
        expected = differences_of_encoded(network, rows)[:, :, ~is_category]
        assert_allclose(gradient[:, :, ~is_category], expected, rtol=1e-6, atol=1e-7)
        assert np.isnan(expected).any() and np.isfinite(expected).any()


@every_activation
@with_and_without_skip
def test_gradient_at_a_knot_is_that_above(name, skip, rng):
    rows = encoded_rows(TABLES["knots"], rng)
    for j, knots in enumerate(rows.encoding.knots):
        at_knots = np.full((len(knots), 2), 0.5)
        at_knots[:, j] = knots
        at_knots = moved_to(rows, at_knots)
        network = *draw_network(rng, rows.shape[1], 6, 2, skip), ACTIVATIONS[name]
        expected = differences_of_encoded(network, at_knots, below=0, above=1e-7)
        assert_allclose(input_gradient(*network, at_knots), expected, rtol=1e-4, atol=1e-4)


@every_table
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_of_encoded_rows_fit_together(table, dtype, rng):
    n_rows = 2 * block_size(1000) + 1
    rows = encoded_rows(table, rng, n_rows)
    rows = moved_to(rows, rows.X.astype(dtype))
    network = *draw_network(rng, rows.shape[1], 1000, 2, skip=True), ACTIVATIONS["tanh"]
    gradient = input_gradient(*network, rows)
    assert gradient.dtype == dtype
    some = [0, block_size(1000), n_rows - 1]
    exact = input_gradient(*network, moved_to(rows, rows.X[some].astype(np.float64)))
    tolerance = {"rtol": 1e-10} if dtype == np.float64 else {"rtol": 1e-2, "atol": 1e-2}
    assert_allclose(gradient[some], exact, **tolerance)


def magnitude_by_definition(network, rows, weights):
    """Numbers by deviation times root mean square of slopes, 0 where missing; categories by the
    standard deviation of what their levels contribute, with the slope of the hidden units at each
    row.
    """
    (W1, W2, *W0), (b1, _), activation = network
    w = np.ones(len(rows.X)) if weights is None else weights
    gradient = np.nan_to_num(input_gradient(*network, rows))
    columns, _ = write_out(rows.X, rows.encoding)
    filled = np.where(np.isnan(columns), rows.expansion.fill, columns)
    Z1 = filled @ W1 + b1
    A1, slope = np.empty_like(Z1), np.empty_like(Z1)
    activation.value(Z1, A1)
    activation.slope(Z1, A1, slope)
    of_columns = origins(rows.encoding)
    found = []
    for j, n_levels in enumerate(rows.encoding.n_levels):
        if n_levels == NUMBER:
            present = ~np.isnan(rows.X[:, j])
            mean = np.average(rows.X[present, j], weights=w[present])
            step = np.where(present, rows.X[:, j], mean) - mean
            squares = gradient[present, :, j] ** 2
            mean_square = np.average(squares, axis=0, weights=w[present]).sum()
            found.append((np.average(step**2, weights=w) * mean_square) ** 0.5)
            continue
        block = of_columns == j
        levels = columns[:, block]  # what each row's level is
        variance = 0.0
        for k in range(W2.shape[1]):
            # what each level would contribute at each row: (n_rows, n_levels)
            at_rows = (slope * W2[:, k]) @ W1[block].T + (W0[0][block, k] if W0 else 0)
            contributions = at_rows @ levels.T  # of the level of another row
            mean = np.average(contributions, axis=1, weights=w)
            squares = (contributions - mean[:, None]) ** 2
            variance += np.average(np.average(squares, axis=1, weights=w), weights=w)
        found.append(variance**0.5)
    return found


@pytest.mark.parametrize("name", ["tanh", "silu"])
@every_table
@widths
@pytest.mark.parametrize("weighted", [False, True], ids=["no weights", "weights"])
@with_and_without_skip
def test_magnitude_of_encoded_rows_is_its_definition(name, table, n_hidden, weighted, skip, rng):
    rows = encoded_rows(table, rng)
    network = *draw_network(rng, rows.shape[1], n_hidden, 2, skip), ACTIVATIONS[name]
    weights = rng.rand(N_ENCODED) if weighted else None
    expected = magnitude_by_definition(network, rows, weights)
    assert_allclose(gradient_magnitude(*network, rows, weights), expected, rtol=1e-9)


@every_table
@widths
def test_magnitude_of_encoded_rows_counts_weights_as_copies(table, n_hidden, rng):
    rows, copies = encoded_rows(table, rng), rng.randint(4, size=N_ENCODED)
    network = *draw_network(rng, rows.shape[1], n_hidden, 2, skip=True), ACTIVATIONS["tanh"]
    repeated = rows.part(np.repeat(np.arange(N_ENCODED), copies))
    expected = gradient_magnitude(*network, repeated, None)
    assert_allclose(gradient_magnitude(*network, rows, copies.astype(float)), expected, rtol=1e-11)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
@with_and_without_skip
def test_magnitude_of_encoded_rows_in_extreme_units(unit, skip, rng):
    table = Table(("number", "number missing", "category 3"), piecewise_linear=True)
    X, later = table.draw(N_ENCODED, rng), table.draw_later(N_ENCODED, rng)
    (W1, W2, *W0), biases = draw_network(rng, 12, 5, 2, skip)
    found = []
    for factor in (1, unit):
        in_units = np.array([factor, factor, 1])
        encoding = table.learn(X * in_units)
        fill = encoded_moments(X * in_units, None, encoding)[0].mean
        rows = Encoded(later * in_units, encoding, fill)
        of_columns = np.ones((rows.shape[1], 1))
        of_columns[encoding.starts[:2]] = factor
        coefs = [W1 / of_columns, W2, *(W / of_columns for W in W0)]
        found.append(gradient_magnitude(coefs, biases, ACTIVATIONS["tanh"], rows, None))
    assert_allclose(found[1], found[0], rtol=1e-9)
