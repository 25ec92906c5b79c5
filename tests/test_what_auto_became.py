"""Fitted attributes that say what was chosen, and keep saying it."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris

from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = IGNORE_CONVERGENCE

NAMES = ["solver_", "activation_", "hidden_size_", "skip_", "n_members_", "dtype_"]
CHOSEN = {
    "evidence": ({"encoding": "linear"}, ["lm", "tanh", 10, True, 3, "float64"]),
    "one network": ({"n_members": 1}, ["lm", "tanh", 10, True, 1, "float64"]),
    "alpha given": ({"alpha": 1.0}, ["lbfgs", "relu", 100, False, 1, "float64"]),
    "lm": ({"solver": "lm", "alpha": 1.0}, ["lm", "tanh", 10, False, 1, "float64"]),
    "adam": ({"solver": "adam"}, ["adam", "tanh", 100, False, 1, "float64"]),
    "as asked": (
        {"hidden_size": 4, "activation": "gelu", "skip": True, "dtype": "float32", "solver": "sgd"},
        ["sgd", "gelu", 4, True, 1, "float32"],
    ),
}


def told(model):
    return [getattr(model, name) for name in NAMES]


@pytest.mark.parametrize(("options", "expected"), CHOSEN.values(), ids=CHOSEN)
def test_what_was_chosen_is_told(options, expected):
    X, y = load_diabetes(return_X_y=True)
    model = TwoLayerRegressor(max_iter=3, random_state=0, **options).fit(X, y)
    assert told(model) == expected
    n_hidden = model.hidden_size_ * model.n_members_
    assert model.coefs_[0].shape == (X.shape[1], n_hidden)
    assert (model.skip_coef_ is not None) == model.skip_
    before = model.predict(X)
    model.set_params(activation="elu", hidden_size=7, skip=not model.skip_, solver="rmsprop")
    assert told(model) == expected
    np.testing.assert_array_equal(model.predict(X), before)


def test_single_precision_is_told():
    X, y = load_diabetes(return_X_y=True)
    assert TwoLayerRegressor(3, max_iter=2).fit(X.astype(np.float32), y).dtype_ == "float32"


def test_several_classes_have_no_skip_path():
    assert not TwoLayerClassifier(random_state=0).fit(*load_iris(return_X_y=True)).skip_


def test_streams_and_warm_starts_tell_it_too():
    X, y = load_diabetes(return_X_y=True)
    stream = TwoLayerRegressor(5, random_state=0).partial_fit(X, y).partial_fit(X, y)
    assert told(stream) == ["adam", "tanh", 5, False, 1, "float64"]
    warm = TwoLayerRegressor(4, n_members=2, warm_start=True, random_state=0).fit(X, y)
    assert told(warm.fit(X, y)) == ["lm", "tanh", 4, True, 2, "float64"]
