"""Averages of several networks that go on: each network as itself, as often as one likes."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_classification, make_friedman1
from sklearn.exceptions import ConvergenceWarning

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, engine

N_ROWS = 80
TABLES = {
    TwoLayerRegressor: make_friedman1(N_ROWS, 5, noise=0.5, random_state=0),
    TwoLayerClassifier: make_classification(N_ROWS, 5, flip_y=0.2, random_state=0),
}
either_estimator = pytest.mark.parametrize("estimator", TABLES)


def fitted(estimator, n_fits=1, n_members=3, **options):
    """Of one kind all networks have some weight; see below for several kinds."""
    options = {"solver": "lm", "warm_start": True, "random_state": 0, **options}
    model = estimator(4, n_members=n_members, **options)
    return again(model, n_fits)


def again(model, n_fits=1, **changes):
    model.set_params(**changes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(n_fits):
            model.fit(*TABLES[type(model)])
    return model


def raw_outputs(model):
    X, _ = TABLES[type(model)]
    return np.reshape(engine.raw_prediction(*model._network_on(X)), (N_ROWS, -1))


@either_estimator
@pytest.mark.parametrize("posterior", [True, False])
def test_go_on_any_number_of_times(estimator, posterior):
    model = fitted(estimator, store_posterior=posterior)
    first, before = model.score(*TABLES[estimator]), model.log_evidence_
    for _ in range(3):
        again(model)
        assert model.solver_ == "lm"
        assert model.coefs_[0].shape == (5, 3 * 4)
        assert (model._predictive is not None) == posterior
        assert len(engine.restore(model._state).members) == 3
        assert model.score(*TABLES[estimator]) > first - 0.02
        assert model.log_evidence_ > before - 3


def kinds_of(model):
    """Solver, activation, precision and prior of each network."""
    members = engine.restore(model._state).members
    return [(m.solver, m.choices.activation, m.theta.dtype.name, m.alpha) for m in members]


KINDS = {
    TwoLayerRegressor: [("lm", "tanh", "float64", None), ("adam", "tanh", "float32", None)],
    TwoLayerClassifier: [("lm", "tanh", "float64", None), ("lbfgs", "relu", "float64", 1.0)],
}


@either_estimator
def test_of_several_kinds_go_on_as_themselves(estimator):
    # from so many rows on a regressor has a piecewise-linear network among them
    X, y = make_friedman1(150, 5, noise=0.5, random_state=0)
    y = y if estimator is TwoLayerRegressor else np.digitize(y, [14])
    model = estimator(4, n_members=2, max_iter=10, warm_start=True, random_state=0)
    n_epochs = []
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
        assert kinds_of(model) == KINDS[estimator]
        n_epochs.append([len(m.loss_curve) for m in engine.restore(model._state).members])
    assert (np.array(n_epochs[1]) > n_epochs[0]).all()
    assert model.score(X, y) > 0.8


def test_that_got_no_weight_are_no_reason_to_refuse():
    """Of three networks one is left out; whoever asks for three again goes on."""
    X, y = TABLES[TwoLayerRegressor]
    model = again(TwoLayerRegressor(2, n_members=3, warm_start=True, random_state=0))
    assert model.n_members_ < 3
    assert again(model).coefs_[0].shape == (5, 2 * model.n_members_)
    with pytest.raises(ValueError, match=r"n_members=4 differs"):
        model.set_params(n_members=4).fit(X, y)


@either_estimator
def test_are_as_many_where_no_posterior_is_kept(estimator):
    kept, slim = (
        again(estimator(4, n_members=2, store_posterior=store, warm_start=True, random_state=0))
        for store in (True, False)
    )
    for _ in range(2):
        assert kinds_of(slim) == kinds_of(kept)
        assert_array_equal(raw_outputs(slim), raw_outputs(kept))
        assert slim._predictive is None
        again(slim), again(kept)


def test_many_members_do_not_turn_to_another_solver():
    X, y = make_friedman1(120, 20, noise=0.5, random_state=0)
    model = TwoLayerRegressor(10, n_members=15, max_iter=2, warm_start=True, random_state=0)
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
        assert (model.solver_, model.alpha_.shape) == ("lm", (23,))
    assert model.predict(X, return_std=True)[1].shape == (120,)


@either_estimator
def test_each_goes_on_as_it_would_alone(estimator):
    """The average of three is that of three estimators, each with the draw of one of them."""
    options = {"solver": "lm", "max_iter": 6}
    average = again(fitted(estimator, **options), max_iter=9, alpha=2.0)
    random_state, largest = np.random.RandomState(0), np.iinfo(np.int32).max
    if estimator is TwoLayerClassifier:  # rows are held out first, which tell of the moderation
        random_state.permutation(N_ROWS)
        random_state.randint(largest, size=1)
    seeds = random_state.randint(largest, size=3)
    alone = [fitted(estimator, n_members=1, random_state=int(s), **options) for s in seeds]
    for model in alone:
        again(model, max_iter=9, alpha=2.0)
    weight = engine.restore(average._state).member_weights
    expected = sum(w * raw_outputs(model) for w, model in zip(weight, alone, strict=True))
    assert_allclose(raw_outputs(average), expected, rtol=1e-8, atol=1e-10)


@either_estimator
def test_stay_where_they_are_under_the_precisions_that_were_found(estimator):
    model = fitted(estimator, n_fits=2, solver="lm")
    before = raw_outputs(model)
    again(model, alpha=(given := model.alpha_))
    assert_array_equal(model.alpha_, given)
    assert model.coefs_[0].shape == (5, 3 * 4)
    moved = np.sqrt(np.mean((raw_outputs(model) - before) ** 2))
    assert moved < 0.1 * before.std()


@either_estimator
def test_may_change_solver_and_come_back(estimator):
    model = fitted(estimator)
    start = engine.restore(model._state).member_weights
    again(model, solver="adam", max_iter=3)
    assert {kind[0] for kind in kinds_of(model)} == {"adam"}
    assert model.coefs_[0].shape == (5, 12)
    assert_allclose(engine.restore(model._state).member_weights, start, rtol=1e-14)
    model.partial_fit(*TABLES[estimator])
    assert model.coefs_[0].shape == (5, 12)
    again(model, solver="auto")  # as they are
    assert {kind[0] for kind in kinds_of(model)} == {"adam"}
    again(model, solver="lm", max_iter="auto")
    assert (model.solver_, model.coefs_[0].shape) == ("lm", (5, 12))
    assert np.isfinite(model.log_evidence_)


@either_estimator
def test_new_units_do_not_change_what_they_compute(estimator):
    X, y = TABLES[estimator]
    model = fitted(estimator).set_params(solver="adam", learning_rate_init=1e-300)
    before = raw_outputs(model)
    model.partial_fit(1e3 * X + 50, y)
    assert_allclose(raw_outputs(model), before, rtol=1e-8, atol=1e-8)


@either_estimator
def test_a_pickle_goes_on_as_if_nothing_had_happened(estimator):
    model = fitted(estimator)
    restored = pickle.loads(pickle.dumps(model))
    assert_array_equal(raw_outputs(again(restored)), raw_outputs(again(model)))
    assert plain(model._state)


def plain(value):
    """Whether there is nothing but arrays, numbers, strings, lists and dicts in it."""
    if isinstance(value, dict):
        return all(map(plain, value.values()))
    if isinstance(value, list):
        return all(map(plain, value))
    return value is None or isinstance(value, (np.ndarray, np.generic, int, float, str, bool))


@either_estimator
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_members": 2}, r"n_members=2 differs.* 3: .*warm_start=False"),
        ({"n_members": 1}, r"n_members=1 differs.* 3: "),
        ({"n_members": 5, "alpha": 1.0}, r"n_members=5 differs.* 3: "),
        ({"hidden_size": 12}, r"hidden_size=12 differs.* 4: "),
    ],
)
def test_of_another_number_or_size_are_refused(estimator, changes, message):
    model = fitted(estimator).set_params(**changes)
    before, state = vars(model).copy(), copy.deepcopy(model._state)
    with pytest.raises(ValueError, match=message):
        model.fit(*TABLES[estimator])
    assert all(vars(model)[name] is before[name] for name in before)
    np.testing.assert_equal(model._state, state)


@either_estimator
def test_one_network_does_not_become_several(estimator):
    model = fitted(estimator, n_members=1).set_params(n_members=3)
    with pytest.raises(ValueError, match=r"n_members=3 differs.* 1: "):
        model.fit(*TABLES[estimator])
    assert again(clone(model)).coefs_[0].shape == (5, 12)


@either_estimator
def test_the_number_has_no_say_where_the_evidence_has_none(estimator):
    model = fitted(estimator, n_fits=2, alpha=1.0, max_iter=3)
    assert model.coefs_[0].shape == (5, 4)


@either_estimator
def test_auto_keeps_as_many_as_there_are(estimator):
    model = again(fitted(estimator), n_members="auto", hidden_size="auto")
    assert model.coefs_[0].shape == (5, 12)
    assert again(model, alpha=1.0, n_members=3).coefs_[0].shape == (5, 12)
