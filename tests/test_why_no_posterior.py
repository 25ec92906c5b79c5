"""Error bars that are not there are explained by what was true when the network was fitted."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from kinds import every_solver
from sklearn_twolayer import TwoLayerRegressor
from sklearn_twolayer.engine import plan

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
    "not wanted": ({"store_posterior": False}, "the fit was with store_posterior=False"),
    "too wide": ({"hidden_size": 7, "solver": "lbfgs"}, "there are 7 hidden units, more than 6"),
}


@pytest.mark.parametrize(("options", "expected"), CAUSES.values(), ids=CAUSES)
def test_the_true_cause_is_named_whatever_is_set_later(options, expected, monkeypatch):
    monkeypatch.setattr(plan, "WIDEST", 6)
    model = TwoLayerRegressor(4, max_iter=2, random_state=0).set_params(**options)
    quietly(model.fit, X, y)
    assert message_of(model) == expected
    model.set_params(**TwoLayerRegressor(4, max_iter=2).get_params())
    assert message_of(model) == expected
    assert quietly(model.fit, X, y).predict(X, return_std=True)[1].shape == y.shape


def test_many_outputs_have_no_error_bars(monkeypatch):
    """The evidence takes pairs of them in each row."""
    monkeypatch.setattr(plan, "MOST_OUTPUTS", 2)
    Y = np.column_stack([y, -y, y**2])
    for call in ("fit", "partial_fit"):
        model = TwoLayerRegressor(4, max_iter=2, random_state=0)
        quietly(getattr(model, call), X, Y)
        assert message_of(model) == "there are 3 outputs, more than 2" and model.alpha_ == 1
        two = TwoLayerRegressor(4, max_iter=2, random_state=0)
        quietly(getattr(two, call), X, Y[:, :2])
        assert two.predict(X, return_std=True)[1].shape == (40, 2)


def has_error_bars(model):
    std = model.predict(X, return_std=True)[1]
    return std.shape == y.shape and np.isfinite(std).all() and (std > 0).all()


WAYS = {
    "by the evidence": ({}, {}),
    "given alpha": ({"alpha": 0.5}, {}),
    "early stopping": ({"early_stopping": True, "validation_fraction": 0.5}, {}),
    "too few rows to set aside": ({"early_stopping": True}, {}),
    "X_val": ({}, {"X_val": X, "y_val": y}),
    "X_val and given alpha": ({"alpha": 0.5}, {"X_val": X, "y_val": y}),
}


@every_solver
@pytest.mark.parametrize(("options", "held_out"), WAYS.values(), ids=WAYS)
def test_there_are_error_bars_however_the_network_was_found(options, held_out, solver):
    model = TwoLayerRegressor(4, solver=solver, max_iter=5, random_state=0, **options)
    assert has_error_bars(quietly(model.fit, X, y, **held_out))


@pytest.mark.parametrize("options", [{"solver": "lm", "hidden_size": 501}, {"hidden_size": 200}])
def test_networks_that_are_too_large_for_exact_ones_have_error_bars(options):
    """3,011 parameters are more than a matrix may have, and 1,205 make a step too expensive."""
    model = TwoLayerRegressor(max_iter=2, random_state=0, **options)
    assert has_error_bars(quietly(model.fit, X, y))


@pytest.mark.parametrize("alpha", [0.5, "auto"])
def test_a_stream_has_error_bars_whether_it_begins_or_goes_on(alpha):
    model = TwoLayerRegressor(4, alpha=alpha, random_state=0).partial_fit(X, y)
    assert has_error_bars(model)
    assert has_error_bars(model.fit(X, y).partial_fit(X, y))
    kept = TwoLayerRegressor(4, store_posterior=False, random_state=0).partial_fit(X, y)
    assert message_of(kept) == "the fit was with store_posterior=False"


def test_a_scorer_that_asks_during_the_fit_is_told():
    def scoring(estimator, X, y):
        estimator.predict(X, return_std=True)

    model = TwoLayerRegressor(scoring=scoring, random_state=0)
    with pytest.raises(ValueError, match=r"return_std=True.*the fit has not ended yet"):
        model.fit(X, y, X_val=X, y_val=y)
