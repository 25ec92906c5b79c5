"""group_lasso: columns that are not needed have no weights, and all else is an ordinary fit."""

import warnings

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import SelectFromModel

from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.engine import relevance

N_ROWS, N_COLUMNS = 150, 6
RNG = np.random.RandomState(0)
X = RNG.randn(N_ROWS, N_COLUMNS) * [1, 10, 100, 1, 1, 1e3] + 5
Z = (X - X.mean(axis=0)) / X.std(axis=0)
SIGNAL = 2 * Z[:, 0] - Z[:, 1] + Z[:, 2] ** 2
NEEDED = np.arange(N_COLUMNS) < 3
QUANTITIES = SIGNAL + 0.2 * RNG.randn(N_ROWS)
# one kind of network, as quick as can be
QUICK = {"hidden_size": 3, "solver": "lbfgs", "max_iter": 30, "random_state": 0}
TARGETS = {
    "one target": (TwoLayerRegressor, QUANTITIES),
    "two targets": (TwoLayerRegressor, np.column_stack([QUANTITIES, Z[:, 0]])),
    "two classes": (TwoLayerClassifier, np.where(SIGNAL > 1, "yes", "no")),
    "three classes": (TwoLayerClassifier, np.digitize(SIGNAL, [-0.5, 2])),
    "two labels": (TwoLayerClassifier, np.column_stack([SIGNAL > 1, Z[:, 0] > 0]).astype(int)),
}
pytestmark = IGNORE_CONVERGENCE


def lasso(estimator=TwoLayerRegressor, **options):
    return estimator(group_lasso=True, **{**QUICK, **options})


@pytest.fixture(autouse=True, scope="module")
def two_folds():
    """Of five, which take their time."""
    n_folds = relevance.n_folds
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relevance, "n_folds", lambda n_rows: min(2, n_folds(n_rows)))
        yield


@pytest.fixture(scope="module")
def fitted(two_folds):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return lasso().fit(X, QUANTITIES)


@pytest.mark.parametrize(("estimator", "y"), TARGETS.values(), ids=TARGETS)
def test_columns_that_matter_are_kept_and_no_others(estimator, y):
    model = lasso(estimator).fit(X, y, sample_weight=np.linspace(0.5, 2, N_ROWS))
    assert model.features_used_.dtype == bool
    assert_array_equal(model.features_used_[NEEDED], True)
    assert model.n_features_used_ == model.features_used_.sum() <= 5
    W1 = model.coefs_[0]
    assert_array_equal((W1 == 0).all(axis=1), ~model.features_used_)


def test_a_column_that_is_dropped_has_no_say(fitted):
    elsewhere = X.copy()
    elsewhere[:, ~NEEDED] = RNG.permutation(X)[:, ~NEEDED] + 1e6
    assert_array_equal(fitted.predict(elsewhere), fitted.predict(X))
    for rows in (X, elsewhere):
        std = fitted.predict(rows, return_std=True)[1]
        assert_allclose(std, fitted.predict(X, return_std=True)[1], rtol=1e-9)
    assert_array_equal(fitted.gradient_importances(X) == 0, ~NEEDED)
    assert_array_equal((fitted.input_gradients(X) == 0).all(axis=0).ravel(), ~NEEDED)


def test_without_it_all_columns_are_used():
    model = TwoLayerRegressor(**QUICK).fit(X, QUANTITIES)
    assert_array_equal(model.features_used_, np.ones(N_COLUMNS, dtype=bool))
    assert model.n_features_used_ == N_COLUMNS
    assert (model.coefs_[0] != 0).any(axis=1).all()


def test_friedmans_five_are_found():
    """Two of them by their product alone, one by its square, beside five that are idle."""
    rows, y = make_friedman1(300, 10, noise=1, random_state=0)
    used = lasso().fit(rows, y).features_used_
    assert_array_equal(used[:5], True)
    assert used[5:].sum() <= 1


def test_of_noise_nothing_is_kept():
    model = lasso().fit(X, RNG.randn(N_ROWS))
    assert model.n_features_used_ == 0
    assert_allclose(np.ptp(model.predict(X)), 0, atol=1e-12)


def table(n_rows=160):
    rng = np.random.RandomState(1)
    frame = pd.DataFrame(
        {
            "slope": rng.randn(n_rows),
            "idle": rng.randn(n_rows),
            "levels": rng.choice(list("xyz"), n_rows),
            "idle levels": rng.choice(list("pq"), n_rows),
            "many idle levels": [f"level {i}" for i in np.arange(n_rows) % 70],
            "missing": np.where(rng.rand(n_rows) < 0.3, np.nan, rng.randn(n_rows)),
            "idle, missing": np.where(rng.rand(n_rows) < 0.3, np.nan, rng.randn(n_rows)),
        }
    )
    y = 2 * frame["slope"] + 3.0 * (frame["levels"] == "x") + frame["missing"].fillna(1)
    return frame, y + 0.2 * rng.randn(n_rows)


ENCODINGS = {
    "linear": {"encoding": "linear"},
    "piecewise": {"encoding": "piecewise_linear", "n_knots": 3, "solver": "adam"},
    "raw columns": {"standardize": False, "solver": "lm"},
}


@pytest.mark.parametrize("options", ENCODINGS.values(), ids=ENCODINGS)
def test_columns_of_a_table_go_with_all_that_encodes_them(options):
    frame, y = table()
    model = lasso(**options).fit(frame, y)
    assert list(frame.columns[model.features_used_]) == ["slope", "levels", "missing"]
    shuffled = frame.copy()
    for name in frame.columns[~model.features_used_]:
        shuffled[name] = frame[name].sample(frac=1, random_state=0).to_numpy()
    assert_array_equal(model.predict(shuffled), model.predict(frame))
    assert_allclose(
        model.predict(shuffled, return_std=True)[1],
        model.predict(frame, return_std=True)[1],
        rtol=1e-9,
    )
    is_idle = [name.startswith(("idle", "many")) for name in model.encoded_feature_names_]
    assert_array_equal((model.coefs_[0] == 0).all(axis=1), is_idle)


def test_sparse_rows_choose_as_well():
    counts = np.where(RNG.rand(150, 6) < 0.4, RNG.rand(150, 6), 0.0)
    rows, y = sparse.csr_array(counts), 3 * counts[:, 0] - 2 * counts[:, 1]
    before = rows.copy()
    model = lasso().fit(rows, y + 0.05 * RNG.randn(150))
    assert_array_equal(model.features_used_, np.arange(6) < 2)
    assert_array_equal((model.coefs_[0] == 0).all(axis=1), np.arange(6) >= 2)
    assert_array_equal(rows.toarray(), before.toarray())


def test_rows_of_the_caller_are_left_as_they_are(fitted):
    rows, validation = X.copy(), X[:40].copy()
    model = clone(fitted).fit(rows, QUANTITIES, X_val=validation, y_val=QUANTITIES[:40])
    assert_array_equal(rows, X)
    assert_array_equal(validation, X[:40])
    assert_array_equal(model.features_used_, NEEDED)


def test_the_same_seed_gives_the_same_bits_for_any_number_of_jobs(fitted):
    with parallel_config("threading"):
        again = clone(fitted).set_params(n_jobs=2).fit(X, QUANTITIES)
    assert_array_equal(again.predict(X), fitted.predict(X))


def test_weights_are_copies():
    weights = RNG.randint(1, 4, N_ROWS)
    weighted = lasso().fit(X, QUANTITIES, sample_weight=weights)
    copies = lasso().fit(np.repeat(X, weights, axis=0), np.repeat(QUANTITIES, weights))
    assert_array_equal(weighted.features_used_, copies.features_used_)
    assert_array_equal(weighted.predict(X), copies.predict(X))


def test_units_do_not_choose():
    model = lasso(standardize=False).fit(X * 2.0 ** np.arange(-3, 3), 8 * QUANTITIES)
    assert_array_equal(model.features_used_, NEEDED)


def test_few_rows_tell_nothing():
    assert lasso().fit(X[:19], QUANTITIES[:19]).features_used_.all()


def test_of_many_rows_some_are_asked(monkeypatch, fitted):
    monkeypatch.setattr(relevance, "MOST_ROWS", 120)
    some = clone(fitted).fit(X, QUANTITIES)
    assert_array_equal(some.features_used_, NEEDED)
    assert (some.predict(X) != fitted.predict(X)).any()


def test_rows_set_aside_judge_what_is_left():
    model = lasso(early_stopping=True, scoring="r2").fit(X, QUANTITIES)
    assert_array_equal(model.features_used_, NEEDED)
    assert len(model.validation_scores_)


def test_a_warm_start_goes_on_without_them():
    model = lasso(warm_start=True).fit(X, QUANTITIES)
    # what would be needed now
    model.fit(X, Z[:, 5] + QUANTITIES)
    assert_array_equal(model.features_used_, NEEDED)
    assert_array_equal((model.coefs_[0] == 0).all(axis=1), ~NEEDED)
    model.set_params(group_lasso=False).fit(X, Z[:, 5] + QUANTITIES)
    assert model.features_used_.all() and (model.coefs_[0][5] != 0).any()


def test_a_warm_start_of_all_columns_chooses():
    model = TwoLayerRegressor(warm_start=True, **QUICK).fit(X, QUANTITIES)
    model.set_params(group_lasso=True).fit(X, QUANTITIES)
    assert_array_equal(model.features_used_, NEEDED)
    assert_array_equal((model.coefs_[0] == 0).all(axis=1), ~NEEDED)


def test_it_selects_for_other_models():
    selector = SelectFromModel(lasso(), importance_getter="features_used_", threshold=0.5)
    assert_array_equal(selector.fit(X, QUANTITIES).get_support(), NEEDED)


GIVEN = {"alpha": {"alpha": 1.0}, "elastic net": {"alpha": 5.0, "l1_ratio": 0.5}}


@pytest.mark.parametrize("options", GIVEN.values(), ids=GIVEN)
def test_a_given_alpha_is_that_of_the_fit_afterwards(options):
    model = lasso(**options).fit(X, QUANTITIES)
    assert_array_equal(model.features_used_, NEEDED)
    assert model.alpha_ == options["alpha"]
    assert_array_equal((model.coefs_[0] == 0).all(axis=1), ~NEEDED)


def test_a_stream_has_no_rows_to_hold_out():
    model = lasso(solver="adam")
    with pytest.raises(ValueError, match=r"group_lasso=True .*partial_fit.*: take fit"):
        model.partial_fit(X, QUANTITIES)
    assert not hasattr(model, "coefs_")


def test_the_summary_counts_columns(capsys):
    lasso(verbose=True).fit(X, QUANTITIES)
    assert f", 3 of {N_COLUMNS} columns, " in capsys.readouterr().out
