"""Priors chosen by the data, and how sure the estimators are of what they say."""

import pickle
import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_iris,
    load_linnerud,
    load_wine,
    make_classification,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kinds
from kinds import every, every_solver, fitted_once, five_kinds, slow
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, engine

N_ROWS = 120
FOUND = ["alpha_", "n_effective_parameters_", "log_evidence_"]


def quantities(n_targets=1, n_rows=N_ROWS, noise=0.3, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.randn(n_rows, 3)
    Z = np.tanh(2 * X @ rng.randn(3, 3)) @ rng.randn(3, n_targets)
    Y = Z / Z.std(axis=0) + noise * rng.randn(n_rows, n_targets)
    return X, Y[:, 0] if n_targets == 1 else Y


def labels(n_classes):
    return kinds.labels(n_classes, N_ROWS, 4, flip_y=0.1)


def several_labels():
    return kinds.several_labels(N_ROWS, 4)


KINDS = five_kinds(labels, several_labels, quantities)
every_kind = every(KINDS)
LABELS = {name: data[1:] for name, data in KINDS.items() if data[0] is TwoLayerClassifier}
every_kind_of_labels = pytest.mark.parametrize(("X", "y"), LABELS.values(), ids=LABELS)
QUANTITIES = {name: data[1:] for name, data in KINDS.items() if data[0] is TwoLayerRegressor}
every_kind_of_quantities = pytest.mark.parametrize(("X", "y"), QUANTITIES.values(), ids=QUANTITIES)


def outputs(model, X):
    """Logits, or predictions with their deviations."""
    if isinstance(model, TwoLayerClassifier):
        return model.decision_function(X)
    return np.stack(model.predict(X, return_std=True), axis=-1)


def raw_outputs(model, X):
    """Probabilities, or predictions."""
    return model.predict_proba(X) if isinstance(model, TwoLayerClassifier) else model.predict(X)


def n_parameters(model):
    parts = [*model.coefs_, *model.intercepts_]
    if model.skip_coef_ is not None:
        parts.append(model.skip_coef_)
    return sum(part.size for part in parts)


def quietly(model, X, y, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y, **options)


class TestWhatIsFound:
    @every_kind
    def test_by_default(self, estimator, X, y):
        model = fitted_once(estimator(random_state=0), X, y)
        has_skip = model.n_outputs_ == 1
        assert (model.skip_coef_ is not None) == has_skip
        kinds_of_networks = {("lm", "tanh", 10, None)}  # the evidence is exact
        if estimator is TwoLayerClassifier:
            kinds_of_networks |= {("lbfgs", "relu", 100, 1.0)}
        members = engine.restore(model._state).members
        found = [(m.solver, m.choices.activation, m.choices.hidden_size, m.alpha) for m in members]
        assert set(found) == kinds_of_networks
        assert model.coefs_[0].shape == (X.shape[1], sum(n_units for _, _, n_units, _ in found))
        # attributes tell of the network of largest weight
        largest = members[np.argmax(model._state["member_weights"])]
        assert (model.solver_, model.t_) == (largest.solver, largest.n_seen)
        if model.solver_ == "lm":
            assert model.alpha_.shape == (X.shape[1] + 2 + has_skip,)
            assert (model.alpha_ > 0).all()
        else:
            assert model.alpha_ == 1.0
        assert isinstance(model.log_evidence_, float)
        assert type(model.n_effective_parameters_) is float
        assert model.n_outputs_ < model.n_effective_parameters_ < n_parameters(model)
        assert model.get_params() == estimator(random_state=0).get_params()

    @pytest.mark.parametrize("seed", [0, *slow(range(1, 5))])
    def test_parameters_are_counted_as_the_data_determine_them(self, seed):
        X, y = quantities(n_rows=40, seed=seed)
        few = TwoLayerRegressor(random_state=0).fit(X, y)
        assert 1 <= few.n_effective_parameters_ < min(40, n_parameters(few))
        noise = np.random.RandomState(seed).randn(40)
        assert TwoLayerRegressor(random_state=0).fit(X, noise).n_effective_parameters_ < 30

    @pytest.mark.sampled(3)
    @every_kind
    @pytest.mark.parametrize("alpha", [1.0, 0.0])
    @every_solver
    def test_around_a_prior_of_the_caller(self, estimator, X, y, alpha, solver):
        options = {"max_iter": 20, "solver": solver, "alpha": alpha, "random_state": 0}
        model = quietly(estimator(4, **options), X, y)
        assert model.alpha_ == alpha
        assert isinstance(model.log_evidence_, float)
        assert 0 < model.n_effective_parameters_ <= n_parameters(model)
        if estimator is TwoLayerRegressor:
            # that of the errors, some of which the parameters have taken up
            errors = np.mean((model.predict(X) - y) ** 2, axis=0)
            assert (errors * 0.99 < model.noise_variance_).all()
            assert (model.noise_variance_ < 1.5 * errors).all()

    @every_kind
    @every_solver
    def test_by_every_solver(self, estimator, X, y, solver):
        model = quietly(estimator(4, solver=solver, max_iter=20, random_state=0), X, y)
        assert (model.solver_, model.activation_) == (solver, "tanh")
        has_skip = model.skip_coef_ is not None
        assert model.alpha_.shape == (X.shape[1] + 2 + has_skip,)
        assert (model.alpha_ > 0).all()
        assert 0 < model.n_effective_parameters_ < n_parameters(model)
        assert np.isfinite(model.log_evidence_)

    @every_kind
    def test_nothing_is_left_of_it_by_a_fit_without(self, estimator, X, y):
        model = fitted_once(estimator(4, random_state=0), X, y)
        quietly(model.set_params(alpha=1.0), X, y)
        fresh = quietly(clone(model), X, y)
        assert model.alpha_ == fresh.alpha_ == 1.0
        for name in FOUND:
            assert getattr(model, name) == getattr(fresh, name)
        assert_array_equal(outputs(model, X), outputs(fresh, X))

    @every_kind
    def test_without_a_posterior_all_else_is_the_same(self, estimator, X, y):
        model = fitted_once(estimator(4, random_state=0), X, y)
        slim = estimator(4, store_posterior=False, random_state=0).fit(X, y)
        for name in FOUND:
            assert_array_equal(getattr(slim, name), getattr(model, name))
        for ours, theirs in zip(slim.coefs_, model.coefs_, strict=True):
            assert_array_equal(ours, theirs)
        assert len(pickle.dumps(slim)) < len(pickle.dumps(model))

    @every_kind
    def test_beside_validation_rows(self, estimator, X, y):
        model = estimator(4, random_state=0, max_iter=20)
        for options in ({"X_val": X[:30], "y_val": y[:30]}, {}):
            quietly(model, X, y, **options)
            assert model.solver_ == "adam"
            assert model.alpha_.shape == (X.shape[1] + 2,)
            assert len(model.validation_scores_) == model.n_iter_
            assert np.isfinite(model.log_evidence_)
            assert np.isfinite(outputs(model, X)).all()
            model.set_params(early_stopping=True)


class TestNoise:
    @pytest.mark.parametrize("seed", [0, *slow([1, 2])])
    def test_of_a_teacher_is_recovered(self, seed):
        X, y = quantities(n_rows=1000, noise=0.4, seed=seed)
        model = TwoLayerRegressor(random_state=0).fit(X, y)
        assert type(model.noise_variance_) is float
        assert model.noise_variance_ == pytest.approx(0.16, rel=0.1)

    @pytest.mark.parametrize("seed", [0, *slow([1, 2])])
    def test_of_each_target_is_its_own(self, seed):
        noise = np.array([0.2, 0.8])
        X, Y = quantities(2, n_rows=1000, noise=noise, seed=seed)
        model = TwoLayerRegressor(random_state=0).fit(X, Y)
        assert_allclose(model.noise_variance_, noise**2, rtol=0.15)

    @every_kind_of_quantities
    def test_has_the_units_of_the_target_squared(self, X, y):
        plain = TwoLayerRegressor(5, random_state=0).fit(X, y)
        model = TwoLayerRegressor(5, random_state=0).fit(X, 1e3 * y - 5e5)
        assert_allclose(model.noise_variance_, 1e6 * np.array(plain.noise_variance_), rtol=1e-3)

    def test_of_a_matrix_with_one_column_is_an_array(self):
        X, y = quantities()
        vector = TwoLayerRegressor(5, random_state=0).fit(X, y)
        column = TwoLayerRegressor(5, random_state=0).fit(X, y[:, None])
        assert_array_equal(column.noise_variance_, [vector.noise_variance_])


COVERING = {
    "untouched": {},
    **{name: {"solver": name, "hidden_size": 20} for name in ("adam", "lbfgs", "lm")},
    "given": {"alpha": 10.0, "hidden_size": 20, "activation": "tanh"},
}


class TestDeviations:
    """predict(X, return_std=True)."""

    @every_kind_of_quantities
    def test_have_the_shape_of_the_prediction(self, X, y):
        model = TwoLayerRegressor(5, random_state=0).fit(X, y)
        prediction, deviation = model.predict(X, return_std=True)
        assert deviation.shape == prediction.shape == y.shape
        assert_allclose(prediction, model.predict(X), rtol=1e-9, atol=1e-12)
        assert (deviation > np.sqrt(model.noise_variance_)).all()
        one, of_one = model.predict(X[:1], return_std=True)
        assert one.shape == of_one.shape == y[:1].shape

    @every_kind_of_quantities
    @pytest.mark.parametrize("standardize", [True, False])
    def test_are_those_of_a_linearised_network(self, X, y, standardize):
        X, y = X * [1, 10, 0.1] + [0, 50, 1] if standardize else X, y
        options = {"skip": False, "standardize": standardize, "random_state": 0}
        model = TwoLayerRegressor(4, **options).fit(X, 7 * y + 3 if standardize else y)
        Y_scale = np.std(7 * y, axis=0) if standardize else np.ones(model.n_outputs_)
        U = (X - X.mean(axis=0)) / X.std(axis=0) if standardize else X
        (theta,), d, k = model._predictive["thetas"], 3, model.n_outputs_

        def network(at):
            layer1 = at[: 4 * (d + 1)].reshape(d + 1, 4)
            layer2 = at[4 * (d + 1) :].reshape(5, k)
            return np.tanh(U @ layer1[:-1] + layer1[-1]) @ layer2[:-1] + layer2[-1]

        steps = 1e-5 * np.eye(len(theta))
        J = np.stack([(network(theta + s) - network(theta - s)) / 2e-5 for s in steps], axis=-1)
        spread = np.einsum("ika,ab,ikb->ik", J, model._predictive["covariances"][0], J)
        variance = spread * Y_scale**2 + model.noise_variance_
        _, deviation = model.predict(X, return_std=True)
        assert_allclose(deviation.reshape(N_ROWS, k), np.sqrt(variance), rtol=1e-6)

    @every_kind_of_quantities
    def test_are_larger_far_from_the_rows(self, X, y):
        model = TwoLayerRegressor(random_state=0).fit(X, y)
        _, near = model.predict(X, return_std=True)
        _, far = model.predict(20 * X, return_std=True)
        assert (np.median(far, axis=0) > 2 * np.median(near, axis=0)).all()

    def test_shrink_to_the_noise_where_there_are_many_rows(self):
        few, many = (
            TwoLayerRegressor(random_state=0).fit(*quantities(n_rows=n)) for n in (60, 2000)
        )
        X, _ = quantities(n_rows=50, seed=1)
        excess = [
            (m.predict(X, return_std=True)[1] ** 2 - m.noise_variance_).mean() for m in (few, many)
        ]
        assert 0 < excess[1] < 0.2 * excess[0]

    @pytest.mark.parametrize("n_targets", [1, 2])
    @pytest.mark.parametrize("options", COVERING.values(), ids=COVERING)
    def test_cover_new_targets(self, n_targets, options):
        X, Y = quantities(n_targets, n_rows=1500, noise=0.5)
        model = quietly(TwoLayerRegressor(random_state=0, **options), X[:500], Y[:500])
        prediction, deviation = model.predict(X[500:], return_std=True)
        inside = np.abs(prediction - Y[500:]) < 1.645 * deviation
        assert_allclose(inside.mean(axis=0), 0.9, atol=0.04)

    @pytest.mark.parametrize("options", COVERING.values(), ids=COVERING)
    def test_widen_the_farther_outside(self, options):
        # but for corners, where all columns leave their ranges alike and tanh units are constant
        X, y = quantities(n_rows=500)
        model = quietly(TwoLayerRegressor(random_state=0, **options), X, y)
        middle, half = (X.max(axis=0) + X.min(axis=0)) / 2, np.ptp(X, axis=0) / 2
        directions = np.random.RandomState(1).randn(50, 3)
        directions /= np.abs(directions).max(axis=1, keepdims=True)
        of_times = [
            np.median(model.predict(middle + times * 2 * half * directions, return_std=True)[1])
            for times in (0.25, 2, 10)
        ]
        assert of_times[0] < of_times[1] < of_times[2]

    @pytest.mark.parametrize(
        ("options", "named"),
        [
            ({"store_posterior": False}, r"store_posterior=False"),
            ({"store_posterior": False, "alpha": 1.0}, r"store_posterior=False"),
            ({"store_posterior": False, "solver": "adam"}, r"store_posterior=False"),
        ],
    )
    def test_need_a_posterior(self, options, named):
        X, y = quantities()
        model = quietly(TwoLayerRegressor(4, max_iter=3, random_state=0, **options), X, y)
        before = vars(model).copy()
        with pytest.raises(ValueError, match=named) as error:
            model.predict(X, return_std=True)
        assert "alpha='auto'" in str(error.value)
        assert all(vars(model)[name] is before[name] for name in before)
        assert model.predict(X).shape == y.shape


class TestUnits:
    @every_kind
    def test_of_columns_and_targets_do_not_matter(self, estimator, X, y):
        X_other = X * (a := np.array([1e3, 1e-3, 5, 1])[: X.shape[1]]) + 10 * a
        model = estimator(5, random_state=0)
        expected, alpha = outputs(model.fit(X, y), X), model.alpha_
        if estimator is TwoLayerClassifier:
            found = outputs(model.fit(X_other, y), X_other)
            assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
        else:
            found = outputs(model.fit(X_other, 1e3 * y - 5e4), X_other)
            found[..., 0] += 5e4
            assert_allclose(found / 1e3, expected, rtol=1e-3, atol=1e-3)
        assert_allclose(model.alpha_, alpha, rtol=0.02)

    @every_kind
    def test_sparse_rows_are_dense_rows(self, estimator, X, y):
        X = np.where(np.random.RandomState(1).rand(*X.shape) < 0.5, 0, X)
        dense = fitted_once(estimator(5, random_state=0), X, y)
        model = estimator(5, random_state=0).fit(sparse.csr_array(X), y)
        expected = outputs(dense, X)
        assert_allclose(outputs(dense, sparse.csr_array(X)), expected, rtol=1e-8, atol=1e-9)
        assert_allclose(outputs(model, X), expected, rtol=1e-4, atol=1e-4)
        assert_allclose(model.alpha_, dense.alpha_, rtol=1e-2)

    @every_kind
    def test_single_precision_in_is_single_precision_out(self, estimator, X, y):
        X32 = X.astype(np.float32)
        model = estimator(5, random_state=0).fit(X32, y)
        assert {part.dtype for part in [*model.coefs_, *model.intercepts_]} == {
            np.dtype(np.float32)
        }
        assert outputs(model, X32).dtype == np.float32
        assert outputs(model, X).dtype == np.float64
        assert outputs(model, X.astype(int)).dtype == np.float64
        for method in ("predict_proba", "predict_log_proba"):
            if hasattr(model, method):
                assert getattr(model, method)(X32).dtype == np.float32
        expected = outputs(fitted_once(estimator(5, random_state=0), X, y), X)
        assert_allclose(outputs(model, X32), expected, rtol=0.02, atol=0.02)


class TestAlphaOfTheCaller:
    @every_kind
    def test_from_there_the_fit_stays_there(self, estimator, X, y):
        # from other starts the evidence settles near a saddle, which a longer walk may leave
        model = estimator(5, solver="lm", warm_start=True, random_state=2).fit(X, y)
        if estimator is TwoLayerClassifier:
            model.moderate = False
        before, n_iter = raw_outputs(model, X), model.n_iter_
        quietly(model.set_params(alpha=(given := model.alpha_)), X, y)
        assert_array_equal(model.alpha_, given)
        assert model.n_iter_ > n_iter
        moved = np.sqrt(np.mean((raw_outputs(model, X) - before) ** 2))
        # probabilities; or units of y, in which the noise is 0.3 (alpha_ knows one for all targets)
        assert moved < (0.02 if estimator is TwoLayerClassifier else 0.1 * 0.3)

    def test_is_the_optimum_of_the_penalised_error(self):
        X, y = quantities()
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        y = (y - y.mean()) / y.std()
        model = TwoLayerRegressor(5, solver="lm", warm_start=True, random_state=0).fit(X, y)

        def value():
            squares = np.concatenate(
                [
                    (model.coefs_[0] ** 2).sum(axis=1),
                    [(part**2).sum() for part in (model.intercepts_[0], model.coefs_[1])],
                    [(model.skip_coef_**2).sum()],
                ]
            )
            error = ((model.predict(X) - y) ** 2).sum()
            return 0.5 * (error + alpha @ squares) / N_ROWS

        alpha = model.alpha_
        start = value()
        quietly(model.set_params(alpha=alpha, tol=0.0), X, y)
        assert value() <= start
        assert value() == pytest.approx(start, rel=0.02)
        assert model.best_loss_ <= model.loss_curve_[-1]
        assert value() == pytest.approx(min(model.loss_curve_[-5:]), rel=1e-6)

    @every_kind
    @pytest.mark.parametrize("solver", ["lm", "lbfgs", "adam", "auto"])
    def test_equal_precisions_are_one_but_for_the_hidden_biases(self, estimator, X, y, solver):
        options = {"solver": solver, "activation": "tanh", "skip": False, "max_iter": 10}
        groups = np.full(X.shape[1] + 2, 2.0)
        groups[-2] = 0
        several = quietly(estimator(4, alpha=groups, random_state=0, **options), X, y)
        one = quietly(estimator(4, alpha=2.0, random_state=0, **options), X, y)
        assert_allclose(several.predict(X), one.predict(X), rtol=1e-6, atol=1e-8)
        assert_allclose(several.loss_curve_, one.loss_curve_, rtol=1e-7)

    @every_kind
    @pytest.mark.parametrize("solver", ["lm", "lbfgs", "adam", "auto"])
    @pytest.mark.parametrize("skip", [False, True])
    @pytest.mark.parametrize("wrong", [-1, 1])
    def test_of_a_wrong_length_is_refused(self, estimator, X, y, solver, skip, wrong):
        model = estimator(4, alpha=1.0, skip=skip, max_iter=3, random_state=0)
        quietly(model, X, y)
        right = X.shape[1] + 2 + skip
        model.set_params(solver=solver, alpha=np.ones(right + wrong))
        before = vars(model).copy()
        with pytest.raises(ValueError, match=rf"^alpha must be .*{right}.*got {right + wrong}"):
            model.fit(X, y)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[name] is before[name] for name in before)

    def test_silences_a_column(self):
        X, y = quantities()
        alpha = np.array([1e12, 0.1, 0.1, 0.1, 0.1])
        model = TwoLayerRegressor(4, alpha=alpha, solver="lm", skip=False, random_state=0)
        quietly(model, X, y)
        assert np.abs(model.coefs_[0][0]).max() < 1e-6 < np.abs(model.coefs_[0][1]).max()

    def test_may_be_cloned_and_pickled(self):
        X, y = quantities()
        model = TwoLayerRegressor(4, alpha=np.full(5, 0.5), skip=False, random_state=0)
        quietly(model, X, y)
        assert_array_equal(clone(model).alpha, model.alpha)
        assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


class TestWeights:
    @every_kind
    def test_are_copies(self, estimator, X, y, rng):
        copies = rng.randint(0, 4, N_ROWS)
        repeated = np.repeat(np.arange(N_ROWS), copies)
        weighted = estimator(5, random_state=0).fit(X, y, sample_weight=copies)
        copied = estimator(5, random_state=0).fit(X[repeated], y[repeated])
        for name in FOUND:
            assert_allclose(getattr(weighted, name), getattr(copied, name), rtol=1e-6, err_msg=name)
        assert_allclose(outputs(weighted, X), outputs(copied, X), rtol=1e-6, atol=1e-6)

    @every_kind
    def test_of_zero_are_absence(self, estimator, X, y, rng):
        weights = rng.randint(0, 3, N_ROWS) * 0.7
        wild = np.where(weights[:, None] == 0, 1e9, X)
        weighted = estimator(5, random_state=0).fit(wild, y, sample_weight=weights)
        kept = weights > 0
        absent = estimator(5, random_state=0).fit(X[kept], y[kept], sample_weight=weights[kept])
        for name in FOUND:
            assert_array_equal(getattr(weighted, name), getattr(absent, name))
        assert_array_equal(outputs(weighted, X), outputs(absent, X))

    @every_kind
    def test_tell_more_the_larger_they_are(self, estimator, X, y):
        once = fitted_once(estimator(5, random_state=0), X, y)
        often = estimator(5, random_state=0).fit(X, y, sample_weight=np.full(N_ROWS, 10.0))
        assert often.n_effective_parameters_ > once.n_effective_parameters_

    @every_kind_of_labels
    @pytest.mark.parametrize("weight", [0.3, 0.05])
    def test_below_one_are_less_than_a_row(self, X, y, weight):
        model = TwoLayerClassifier(5, random_state=0)
        model.fit(X, y, sample_weight=np.full(N_ROWS, weight))
        assert np.isfinite(model.predict_proba(X)).all()
        assert model.n_effective_parameters_ < N_ROWS * weight + model.n_outputs_ + 1


class TestStarts:
    @every_kind
    def test_the_one_of_largest_evidence_is_kept(self, estimator, X, y):
        model = estimator(4, n_init=4, random_state=0).fit(X, y)
        seeds = np.random.RandomState(0).randint(np.iinfo(np.int32).max, size=4)
        singles = [estimator(4, random_state=seed).fit(X, y) for seed in seeds]
        best = max(singles, key=lambda single: single.log_evidence_)
        assert model.log_evidence_ == best.log_evidence_
        assert_array_equal(outputs(model, X), outputs(best, X))

    @every_kind
    def test_the_same_seed_gives_the_same_bits(self, estimator, X, y):
        ours, theirs = (estimator(5, random_state=7).fit(X, y) for _ in range(2))
        assert_array_equal(outputs(ours, X), outputs(theirs, X))
        assert ours.log_evidence_ == theirs.log_evidence_

    @every_kind
    def test_a_warm_start_goes_on(self, estimator, X, y):
        model = quietly(estimator(5, max_iter=6, warm_start=True, random_state=0), X, y)
        first = model.log_evidence_
        model.set_params(max_iter=1000)
        quietly(model, X, y)
        assert model.n_iter_ == len(model.loss_curve_) > 6
        assert model.t_ == model.n_iter_ * N_ROWS
        # MacKay's rules do not climb the evidence step by step, but they do not lose it
        assert model.log_evidence_ > first - 3
        assert outputs(model, X).shape[0] == N_ROWS

    @every_kind
    @pytest.mark.parametrize("solver", ["lbfgs", "adam"])
    def test_another_solver_goes_on_under_the_evidence(self, estimator, X, y, solver):
        model = quietly(estimator(5, warm_start=True, random_state=0), X, y)
        quietly(model.set_params(solver=solver, max_iter=3), X, y)
        assert (model.solver_, model.activation_) == (solver, "tanh")
        assert model.alpha_.shape == (X.shape[1] + 2 + (model.n_outputs_ == 1),)
        assert model.n_iter_ > 3
        assert np.isfinite(outputs(model, X)).all()
        quietly(model.set_params(solver="lm"), X, y)
        assert np.isfinite(model.log_evidence_)

    def test_a_short_budget_is_warned_of(self):
        X, y = quantities()
        with pytest.warns(ConvergenceWarning, match="max_iter=2"):
            TwoLayerRegressor(4, max_iter=2, random_state=0).fit(X, y)


class TestTables:
    """Whatever the table, a finite model and no warning."""

    def check(self, model, X, y):
        model.fit(X, y)
        assert np.isfinite(outputs(model, X)).all()
        assert np.isfinite(model.alpha_).all()
        assert np.isfinite(model.log_evidence_)
        assert 0 <= model.n_effective_parameters_ <= n_parameters(model)
        if isinstance(model, TwoLayerClassifier):
            P = model.predict_proba(X)
            assert ((P >= 0) & (P <= 1)).all()
        return model

    @pytest.mark.sampled(3)
    @pytest.mark.parametrize("n_targets", [1, 2])
    @pytest.mark.parametrize("constant", [0.0, 7.0, -3e8, 1e-12])
    def test_a_constant_target(self, n_targets, constant, rng):
        X = rng.randn(30, 3)
        Y = np.full((30, n_targets), constant)
        Y = Y[:, 0] if n_targets == 1 else Y
        model = self.check(TwoLayerRegressor(random_state=0), X, Y)
        assert_allclose(model.predict(X), Y, rtol=1e-3, atol=1e-3)
        assert np.max(model.noise_variance_) < 1e-3 * max(1, constant**2)

    def test_a_constant_target_beside_another(self):
        X, y = quantities()
        Y = np.column_stack([y, np.full(N_ROWS, 7.0)])
        model = self.check(TwoLayerRegressor(random_state=0), X, Y)
        assert_allclose(model.predict(X)[:, 1], 7, rtol=1e-3)
        assert model.noise_variance_[0] == pytest.approx(0.09, rel=0.5)

    @pytest.mark.parametrize("label", [3, "only"])
    def test_a_single_class(self, label, rng):
        X = rng.randn(30, 3)
        model = self.check(TwoLayerClassifier(random_state=0), X, np.full(30, label))
        assert_array_equal(model.predict_proba(X), np.ones((30, 1)))
        assert_array_equal(model.predict(X), np.full(30, label))

    def test_a_label_that_never_varies_among_several(self):
        X, Y = several_labels()
        Y = np.column_stack([Y, np.zeros(len(Y), int), np.ones(len(Y), int)])
        P = self.check(TwoLayerClassifier(random_state=0), X, Y).predict_proba(X)
        assert (P[:, 3] < 0.5).all()
        assert (P[:, 4] > 0.5).all()

    @pytest.mark.sampled(7)
    @every_kind
    @pytest.mark.parametrize("n_rows", [1, 2, 3])
    @pytest.mark.parametrize("skip", ["auto", False])
    def test_hardly_any_rows(self, estimator, X, y, n_rows, skip):
        self.check(estimator(random_state=0, skip=skip), X[:n_rows], y[:n_rows])

    @every_kind
    def test_many_equal_rows(self, estimator, X, y):
        rows = np.repeat([0, 1], 20)
        self.check(estimator(random_state=0), X[rows], y[rows])

    @every_kind
    @pytest.mark.parametrize("skip", ["auto", False, True])
    def test_a_column_of_constants(self, estimator, X, y, skip):
        plain = self.check(estimator(5, skip=skip, random_state=0), X, y)
        X_more = np.column_stack([X, np.full(N_ROWS, 5.0)])
        model = self.check(estimator(5, skip=skip, random_state=0), X_more, y)
        moved = X_more + np.array([0] * X.shape[1] + [100])
        assert_array_equal(model.predict(moved), model.predict(X_more))
        assert model.log_evidence_ == pytest.approx(plain.log_evidence_, abs=15)

    @pytest.mark.sampled(2)
    @every_kind
    def test_more_columns_than_rows(self, estimator, X, y, rng):
        self.check(estimator(random_state=0), rng.randn(20, 25), y[:20])

    @every_kind
    def test_columns_that_are_there_twice(self, estimator, X, y):
        model = self.check(estimator(5, random_state=0), np.column_stack([X, X, X[:, :1]]), y)
        assert model.log_evidence_ > -np.inf

    @every_kind
    def test_columns_without_entries(self, estimator, X, y):
        self.check(estimator(5, random_state=0), sparse.csr_array(X.shape), y)

    def test_classes_that_are_far_apart(self, rng):
        X = np.concatenate([rng.randn(50, 2) - 1e3, rng.randn(50, 2) + 1e3])
        y = np.repeat([0, 1], 50)
        assert self.check(TwoLayerClassifier(random_state=0), X, y).score(X, y) == 1

    @pytest.mark.sampled(7)
    @every_kind
    @pytest.mark.parametrize("activation", ["tanh", "relu", "softplus"])
    @pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3, 1e6])
    def test_raw_columns_of_any_size(self, estimator, X, y, activation, scale):
        options = {"activation": activation, "standardize": False, "random_state": 0}
        self.check(estimator(4, **options), scale * X, y)

    @pytest.mark.parametrize("dtype", [np.float32, *slow([np.float64])])
    def test_raw_wine_in_other_units(self, dtype):
        X, y = load_wine(return_X_y=True)
        model = TwoLayerClassifier(activation="relu", standardize=False, random_state=0)
        self.check(model, (1e3 * X).astype(dtype), y)

    def test_variances_beyond_single_precision(self):
        X = np.array([[161.0]], dtype=np.float32)
        options = {"activation": "elu", "standardize": False, "max_iter": 4, "random_state": 0}
        model = quietly(TwoLayerClassifier(3, **options), X, [[0, 0]])
        assert np.isfinite(model.predict_proba(X)).all()

    def test_targets_without_noise(self):
        X, _ = quantities()
        model = self.check(TwoLayerRegressor(random_state=0), X, X[:, 0] - 2 * X[:, 1])
        assert model.noise_variance_ < 1e-4
        assert model.score(X, X[:, 0] - 2 * X[:, 1]) > 0.9999

    def test_targets_of_noise_alone(self, rng):
        X, y = rng.randn(200, 5), rng.randn(200)
        model = self.check(TwoLayerRegressor(random_state=0), X, y)
        assert model.noise_variance_ == pytest.approx(y.var(), rel=0.15)
        assert np.std(model.predict(X)) < 0.5

    @pytest.mark.parametrize(
        ("estimator", "load"),
        [
            (TwoLayerRegressor, load_linnerud),
            *slow(
                [
                    (TwoLayerClassifier, load_breast_cancer),
                    (TwoLayerClassifier, load_iris),
                    (TwoLayerClassifier, load_wine),
                    (TwoLayerRegressor, load_diabetes),
                ]
            ),
        ],
    )
    @pytest.mark.parametrize("seed", [0, *slow([1, 2])])
    def test_the_bundled_ones(self, estimator, load, seed):
        X, y = load(return_X_y=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.check(estimator(random_state=seed), X, y)


class TestProbabilities:
    @every_kind_of_labels
    @pytest.mark.parametrize("moderate", [True, False])
    def test_are_those_of_the_decision_function(self, X, y, moderate):
        model = fitted_once(TwoLayerClassifier(moderate=moderate, random_state=0), X, y)
        Z, P = model.decision_function(X), model.predict_proba(X)
        if y.ndim > 1:
            assert_allclose(P, expit(Z), rtol=1e-9)
            assert_array_equal(model.predict(X), Z > 0)
        elif len(model.classes_) == 2:
            assert_allclose(P, np.column_stack([expit(-Z), expit(Z)]), rtol=1e-9)
            assert_array_equal(model.predict(X), P.argmax(axis=1))
        else:
            assert_allclose(P, softmax(Z, axis=1), rtol=1e-9)
            assert_array_equal(model.predict(X), P.argmax(axis=1))
        assert_allclose(model.predict_log_proba(X), np.log(P), rtol=1e-9, atol=1e-12)

    @every_kind_of_labels
    def test_that_are_not_moderated_are_the_networks(self, X, y):
        model = fitted_once(TwoLayerClassifier(moderate=False, random_state=0), X, y)
        (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
        units = {"tanh": np.tanh, "relu": lambda Z: np.maximum(Z, 0)}
        choices = [member.choices for member in engine.restore(model._state).members]
        ends = np.cumsum([each.hidden_size for each in choices])
        Z1 = np.split(X @ W1 + b1, ends[:-1], axis=1)
        A1 = [units[each.activation](Z) for each, Z in zip(choices, Z1, strict=True)]
        raw = np.concatenate(A1, axis=1) @ W2 + b2
        if model.skip_coef_ is not None:
            raw += X @ model.skip_coef_
        assert_allclose(model.decision_function(X), np.squeeze(raw), rtol=1e-9, atol=1e-12)

    @every_kind_of_labels
    def test_may_be_moderated_after_the_fit(self, X, y):
        moderated = fitted_once(TwoLayerClassifier(random_state=0), X, y)
        raw = fitted_once(TwoLayerClassifier(moderate=False, random_state=0), X, y)
        first = moderated.predict_proba(X)
        changes = (
            moderated._predictive["variance_fraction"] > 0
            or moderated._predictive["temperature"] != 1
        )
        moderated.moderate, raw.moderate = False, True
        assert_array_equal(raw.predict_proba(X), first)
        assert np.allclose(moderated.predict_proba(X), first, rtol=1e-9) != changes

    @every_kind_of_labels
    def test_have_nothing_to_moderate_without_a_posterior(self, X, y):
        model = TwoLayerClassifier(store_posterior=False, random_state=0).fit(X, y)
        raw = fitted_once(TwoLayerClassifier(moderate=False, random_state=0), X, y)
        assert_array_equal(model.predict_proba(X), raw.predict_proba(X))

    @every_kind_of_labels
    def test_are_moderated_as_the_posterior_says(self, X, y):
        """By the formula, from the parts that the fit leaves behind."""
        model = TwoLayerClassifier(4, random_state=0).fit(X, y)
        model._predictive = model._predictive | {"temperature": 0.7, "variance_fraction": 1.0}
        Z = model.decision_function(X).reshape(N_ROWS, -1)
        state = engine.restore(model._state)
        blocks = engine.outputs_and_covariance(
            state, engine.LOSSES[model._loss], engine.Predictive(**model._predictive), X
        )
        ((_, raw, covariance),) = blocks  # few rows are one block
        if y.ndim == 1 and len(model.classes_) == 3:
            of_pair = [
                [
                    covariance[:, k, k] + covariance[:, m, m] - 2 * covariance[:, k, m]
                    for m in range(3)
                ]
                for k in range(3)
            ]
            spread = np.sqrt(1 + np.pi / 8 * 0.49 * np.transpose(of_pair, (2, 0, 1)))
            pairs = 0.7 * (raw[:, :, None] - raw[:, None, :]) / spread
            assert_allclose(Z, -np.log(np.exp(-pairs).sum(axis=2)), rtol=1e-6, atol=1e-6)
        else:
            variance = np.einsum("ikk->ik", covariance)
            expected = 0.7 * raw / np.sqrt(1 + np.pi / 8 * 0.49 * variance)
            assert_allclose(Z, expected, rtol=1e-9)

    @every_kind_of_labels
    def test_are_nearer_to_chance_far_from_the_rows(self, X, y):
        model = fitted_once(TwoLayerClassifier(random_state=0), X, y)
        model._predictive = model._predictive | {"temperature": 1.0, "variance_fraction": 1.0}
        far = 50 * X
        moderated = model.predict_proba(far)
        model.moderate = False
        raw = model.predict_proba(far)
        chance = 0.5 if y.ndim > 1 else 1 / len(model.classes_)
        assert np.abs(moderated - chance).mean() < np.abs(raw - chance).mean()

    @pytest.mark.parametrize("n_classes", [2, 3])
    def test_are_no_worse_than_the_raw_ones(self, n_classes):
        X, y = make_classification(
            1100, 8, n_informative=4, n_classes=n_classes, flip_y=0.2, random_state=1
        )
        model = TwoLayerClassifier(random_state=0).fit(X[:100], y[:100])

        def log_loss():
            return -model.predict_log_proba(X[100:])[np.arange(1000), y[100:]].mean()

        moderated = log_loss()
        model.moderate = False
        assert moderated < log_loss() + 0.01

    @every_kind_of_labels
    def test_follow_class_weights_as_weights_of_rows(self, X, y):
        if y.ndim > 1:
            class_weight = [{0: 1, 1: 3}, {0: 2, 1: 1}, {}]
            worth = np.where(y[:, 0] == 1, 3, 1) * np.where(y[:, 1] == 1, 1, 2)
        else:
            class_weight, worth = {0: 3}, np.where(y == 0, 3, 1)
        by_class = TwoLayerClassifier(5, class_weight=class_weight, random_state=0).fit(X, y)
        by_row = TwoLayerClassifier(5, random_state=0).fit(X, y, sample_weight=worth)
        assert_allclose(by_class.predict_proba(X), by_row.predict_proba(X), rtol=1e-9)
        assert by_class.log_evidence_ == pytest.approx(by_row.log_evidence_, rel=1e-9)
        both = TwoLayerClassifier(5, class_weight=class_weight, random_state=0)
        both.fit(X, y, sample_weight=np.full(N_ROWS, 2.0))
        twice = TwoLayerClassifier(5, random_state=0).fit(X, y, sample_weight=2 * worth)
        assert_allclose(both.predict_proba(X), twice.predict_proba(X), rtol=1e-9)


class TestCompany:
    """What scikit-learn and Python do with a fitted estimator."""

    @every_kind
    def test_pickle_and_joblib(self, estimator, X, y, tmp_path):
        model = fitted_once(estimator(5, random_state=0), X, y)
        joblib.dump(model, tmp_path / "model.joblib")
        copies = [
            pickle.loads(pickle.dumps(model)),
            joblib.load(tmp_path / "model.joblib"),
            joblib.load(tmp_path / "model.joblib", mmap_mode="r"),
        ]
        for copy in copies:
            assert_array_equal(outputs(copy, X), outputs(model, X))
            assert copy.log_evidence_ == model.log_evidence_
            if estimator is TwoLayerRegressor:
                assert_array_equal(copy.noise_variance_, model.noise_variance_)

    @every_kind
    def test_a_clone_has_found_nothing(self, estimator, X, y):
        model = fitted_once(estimator(5, random_state=0), X, y)
        copy = clone(model)
        assert not hasattr(copy, "alpha_")
        assert copy.alpha == "auto"
        assert_array_equal(outputs(copy.fit(X, y), X), outputs(model, X))

    @pytest.mark.sampled(3)
    @every_kind
    def test_a_search_for_the_number_of_units(self, estimator, X, y):
        search = GridSearchCV(estimator(random_state=0), {"hidden_size": [2, "auto"]}, cv=3)
        search.fit(X, y)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        assert search.best_estimator_.log_evidence_ is not None

    @every_kind
    def test_a_pipeline(self, estimator, X, y):
        pipeline = make_pipeline(StandardScaler(), estimator(5, random_state=0)).fit(X, y)
        plain = fitted_once(estimator(5, random_state=0), X, y)
        if estimator is TwoLayerRegressor:
            found = np.stack(pipeline.predict(X, return_std=True), axis=-1)
        else:
            found = pipeline.decision_function(X)
        assert_allclose(found, outputs(plain, X), rtol=1e-3, atol=1e-3)
