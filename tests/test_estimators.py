"""What classifier and regressor have in common."""

import copy
import warnings
from typing import NamedTuple

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_linnerud,
    load_wine,
    make_multilabel_classification,
)
from sklearn.exceptions import ConvergenceWarning

from kinds import IGNORE_CONVERGENCE, slow
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.engine import SOLVERS, held_out


def multilabel():
    return make_multilabel_classification(60, n_features=6, n_classes=3, random_state=0)


class Task(NamedTuple):
    """A kind of target, and what it makes of the network."""

    estimator: type
    load: object
    n_outputs: int
    out_activation: str

    def data(self):
        return self.load() if self.load is multilabel else self.load(return_X_y=True)


TASKS = {
    "binary": Task(TwoLayerClassifier, load_breast_cancer, 1, "logistic"),
    "multiclass": Task(TwoLayerClassifier, load_iris, 3, "softmax"),
    "multilabel": Task(TwoLayerClassifier, multilabel, 3, "logistic"),
    "one target": Task(TwoLayerRegressor, load_diabetes, 1, "identity"),
    "three targets": Task(TwoLayerRegressor, load_linnerud, 3, "identity"),
}

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)

# each solver under a fixed prior, and the evidence, which comes with one of them
WAYS = {**{name: (name, 1.0) for name in SOLVERS}, "evidence": ("lm", "auto")}
every_way = pytest.mark.parametrize(("solver", "alpha"), WAYS.values(), ids=WAYS)


def outputs(model, X):
    """What tells models apart: probabilities, or predictions of quantities."""
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def scale_of(model, y):
    return y.std(axis=0) if isinstance(model, TwoLayerRegressor) else 1.0


@every_task
@every_way
@IGNORE_CONVERGENCE
def test_fitted_attributes(task, solver, alpha):
    X, y = task.data()
    model = task.estimator(7, solver=solver, alpha=alpha, max_iter=30, random_state=0).fit(X, y)
    assert [W.shape for W in model.coefs_] == [(X.shape[1], 7), (7, task.n_outputs)]
    assert [b.shape for b in model.intercepts_] == [(7,), (task.n_outputs,)]
    assert model.n_layers_ == 3
    assert model.n_outputs_ == task.n_outputs
    assert model.out_activation_ == task.out_activation
    assert model.solver_ == solver
    assert model.n_features_in_ == X.shape[1]
    assert 1 <= model.n_iter_ == len(model.loss_curve_) <= 30
    assert model.t_ == model.n_iter_ * len(X)
    assert model.loss_ == model.loss_curve_[-1]
    assert model.best_loss_ == min(model.loss_curve_)
    assert all(type(loss) is float for loss in [model.loss_, *model.loss_curve_])
    assert model.loss_ < model.loss_curve_[0]


@every_task
def test_the_best_iteration_is_the_one_of_least_loss(task):
    X, y = task.data()
    model = task.estimator(7, solver="lbfgs", alpha=1.0, random_state=0).fit(X, y)
    assert model.best_iter_ == 1 + np.argmin(model.loss_curve_)


@every_task
@IGNORE_CONVERGENCE
@pytest.mark.parametrize("solver", SOLVERS)
def test_where_the_evidence_chooses_alpha_the_last_iteration_is_kept(task, solver):
    X, y = task.data()
    model = task.estimator(3, solver=solver, max_iter=12, random_state=0).fit(X, y)
    assert model.best_iter_ == model.n_iter_ == len(model.loss_curve_)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize(
    ("estimator", "load"),
    [
        (TwoLayerClassifier, load_iris),
        (TwoLayerClassifier, load_wine),
        (TwoLayerClassifier, load_breast_cancer),
        (TwoLayerRegressor, load_diabetes),
    ],
)
def test_the_curve_of_the_evidence_falls_to_what_is_kept(estimator, load, n_members):
    X, y = load(return_X_y=True)
    model = estimator(solver="lm", n_members=n_members, random_state=0).fit(X, y)
    assert model.loss_ == model.loss_curve_[-1] == -model.log_evidence_ / len(X)
    assert model.best_iter_ == model.n_iter_ == len(model.loss_curve_)
    assert model.best_loss_ == min(model.loss_curve_)
    first, last = model.loss_curve_[0], model.loss_curve_[-1]
    # steps aim at the mode of the posterior, so the evidence follows them but roughly
    rises = np.diff(model.loss_curve_).max()
    assert rises < 0.05 * (first - last)
    assert last - model.best_loss_ < 0.1 * (first - last)


@pytest.mark.parametrize(("max_iter", "moved"), [(2, "lowered"), (3, "raised")])
def test_a_short_budget_says_which_way_the_loss_went(max_iter, moved):
    X, y = load_diabetes(return_X_y=True)
    model = TwoLayerRegressor(5, max_iter=max_iter, random_state=0)
    with pytest.warns(ConvergenceWarning, match=rf"the last one {moved} the loss by \d"):
        model.fit(X, y)
    assert (model.loss_curve_[-1] > model.loss_curve_[-2]) == (moved == "raised")


@pytest.mark.parametrize("total", [1.0, 442.0, 1e5])
def test_the_loss_of_the_evidence_is_that_of_a_unit_of_weight(total):
    X, y = load_diabetes(return_X_y=True)
    weights = 1.0 + np.arange(len(X)) % 3
    weights *= total / weights.sum()
    model = TwoLayerRegressor(3, random_state=0).fit(X, y, sample_weight=weights)
    assert model.loss_ == pytest.approx(-model.log_evidence_ / total, rel=1e-9)


@IGNORE_CONVERGENCE
def test_the_weights_of_the_best_iteration_are_kept():
    X, y = load_diabetes(return_X_y=True)
    rough = {"solver": "adam", "alpha": 1.0, "learning_rate_init": 0.3, "tol": 0.0}
    rough["batch_size"] = len(X)
    long = TwoLayerRegressor(7, random_state=0, **rough).fit(X, y)
    assert 0 < long.best_iter_ < long.n_iter_
    short = TwoLayerRegressor(7, max_iter=long.best_iter_, random_state=0, **rough).fit(X, y)
    assert short.best_iter_ == long.best_iter_
    np.testing.assert_array_equal(short.predict(X), long.predict(X))


@pytest.mark.sampled(7)
@every_task
@IGNORE_CONVERGENCE
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csr_array])
@every_way
def test_weights_and_outputs_have_the_precision_of_the_rows(task, dtype, container, solver, alpha):
    X, y = task.data()
    rows = container(X.astype(dtype))
    model = task.estimator(3, solver=solver, alpha=alpha, max_iter=3, random_state=0).fit(rows, y)
    assert {W.dtype for W in [*model.coefs_, *model.intercepts_]} == {np.dtype(dtype)}
    assert outputs(model, rows).dtype == dtype
    if hasattr(model, "decision_function"):
        assert model.decision_function(rows).dtype == dtype
        assert model.predict_log_proba(rows).dtype == dtype
    assert np.isfinite(outputs(model, rows)).all()


@every_task
@IGNORE_CONVERGENCE
def test_whole_numbers_are_computed_in_float64(task):
    X, y = task.data()
    model = task.estimator(3, max_iter=3, random_state=0).fit(np.rint(X).astype(int), y)
    assert model.coefs_[0].dtype == np.float64


@every_task
@IGNORE_CONVERGENCE
@every_way
def test_half_the_digits_give_nearly_the_same(task, solver, alpha):
    X, y = task.data()
    model = task.estimator(
        5, solver=solver, alpha=alpha, activation="tanh", max_iter=3, random_state=0
    )
    expected = outputs(model.fit(X, y), X)
    X = X.astype(np.float32)
    error = (outputs(model.fit(X, y), X) - expected) / scale_of(model, y)
    assert np.abs(error).max() < 1e-3


@pytest.mark.sampled(3)
@every_task
@IGNORE_CONVERGENCE
@every_way
@pytest.mark.parametrize("standardize", [True, False])
def test_sparse_rows_give_what_dense_rows_give(task, solver, alpha, standardize, rng):
    X, y = task.data()
    X = X * (rng.uniform(size=X.shape) < 0.3)
    # in raw units, long steps soon make much of the last digits
    n_iter = 3 if solver == "lm" else 10
    settings = {"solver": solver, "alpha": alpha, "max_iter": n_iter, "standardize": standardize}
    model = task.estimator(5, activation="tanh", random_state=0, **settings)
    expected = outputs(model.fit(X, y), X)
    np.testing.assert_allclose(outputs(model, sparse.csr_matrix(X)), expected, rtol=1e-9)
    rows = sparse.csr_matrix(X)
    error = (outputs(model.fit(rows, y), rows) - expected) / scale_of(model, y)
    np.testing.assert_allclose(error, 0, atol=1e-8)


@every_task
@IGNORE_CONVERGENCE
def test_repeated_sparse_entries_are_summed_in_a_copy(task):
    X, y = task.data()
    n_entries, n_columns = X.size, X.shape[1]
    halves = np.repeat(X.ravel() / 2, 2)
    columns = np.repeat(np.tile(np.arange(n_columns), len(X)), 2)
    rows = sparse.csr_matrix((halves, columns, np.arange(0, 2 * n_entries + 1, 2 * n_columns)))
    model = task.estimator(5, activation="tanh", max_iter=10, random_state=0)
    expected = outputs(model.fit(sparse.csr_matrix(X), y), X)
    np.testing.assert_allclose(outputs(model.fit(rows, y), rows), expected, rtol=1e-6)
    assert rows.nnz == 2 * n_entries


@IGNORE_CONVERGENCE
@pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])
@pytest.mark.parametrize(
    ("n_rows", "alpha", "solver"),
    [
        (9_999, "auto", "lm"),
        (10_000, "auto", "adam"),
        (10_000, 1.0, "lbfgs"),
        (10_001, 1.0, "adam"),
    ],
)
def test_auto_goes_by_the_number_of_rows(estimator, n_rows, alpha, solver, rng):
    X = rng.randn(n_rows, 1)
    model = estimator(1, solver="auto", alpha=alpha, max_iter=1, random_state=0)
    model.fit(X, X[:, 0] > 0)
    assert model.solver_ == solver
    assert (model.solver, model.alpha) == ("auto", alpha)
    # the column, the hidden biases, the output layer, and the skip path that lm has
    expected = () if alpha == 1.0 else {"lm": (4,), "adam": (3,)}[solver]
    assert np.shape(model.alpha_) == expected


@pytest.mark.sampled(3)
@every_task
@IGNORE_CONVERGENCE
@every_way
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_seed_gives_the_same_bits(task, solver, alpha, dtype):
    X, y = task.data()
    X = X.astype(dtype)
    model = task.estimator(5, solver=solver, alpha=alpha, batch_size=16, max_iter=5)

    def weights(random_state):
        fitted = clone(model).set_params(random_state=random_state).fit(X, y)
        return [part.tobytes() for part in [*fitted.coefs_, *fitted.intercepts_]]

    assert weights(1) == weights(1) == weights(np.random.RandomState(1))
    assert weights(1) != weights(2)


OTHER_PARAMETERS = {"activation": "logistic", "hidden_size": 3, "solver": "sgd", "alpha": 9.0}


@every_task
@IGNORE_CONVERGENCE
@pytest.mark.parametrize("name", OTHER_PARAMETERS)
def test_parameters_set_after_the_fit_do_not_change_predictions(task, name):
    X, y = task.data()
    model = task.estimator(5, activation="relu", max_iter=10, random_state=0).fit(X, y)
    expected = outputs(model, X)
    model.set_params(**{name: OTHER_PARAMETERS[name]})
    np.testing.assert_array_equal(outputs(model, X), expected)
    np.testing.assert_array_equal(outputs(copy.deepcopy(model), X), expected)


@pytest.mark.sampled(3)
@every_task
@IGNORE_CONVERGENCE
@every_way
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("most", [1, 3])
def test_weight_k_is_k_copies_and_weight_zero_is_absence(task, solver, alpha, container, most, rng):
    X, y = (array[::2][:60] for array in task.data())
    k = rng.randint(0, most + 1, size=len(X))
    assert 0 in k
    settings = {"batch_size": 1000, "learning_rate_init": 0.01, "max_iter": 20, "tol": 0.0}
    model = task.estimator(5, solver=solver, alpha=alpha, random_state=0, **settings)
    weighted = outputs(clone(model).fit(container(X), y, sample_weight=k), X)
    copied = outputs(clone(model).fit(container(np.repeat(X, k, axis=0)), np.repeat(y, k, 0)), X)
    error = (weighted - copied) / scale_of(model, y)
    np.testing.assert_allclose(error, 0, atol=1e-6)


@pytest.mark.sampled(3)
@every_task
@IGNORE_CONVERGENCE
@every_way
def test_weight_zero_is_absence_from_every_batch(task, solver, alpha):
    X, y = task.data()
    absent = np.arange(len(X)) % 3 == 0
    model = task.estimator(5, solver=solver, alpha=alpha, batch_size=4, max_iter=3, random_state=0)
    weighted = outputs(clone(model).fit(X, y, sample_weight=1.0 - absent), X)
    without = outputs(clone(model).fit(X[~absent], y[~absent]), X)
    error = (weighted - without) / scale_of(model, y)
    np.testing.assert_allclose(error, 0, atol=1e-9)


@pytest.mark.sampled(3)
@every_task
@IGNORE_CONVERGENCE
@every_way
def test_weights_matter(task, solver, alpha, rng):
    X, y = task.data()
    model = task.estimator(5, solver=solver, alpha=alpha, max_iter=5, random_state=0)
    plain = outputs(clone(model).fit(X, y), X)
    ones = outputs(clone(model).fit(X, y, sample_weight=np.ones(len(X))), X)
    uneven = outputs(clone(model).fit(X, y, sample_weight=rng.uniform(0, 9, len(X))), X)
    np.testing.assert_allclose(ones, plain, rtol=1e-6)
    assert np.abs(uneven - plain).max() > 1e-3 * np.abs(plain).max()


def the_warning(model, X, y):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    assert [entry.category for entry in caught] == [ConvergenceWarning]
    return str(caught[0].message)


@every_task
@every_way
def test_too_few_iterations_are_reported_with_advice(task, solver, alpha):
    message = the_warning(
        task.estimator(5, solver=solver, alpha=alpha, max_iter=2, random_state=0), *task.data()
    )
    assert message.startswith(f"{task.estimator.__name__}(solver='{solver}')")
    assert "max_iter=2" in message
    assert "Increase max_iter" in message


@every_task
def test_too_few_evaluations_are_reported_with_advice(task):
    model = task.estimator(5, solver="lbfgs", max_fun=3, random_state=0)
    message = the_warning(model, *task.data())
    assert "max_fun=3" in message
    assert "Increase max_fun" in message


@every_task
def test_divergence_is_reported_and_leaves_finite_weights(task):
    X, y = task.data()
    settings = {"solver": "sgd", "activation": "identity", "alpha": 0.0, "standardize": False}
    model = task.estimator(5, learning_rate_init=1e200, random_state=0, **settings)
    message = the_warning(model, X * 1e100, y)
    assert "diverged" in message
    assert "learning_rate_init" in message
    assert all(np.isfinite(part).all() for part in [*model.coefs_, *model.intercepts_])


BUNDLED = {
    "breast_cancer": (TwoLayerClassifier, load_breast_cancer, 0.98),
    "digits": (TwoLayerClassifier, load_digits, 0.99),
    "iris": (TwoLayerClassifier, load_iris, 0.95),
    "wine": (TwoLayerClassifier, load_wine, 0.99),
    "diabetes": (TwoLayerRegressor, load_diabetes, 0.5),
}


@pytest.mark.parametrize(("estimator", "load", "enough"), BUNDLED.values(), ids=BUNDLED)
@pytest.mark.parametrize("seed", [0, *slow([1])])
def test_bundled_data_are_learnt_by_default_without_a_warning(estimator, load, enough, seed):
    X, y = load(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = estimator(random_state=seed).fit(X, y)
    assert model.score(X, y) > enough


MANY_ROWS = 10_001


@pytest.mark.parametrize(
    ("solver", "n_rows", "dtype", "given", "computed"),
    [
        ("adam", MANY_ROWS, "auto", np.float64, np.float32),
        ("adam", MANY_ROWS, "float64", np.float64, np.float64),
        ("adam", MANY_ROWS - 1, "auto", np.float64, np.float64),
        ("adam", 100, "float32", np.float64, np.float32),
        ("lbfgs", MANY_ROWS, "auto", np.float64, np.float64),
        ("lbfgs", 100, "auto", np.float32, np.float32),
        ("lbfgs", 100, "float64", np.float32, np.float64),
    ],
)
@IGNORE_CONVERGENCE
def test_precision_of_training_and_of_predictions(solver, n_rows, dtype, given, computed, rng):
    X = (rng.randn(n_rows, 2) + 1e4).astype(given)
    y = X[:, 0] - 1e4
    model = TwoLayerRegressor(4, solver=solver, dtype=dtype, max_iter=3, random_state=0).fit(X, y)
    assert model._state["theta"].dtype == computed
    assert {array.dtype for array in model.coefs_} == {np.promote_types(given, computed)}
    assert model.predict(X).dtype == given
    assert model.predict(X.astype(np.float32)).dtype == np.float32


@IGNORE_CONVERGENCE
def test_warm_start_goes_on_when_the_precision_changes(rng):
    X, y = rng.randn(MANY_ROWS, 2), rng.randn(MANY_ROWS)
    model = TwoLayerRegressor(4, solver="adam", max_iter=2, warm_start=True, random_state=0)
    few = model.fit(X[:100], y[:100])._state["theta"].dtype
    many = model.fit(X, y)._state
    assert (few, many["theta"].dtype) == (np.float64, np.float32)
    assert many["state"]["first_moment"].dtype == np.float32
    assert np.isfinite(model.predict(X)).all()


def noisy_and_clean(noise):
    rng = np.random.RandomState(0)
    X = rng.randn(1500, 40)
    return X, np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + noise * rng.randn(1500)


@pytest.mark.parametrize("noise", [0.0, 5.0])
def test_the_evidence_chooses_alpha_where_the_exact_one_would_take_too_long(noise):
    X, y = noisy_and_clean(noise)
    model = TwoLayerRegressor(40, random_state=0).fit(X, y)
    assert model.solver_ == "adam"
    assert np.isfinite(model.log_evidence_)
    assert model.noise_variance_ == pytest.approx(noise**2, rel=0.15, abs=0.05)
    if noise == 0.0:
        # the three columns that tell something are held far less than those that do not
        assert 10 * model.alpha_[:3].max() < model.alpha_[3:40].min()
    again = TwoLayerRegressor(40, random_state=0).fit(X, y)
    np.testing.assert_array_equal(again.coefs_[0], model.coefs_[0])


def test_trials_on_many_rows_are_short(monkeypatch, rng):
    trials, run = [], held_out.run

    def watched(plan, training, *args, **options):
        trials.append((plan.settings.solver, training.rows.n_rows, plan.settings.max_iter))
        return run(plan, training, *args, **options)

    monkeypatch.setattr(held_out, "run", watched)
    monkeypatch.setattr(held_out, "MOST_KEPT", 1000)
    X = rng.randn(MANY_ROWS, 2)
    model = TwoLayerRegressor(3, n_members=2, max_iter=10, random_state=0).fit(X, X[:, 0])
    # of mini-batches three tenths, and on so much fewer rows as have the root of their number
    assert trials == [("adam", 1000, round(0.3 * 10 * (MANY_ROWS / 1000) ** 0.5)), ("lm", 1000, 10)]
    assert model.t_ == model.n_iter_ * MANY_ROWS


def test_messages_name_the_most_iterations_that_auto_became(capsys):
    X, y = (array[:30] for array in load_diabetes(return_X_y=True))
    endless = {"learning_rate": "constant", "n_iter_no_change": np.inf, "random_state": 0}
    model = TwoLayerRegressor(3, solver="adam", verbose=True, **endless)
    with pytest.warns(ConvergenceWarning, match=r"stopped after max_iter=219 iterations"):
        model.fit(X, y)
    assert model.n_iter_ == round(40 * 30**0.5) == 219
    assert "219 iterations, stopped at max_iter=219" in capsys.readouterr().out


def test_what_tells_of_one_network_tells_of_that_of_largest_weight():
    X, y = (array[::3] for array in load_iris(return_X_y=True))
    model = TwoLayerClassifier(random_state=0).fit(X, y)
    kept = model._state
    leading = kept["members"][np.argmax(kept["member_weights"])]
    choices = leading["choices"]
    assert len({member["solver"] for member in kept["members"]}) > 1
    assert model.solver_ == leading["solver"]
    assert (model.hidden_size_, model.skip_) == (choices["hidden_size"], choices["skip"])
    assert model.dtype_ == leading["theta"].dtype
    assert model.loss_curve_ == leading["loss_curve"]
    n_hidden = sum(member["choices"]["hidden_size"] for member in kept["members"])
    assert model.coefs_[0].shape == (4, n_hidden)


@pytest.mark.parametrize("solver", ["auto", "adam", "lbfgs"])
@pytest.mark.parametrize("task", [TASKS["binary"], TASKS["one target"]])
def test_several_networks_may_stop_early(task, solver):
    X, y = (array[:120] for array in task.data())
    model = task.estimator(3, solver=solver, n_members=2, early_stopping=True, random_state=0)
    model.fit(X, y)
    assert model.n_members_ == 2
    assert model.solver_ == ("adam" if solver == "auto" else solver)
    assert model.validation_scores_ is not None
