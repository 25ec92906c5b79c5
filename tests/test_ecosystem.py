"""The estimators where others take them: scikit-learn's tools, other frames, rows on disk."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_linnerud, load_wine
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, learning_curve
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.fixes import parse_version

from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = IGNORE_CONVERGENCE

CLASSIFIER = TwoLayerClassifier(8, random_state=0)
REGRESSOR = TwoLayerRegressor(8, alpha=10.0, random_state=0)
TABLES = {CLASSIFIER: load_wine, REGRESSOR: load_diabetes}
either_estimator = pytest.mark.parametrize(
    "estimator", [CLASSIFIER, REGRESSOR], ids=["classifier", "regressor"]
)


def table(estimator):
    return TABLES[estimator](return_X_y=True)


def outputs(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


@either_estimator
def test_halving_search_over_iterations(estimator):
    grid = {"alpha": [1.0, 1e3, 1e6], "activation": ["tanh", "relu"]}
    options = {"resource": "max_iter", "max_resources": 90, "min_resources": 10, "cv": 3}
    search = HalvingGridSearchCV(estimator, grid, random_state=0, **options)
    search.fit(*table(estimator))
    assert search.n_resources_ == [10, 30]
    assert search.best_params_["max_iter"] == 30
    assert search.best_params_["alpha"] < 1e6
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_mends_a_model_that_is_too_sure(method, rng):
    X = rng.randn(300, 3)
    y = (X[:, 0] + rng.randn(300) > 0).astype(int)
    sure = TwoLayerClassifier(20, alpha=1e-6, random_state=0)
    calibrated = CalibratedClassifierCV(clone(sure), method=method, cv=3)
    raw, mended = (
        log_loss(y[200:], model.fit(X[:200], y[:200]).predict_proba(X[200:]))
        for model in (sure, calibrated)
    )
    assert mended < raw


def test_calibration_takes_weights():
    X, y = load_breast_cancer(return_X_y=True)
    weights = np.where(y == 1, 100.0, 1.0)
    model = CalibratedClassifierCV(CLASSIFIER, cv=3)
    plain = model.fit(X, y).predict_proba(X)[:, 1].mean()
    assert model.fit(X, y, sample_weight=weights).predict_proba(X)[:, 1].mean() > plain


def test_a_stack():
    X, y = load_wine(return_X_y=True)
    parts = [("net", CLASSIFIER), ("line", LogisticRegression(C=1e-4, max_iter=1000))]
    model = StackingClassifier(parts, final_estimator=TwoLayerClassifier(2, random_state=0), cv=3)
    assert model.fit(X, y).score(X, y) > 0.97
    assert_array_equal(model.named_estimators_["net"].predict(X), CLASSIFIER.fit(X, y).predict(X))


def test_one_regressor_for_each_target():
    X, Y = load_linnerud(return_X_y=True)
    model = MultiOutputRegressor(REGRESSOR).fit(X, Y)
    expected = np.column_stack([clone(REGRESSOR).fit(X, y).predict(X) for y in Y.T])
    assert_array_equal(model.predict(X), expected)


def with_noise(estimator):
    """A table and as many columns of noise behind it."""
    X, y = table(estimator)
    return np.hstack([X, np.random.RandomState(0).randn(*X.shape)]), y


@either_estimator
def test_permutation_importance_knows_noise(estimator):
    X, y = with_noise(estimator)
    model = clone(estimator).fit(X, y)
    result = permutation_importance(model, X, y, n_repeats=3, random_state=0)
    real, noise = np.split(result.importances_mean, 2)
    assert real.max() > 3 * noise.max()


@either_estimator
def test_columns_are_selected_by_permutation(estimator):
    X, y = with_noise(estimator)

    def importances(model):
        return permutation_importance(model, X, y, n_repeats=3, random_state=0).importances_mean

    selector = SelectFromModel(
        clone(estimator), importance_getter=importances, max_features=3, threshold=-np.inf
    ).fit(X, y)
    assert selector.transform(X).shape == (len(X), 3)
    assert selector.get_support()[: X.shape[1] // 2].sum() >= 2


@either_estimator
def test_a_learning_curve(estimator):
    X, y = table(estimator)
    options = {"train_sizes": [0.2, 1.0], "cv": 3, "shuffle": True, "random_state": 0}
    _, train, test = learning_curve(estimator, X, y, **options)
    assert np.isfinite(train).all()
    assert test[1].mean() > test[0].mean()


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}])
def test_bagging(options):
    X, y = load_breast_cancer(return_X_y=True)
    base = TwoLayerClassifier(4, **options)
    model = BaggingClassifier(base, n_estimators=3, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    assert not np.array_equal(model.estimators_[0].coefs_[0], model.estimators_[1].coefs_[0])


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def corrupted():
    """Rows of which those without weight are wrong."""
    X, y = load_diabetes(return_X_y=True)
    weights = (np.arange(len(y)) % 3 > 0).astype(float)
    return X, np.where(weights > 0, y, -10 * y), weights


def weighted_pipeline(**options):
    net = clone(REGRESSOR).set_params(**options)
    net.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    return Pipeline([("as it is", FunctionTransformer()), ("net", net)])


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("options", [{}, {"early_stopping": True, "scoring": "r2"}])
def test_weights_find_their_way_through_a_pipeline(options):
    X, y, weights = corrupted()
    model = weighted_pipeline(**options).fit(X, y, sample_weight=weights)
    direct = clone(REGRESSOR).set_params(**options).fit(X, y, sample_weight=weights)
    assert_allclose(model.predict(X), direct.predict(X), rtol=1e-12)
    unweighted = clone(REGRESSOR).set_params(**options).fit(X, y)
    assert np.abs(unweighted.predict(X) - direct.predict(X)).max() > 1


@pytest.mark.usefixtures("routing")
@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"),
    reason="Pipeline.score did not pass sample_weight on",
)
def test_weights_find_their_way_through_a_search():
    X, y, weights = corrupted()
    search = GridSearchCV(weighted_pipeline(), {"net__alpha": [10.0, 1e6]}, cv=3)
    search.fit(X, y, sample_weight=weights)
    assert search.best_params_["net__alpha"] == 10.0
    assert search.best_score_ > 0.3
    right = weights > 0
    expected = clone(REGRESSOR).fit(X[right], y[right]).predict(X)
    assert_allclose(search.predict(X), expected, rtol=1e-9)


@pytest.mark.usefixtures("routing")
def test_validation_rows_find_their_way_through_a_pipeline():
    X, y = load_diabetes(return_X_y=True)
    net = clone(REGRESSOR).set_fit_request(X_val=True, y_val=True)
    model = Pipeline([("as it is", FunctionTransformer()), ("net", net)])
    model.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    assert len(model[-1].validation_scores_) == model[-1].n_iter_


def frame(library):
    if library == "pandas":
        return load_iris(return_X_y=True, as_frame=True)
    pl = pytest.importorskip("polars")
    X, y = load_iris(return_X_y=True, as_frame=True)
    return pl.DataFrame({name: X[name].to_numpy() for name in X}), pl.Series("y", y.to_numpy())


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("options", [{}, {"early_stopping": True, "scoring": "accuracy"}])
def test_frames(library, options):
    X, y = frame(library)
    model = clone(CLASSIFIER).set_params(**options)
    expected = clone(model).fit(*load_iris(return_X_y=True))
    weights = pd.Series(np.ones(len(y)))
    model.fit(X, y, sample_weight=weights)
    assert model.feature_names_in_.tolist() == list(X.columns)
    rows = load_iris().data
    assert_allclose(model.predict_proba(X), expected.predict_proba(rows), rtol=1e-9)
    assert model.score(X, y) == expected.score(*load_iris(return_X_y=True))


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_frames_in_a_stream_and_to_validate_on(library, solver):
    X, y = frame(library)
    rows, codes = load_iris(return_X_y=True)
    model = clone(CLASSIFIER).set_params(solver=solver, max_iter=3)
    expected = clone(model).partial_fit(rows, codes, classes=[0, 1, 2])
    model.partial_fit(X, y, classes=[0, 1, 2])
    assert_allclose(model.predict_proba(X), expected.predict_proba(rows), rtol=1e-9)
    model.fit(X, y, X_val=X, y_val=y)
    expected.fit(rows, codes, X_val=rows, y_val=codes)
    assert_allclose(model.validation_scores_, expected.validation_scores_, rtol=1e-9)


CONTAINERS = [
    sparse.csr_array,
    sparse.csr_matrix,
    sparse.csc_array,
    sparse.csc_matrix,
    sparse.coo_array,
    sparse.coo_matrix,
]


@pytest.mark.sampled(5)
@either_estimator
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_every_sparse_container(estimator, container, solver, rng):
    X, y = table(estimator)
    X = X * (rng.uniform(size=X.shape) < 0.3)
    options = {"solver": solver, "max_iter": 10, "early_stopping": True, "activation": "tanh"}
    model = clone(estimator).set_params(**options)
    expected = outputs(model.fit(X, y), X)
    rows = container(X)
    actual = outputs(model.fit(rows, y), rows)
    assert_allclose(actual, expected, rtol=1e-8, atol=1e-10)
    assert_array_equal(rows.toarray(), X)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def mapped(array, tmp_path):
    path = tmp_path / f"{array.ndim}.bin"
    array.tofile(path)
    return np.memmap(path, dtype=array.dtype, mode="r", shape=array.shape)


LAYOUTS = {
    "read-only": lambda array, tmp_path: read_only(array),
    "Fortran order": lambda array, tmp_path: read_only(np.asfortranarray(array)),
    "mapped": mapped,
    "every other row": lambda array, tmp_path: np.repeat(array, 2, axis=0)[::2],
}


@pytest.mark.sampled(5)
@either_estimator
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("options", [{}, {"solver": "adam", "early_stopping": True}])
@pytest.mark.parametrize("standardize", [True, False])
def test_however_arrays_lie_in_memory(estimator, layout, options, standardize, tmp_path):
    X, y = table(estimator)
    weights = np.linspace(1, 2, len(y))
    model = clone(estimator).set_params(max_iter=10, standardize=standardize, **options)
    expected = outputs(model.fit(X, y, sample_weight=weights), X)
    laid_out = [layout(array, tmp_path) for array in (X, y)]
    before = [array.copy() for array in laid_out]
    model.fit(*laid_out, sample_weight=read_only(weights))
    assert_allclose(outputs(model, laid_out[0]), expected, rtol=1e-7)
    for array, copy in zip(laid_out, before, strict=True):
        assert_array_equal(array, copy)


def peak_memory(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """100 MB of rows in a file."""
    shape = (125_000, 100)
    path = tmp_path_factory.mktemp("large") / "X.bin"
    X = np.memmap(path, dtype=np.float64, mode="w+", shape=shape)
    block = np.random.RandomState(0).randn(12_500, shape[1])
    for start in range(0, shape[0], len(block)):
        X[start : start + len(block)] = block + start
    X.flush()
    return np.memmap(path, dtype=np.float64, mode="r", shape=shape)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])
@pytest.mark.parametrize("standardize", [True, False])
def test_rows_on_disk_are_not_copied(estimator, standardize, large):
    y = np.arange(len(large)) % 3
    options = {"batch_size": 1000, "early_stopping": True, "standardize": standardize}
    model = estimator(4, solver="adam", max_iter=1, random_state=0, **options)
    assert peak_memory(lambda: model.fit(large, y)) < 0.25 * large.nbytes
    assert len(model.validation_scores_) == 1


def test_rows_on_disk_are_not_copied_by_partial_fit(large):
    model = TwoLayerRegressor(4, solver="adam", batch_size=1000, random_state=0)
    y = np.arange(len(large)) % 3
    assert peak_memory(lambda: model.partial_fit(large, y)) < 0.25 * large.nbytes


@pytest.mark.parametrize(
    ("solver", "dtype", "rounding"),
    [("adam", "auto", 1e-4), ("adam", "float64", 1e-6), ("lbfgs", "auto", 1e-6)],
)
def test_large_columns_that_were_standardised_before_are_not_copied(
    solver, dtype, rounding, large, rng
):
    X = np.tile(StandardScaler().fit_transform(rng.randn(1250, large.shape[1])), (140, 1))
    y = X[:, 0] ** 2
    model = TwoLayerRegressor(4, solver=solver, dtype=dtype, max_iter=2, random_state=0)
    assert peak_memory(lambda: model.fit(X, y)) < 0.25 * X.nbytes
    copied = clone(model).fit(X + 1, y)
    assert_allclose(
        model.predict(X[:1250]), copied.predict(X[:1250] + 1), rtol=rounding, atol=rounding
    )


@pytest.mark.parametrize("hidden_size", [4, 100])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_thousand_classes_do_not_fill_a_matrix_of_all_rows(hidden_size, solver, rng):
    n_rows, n_classes = 20_000, 1000
    X, y = rng.randn(n_rows, 3), np.arange(n_rows) % n_classes
    options = {"solver": solver, "max_iter": 1, "max_fun": 2, "random_state": 0}
    model = TwoLayerClassifier(hidden_size, **options)
    one_hot = n_rows * n_classes * 8
    assert peak_memory(lambda: model.fit(X, y)) < 0.5 * one_hot
    assert model.coefs_[1].shape == (hidden_size, n_classes)
    # the evidence would take pairs of classes in each row
    assert (model.alpha_, model.log_evidence_) == (1.0, None)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("n_outputs", "has_posterior"), [(50, True), (51, False)])
def test_many_targets_have_no_posterior(n_outputs, has_posterior, rng):
    X, Y = rng.randn(30, 2), rng.randn(30, n_outputs)
    model = TwoLayerRegressor(2, solver="adam", max_iter=2, random_state=0)
    for fitted in (clone(model).fit(X, Y), clone(model).partial_fit(X, Y).partial_fit(X, Y)):
        assert (fitted.log_evidence_ is not None) == has_posterior
        if not has_posterior:
            assert fitted.alpha_ == 1.0
            with pytest.raises(ValueError, match="there are 51 outputs, more than 50"):
                fitted.predict(X, return_std=True)
