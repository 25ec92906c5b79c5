"""Error bars that are not there are explained by what was true when the network was fitted."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import training
from sklearn_twolayer import TwoLayerRegressor, engine
from sklearn_twolayer.engine.plan import why_no_evidence

RNG = np.random.RandomState(0)
X = RNG.randn(40, 4)
y = np.sin(X[:, 0]) + 0.1 * RNG.randn(40)


def quietly(call, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return call(*arguments, **options)


def message_of(model):
    with pytest.raises(ValueError, match=r"^return_std=True needs the posterior") as error:
        model.predict(X, return_std=True)
    return str(error.value).partition("there is none: ")[2]


CAUSES = {
    "alpha": ({"alpha": 0.5}, {}, "the fit was given alpha=0.5"),
    "solver": ({"solver": "sgd"}, {}, "solver='sgd'"),
    "early_stopping": ({"early_stopping": True, "validation_fraction": 0.5}, {}, "early_stopping"),
    "X_val": ({}, {"X_val": X, "y_val": y}, "validation rows (X_val"),
    "posterior": ({"store_posterior": False}, {}, "store_posterior=False"),
    "parameters": ({"solver": "lm", "hidden_size": 501}, {}, "3011 parameters are more than 3000"),
    "cost": ({"hidden_size": 200}, {}, "40 rows and P = 1205 parameters"),
}


@pytest.mark.parametrize(("options", "held_out", "expected"), CAUSES.values(), ids=CAUSES)
def test_the_true_cause_is_named_whatever_is_set_later(options, held_out, expected):
    model = TwoLayerRegressor(max_iter=2, random_state=0).set_params(**options)
    quietly(model.fit, X, y, **held_out)
    assert expected in message_of(model)
    model.set_params(**TwoLayerRegressor().get_params())
    assert expected in message_of(model)
    assert model.fit(X, y).predict(X, return_std=True)[1].shape == y.shape


def test_a_stream_is_named_whether_it_begins_or_goes_on():
    model = TwoLayerRegressor(random_state=0).partial_fit(X, y)
    assert message_of(model) == "partial_fit keeps none"
    model.fit(X, y).partial_fit(X, y)
    assert message_of(model) == "partial_fit keeps none"


def test_too_few_rows_to_set_aside_leave_the_error_bars():
    model = TwoLayerRegressor(early_stopping=True, random_state=0).fit(X, y)
    assert model.predict(X, return_std=True)[1].shape == y.shape


def test_a_scorer_that_asks_during_the_fit_is_told():
    def scoring(estimator, X, y):
        estimator.predict(X, return_std=True)

    model = TwoLayerRegressor(scoring=scoring, random_state=0)
    with pytest.raises(ValueError, match=r"return_std=True.*the fit has not ended yet"):
        model.fit(X, y, X_val=X, y_val=y)


SIZES = {
    "rows": ((10_001, 4, 1), {}, "10001 rows are more than 10000"),
    "rows for lm": ((10_001, 4, 1), {"solver": "lm"}, ""),
    "cost": ((9_000, 40, 1), {}, "9000 rows and P = 881 parameters"),
    "parameters": ((50, 400, 1), {}, "4421 parameters are more than 3000"),
    "few of all": ((50, 4, 1), {}, ""),
}


@pytest.mark.parametrize(("sizes", "options", "expected"), SIZES.values(), ids=SIZES)
def test_sizes_are_told_with_their_limit(sizes, options, expected):
    settings = engine.Settings(**options)
    reason = why_no_evidence(settings, *sizes)
    assert reason.startswith(expected) and bool(reason) == bool(expected)
    n_rows, n_features, n_outputs = sizes
    X = np.arange(n_rows * n_features, dtype=float).reshape(n_rows, n_features)
    Y = np.zeros((n_rows, n_outputs))
    task = training.task(X, Y, None, n_outputs, "squared_error", settings)
    assert (engine.make_plan(task).alpha_by == "evidence") == (reason == "")
