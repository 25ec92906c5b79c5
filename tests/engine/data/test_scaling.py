from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.preprocessing import StandardScaler

from sklearn_twolayer.engine.data.encoded import encoded_moments
from sklearn_twolayer.engine.data.encoding import plain
from sklearn_twolayer.engine.data.moments import moments, no_moments, rows_per_block
from sklearn_twolayer.engine.data.scaling import Scaling

weighted = pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])
stored_as = pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array, sparse.csr_matrix])
skips = pytest.mark.parametrize("skip", [False, True], ids=["no skip", "skip"])


def columns(rng, n_rows=50):
    """Columns of different location and size, a third of their entries zero."""
    X = rng.randn(n_rows, 4) * [1, 1e-3, 1e4, 5] + [0, 1, -1e4, 100]
    X[rng.rand(n_rows, 4) < 1 / 3] = 0
    return X


def measured(X, Y=None, weights=None):
    weight = float(X.shape[0] if weights is None else weights.sum())
    of_Y = no_moments(1) if Y is None else moments(Y, weights)
    return Scaling(moments(X, weights), of_Y, X.shape[0], weight)


@weighted
@stored_as
def test_agrees_with_the_standard_scaler(with_weights, storage, rng):
    X = columns(rng)
    weights = rng.rand(50) if with_weights else None
    expected = StandardScaler().fit(X, sample_weight=weights)
    found = moments(storage(X), weights)
    assert_allclose(found.mean, expected.mean_, rtol=1e-12)
    assert_allclose(found.scale, expected.scale_, rtol=1e-12)
    mean_square = np.average(X**2, axis=0, weights=weights)
    assert_allclose(found.magnitude, np.sqrt(mean_square), rtol=1e-12)


@weighted
def test_agrees_with_the_standard_scaler_across_blocks(with_weights, rng):
    n_rows = 2 * rows_per_block(1) + 1
    X = columns(rng, n_rows)
    weights = rng.rand(n_rows) if with_weights else None
    expected = StandardScaler().fit(X, sample_weight=weights)
    found = moments(X, weights)
    assert_allclose(found.mean, expected.mean_, rtol=1e-10)
    assert_allclose(found.scale, expected.scale_, rtol=1e-12)


@stored_as
def test_weights_are_copies_and_zero_is_absence(storage, rng):
    X = columns(rng)
    weights = rng.randint(4, size=50)
    expected = moments(storage(np.repeat(X, weights, axis=0)), None)
    found = moments(storage(X), weights.astype(float))
    assert_allclose(found.mean, expected.mean, rtol=1e-12)
    assert_allclose(found.scale, expected.scale, rtol=1e-12)


@stored_as
@pytest.mark.parametrize("factor", [1e-300, 1e-3, 1e3, 1e300])
def test_weights_of_any_size_mean_the_same(storage, factor, rng):
    X, weights = columns(rng), rng.rand(50)
    expected = moments(storage(X), weights)
    found = moments(storage(X), factor * weights)
    assert_allclose(found.mean, expected.mean, rtol=1e-12)
    assert_allclose(found.scale, expected.scale, rtol=1e-12)


@stored_as
@pytest.mark.parametrize(
    ("dtype", "constant"),
    [(dtype, c) for dtype in (np.float32, np.float64) for c in (0, 0.1, -7, 1e-37, 1e37)]
    + [(np.float64, 1e-300), (np.float64, 1e300)],
)
def test_a_constant_column_counts_for_nothing(storage, dtype, constant, rng):
    X = np.column_stack([np.full(50, constant), rng.randn(50)]).astype(dtype)
    found = moments(storage(X), rng.rand(50))
    assert_allclose(found.mean[0], X[0, 0].astype(np.float64), rtol=1e-12)
    assert_array_equal(np.isinf(found.scale), [True, False])


@weighted
@stored_as
@pytest.mark.parametrize("constant", [0.1, 7.0])
def test_a_constant_column_is_recognised_in_many_rows(with_weights, storage, constant, rng):
    weights = rng.rand(20_000) if with_weights else None
    assert np.isinf(moments(storage(np.full((20_000, 1), constant)), weights).scale)


@stored_as
@pytest.mark.parametrize("factor", [1e-300, 1e-150, 1e150, 1e300])
def test_columns_of_any_magnitude(storage, factor, rng):
    X = rng.randn(50, 3) + np.array([0, 1, 10])
    expected = moments(X, None)
    found = moments(storage(factor * X), None)
    assert_allclose(found.mean / factor, expected.mean, rtol=1e-12)
    assert_allclose(found.scale / factor, expected.scale, rtol=1e-12)


@stored_as
def test_float32_columns_are_measured_in_float64(storage, rng):
    X = (rng.randn(5000, 2) + np.array([1000, 0])).astype(np.float32)
    found = moments(storage(X), None)
    assert found.mean.dtype == found.scale.dtype == np.float64
    exact = X.astype(np.float64)
    assert_allclose(found.mean, exact.mean(axis=0), rtol=1e-10)
    assert_allclose(found.scale, exact.std(axis=0), rtol=1e-10)


@weighted
def test_standard_columns_are_recognised(with_weights, rng):
    X, weights = columns(rng), rng.rand(50) if with_weights else None
    found = moments(X, weights)
    assert not found.are_standard(1e-6)
    standard = moments((X - found.mean) / found.deviation, weights)
    assert standard.are_standard(1e-6)
    step = np.array([0, 2e-6, 0, 0])
    assert not replace(standard, mean=standard.mean - step).are_standard(1e-6)
    assert not replace(standard, deviation=standard.deviation - step).are_standard(1e-6)
    assert no_moments(4).are_standard()


@weighted
@pytest.mark.parametrize("factor", [1e-300, 1, 1e300])
def test_merged_measurements_are_those_of_all_rows(with_weights, factor, rng):
    X, Y = factor * columns(rng), rng.randn(50, 2)
    weights = rng.rand(50) if with_weights else None
    expected = measured(X, Y, weights)
    parts = [slice(0, 7), slice(7, 8), slice(8, 50)]
    first, *rest = (measured(X[p], Y[p], weights[p] if with_weights else None) for p in parts)
    for part in rest:
        first = first.merged(part)
    assert first.n_rows == 50
    assert_allclose(first.weight, expected.weight, rtol=1e-14)
    for found, wanted in ((first.X, expected.X), (first.Y, expected.Y)):
        assert_allclose(found.mean, wanted.mean, rtol=1e-11)
        assert_allclose(found.scale, wanted.scale, rtol=1e-11)


def test_a_column_that_stays_constant_stays_constant_when_merged():
    X = np.full((50, 1), 0.1)
    assert np.isinf(measured(X[:20]).merged(measured(X[20:])).X.scale)


def test_columns_that_stay_as_they_are_do_not_drift_when_merged():
    stays = no_moments(3)
    for n_rows in range(1, 50):
        stays = stays.merged(no_moments(3), 1 / (n_rows + 1))
    assert_array_equal(stays.mean, 0)
    assert_array_equal(stays.deviation, 1)


def test_a_constant_target_keeps_its_unit(rng):
    X = columns(rng)
    scaling = measured(X, np.full((50, 1), 7.0))
    assert_array_equal(scaling.Y_scale, 1)
    assert_allclose(scaling.Y.mean, 7, rtol=1e-15)


def test_moments_are_not_changed_by_merging(rng):
    of_X = moments(columns(rng), None)
    before = replace(of_X, mean=of_X.mean.copy(), deviation=of_X.deviation.copy())
    of_X.merged(moments(columns(rng), None), 0.5)
    assert_array_equal(of_X.mean, before.mean)
    assert_array_equal(of_X.deviation, before.deviation)


def test_the_mean_is_exact_to_the_deviation_however_far_from_zero(rng):
    offset = 2.0**40
    X = offset + np.round(rng.randn(20_000, 3) * 2**10) / 2**10
    expected = np.array([sum(column) for column in (X - offset).T]) / len(X)
    assert_allclose(moments(X, None).mean - offset, expected, rtol=0, atol=2 * np.spacing(offset))


@weighted
@stored_as
@pytest.mark.parametrize("ratio", [1e3, 3.5e6])
def test_a_float32_column_far_from_zero_is_no_constant(with_weights, storage, ratio, rng):
    X = (ratio * np.array([1, -1]) + rng.randn(5000, 2)).astype(np.float32)
    weights = rng.rand(5000) if with_weights else None
    found = moments(storage(X), weights)
    exact = X.astype(np.float64)
    mean = np.average(exact, axis=0, weights=weights)
    deviation = np.sqrt(np.average((exact - mean) ** 2, axis=0, weights=weights))
    assert_allclose(found.scale, deviation, rtol=1e-6)


@weighted
@stored_as
@pytest.mark.parametrize("constant", [0.1, -7.3, 3.3e6, 1e-30, 1e30])
def test_a_constant_float32_column_is_constant_to_the_last_bit(
    with_weights, storage, constant, rng
):
    X = np.full((20_000, 1), constant, np.float32)
    weights = rng.rand(20_000) if with_weights else None
    parts = [slice(0, 7), slice(7, 9000), slice(9000, 20_000)]
    first, *rest = (
        measured(storage(X[p]), None, weights[p] if weights is not None else None) for p in parts
    )
    for part in rest:
        first = first.merged(part)
    for found in (moments(storage(X), weights), first.X):
        assert_array_equal(found.deviation, 0)
        assert np.isinf(found.scale).all()
        assert found.origin() is None


def test_an_origin_is_the_mean_of_columns_of_large_offset_only(rng):
    X = np.column_stack([rng.randn(500), 900 + rng.randn(500), 1200 + rng.randn(500), np.ones(500)])
    found = moments(X, None)
    assert_array_equal(found.origin(), [0, 0, found.mean[2], 0])
    assert moments(X[:, [0, 1, 3]], None).origin() is None


# columns with missing values

CHUNKS = {
    "one": [slice(0, 60)],
    "some missing in each": [slice(0, 9), slice(9, 10), slice(10, 60)],
    "none missing at first": [slice(20, 30), slice(0, 20), slice(30, 60)],
    "none missing at last": [slice(0, 20), slice(30, 60), slice(20, 30)],
    "all missing at first": [slice(40, 45), slice(0, 40), slice(45, 60)],
    "all missing at last": [slice(0, 40), slice(45, 60), slice(40, 45)],
    "all missing twice": [slice(40, 42), slice(42, 45), slice(0, 40), slice(45, 60)],
}
every_chunking = pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS)


def with_missing(rng, factor=1.0):
    """Rows 20 to 30 are complete, of rows 40 to 45 all but the first number are missing."""
    X = factor * (rng.randn(60, 5) * [1, 1e-3, 1e4, 5, 0] + [0, 1, -1e4, 100, 3])
    missing = rng.rand(60, 5) < [0, 0.2, 0.5, 0.8, 0.3]
    missing[20:30], missing[40:45, 1:] = False, True
    X[missing] = np.nan
    return X


def of_missing(X, Y, weights):
    of_X, present = encoded_moments(X, weights, plain(X.shape[1]))
    weight = float(len(X) if weights is None else weights.sum())
    return Scaling(of_X, moments(Y, weights), len(X), weight, present=present)


def merged(chunks, X, Y, weights):
    first, *rest = (of_missing(X[c], Y[c], None if weights is None else weights[c]) for c in chunks)
    for part in rest:
        first = first.merged(part)
    return first


@weighted
@every_chunking
@pytest.mark.parametrize("factor", [1e-200, 1, 1e200])
def test_merged_moments_with_missing_values_are_those_of_all_rows(
    with_weights, chunks, factor, rng
):
    X, Y = with_missing(rng, factor), rng.randn(60, 2)
    weights = rng.rand(60) if with_weights else None
    found = merged(chunks, X, Y, weights)
    # a missing number counts as the mean of the others
    w = np.ones(60) if weights is None else weights
    present = ~np.isnan(X)
    X = X / factor
    mean = np.array([np.average(x[p], weights=w[p]) for x, p in zip(X.T, present.T, strict=True)])
    deviation = np.average((np.where(present, X, mean) - mean) ** 2, axis=0, weights=w) ** 0.5
    assert found.n_rows == 60
    assert_allclose(found.weight, w.sum(), rtol=1e-13)
    assert_allclose(found.present, w @ present, rtol=1e-13)
    assert_allclose(found.X.mean / factor, mean, rtol=1e-11, atol=1e-12)
    assert_allclose(found.X.deviation / factor, deviation, rtol=1e-11, atol=1e-12)
    assert_array_equal(np.isinf(found.X.scale), [False, False, False, False, True])
    assert_allclose(found.Y.mean, np.average(Y, axis=0, weights=w), rtol=1e-11)


@every_chunking
def test_weights_of_chunks_with_missing_values_are_copies(chunks, rng):
    X, Y, copies = with_missing(rng), rng.randn(60, 1), rng.randint(1, 4, size=60)
    expected = merged([np.repeat(np.arange(60)[c], copies[c]) for c in chunks], X, Y, weights=None)
    found = merged(chunks, X, Y, copies.astype(float))
    assert_allclose(found.X.mean, expected.X.mean, rtol=1e-12)
    assert_allclose(found.X.deviation, expected.X.deviation, rtol=1e-12, atol=1e-14)
    assert_allclose(found.present, expected.present, rtol=1e-13)


def test_a_column_that_is_always_missing_tells_nothing():
    X, Y = np.full((10, 1), np.nan), np.zeros((10, 1))
    found = merged([slice(0, 4), slice(4, 10)], X, Y, None)
    assert_array_equal([found.X.mean, found.X.deviation, found.present], [[0], [0], [0]])
    assert np.isinf(found.X.scale).all()


def test_merging_leaves_both_as_they_were(rng):
    X, Y = with_missing(rng), rng.randn(60, 1)
    parts = [of_missing(X[c], Y[c], None) for c in (slice(0, 25), slice(25, 60))]
    before = [(p.X.mean.copy(), p.X.deviation.copy(), p.present.copy()) for p in parts]
    parts[0].merged(parts[1])
    for p, arrays in zip(parts, before, strict=True):
        assert_array_equal([p.X.mean, p.X.deviation, p.present], arrays)
