"""Random calls, good and bad: an error that says why and changes nothing, or a finite answer."""

import io
import pickle
import warnings
from contextlib import contextmanager, redirect_stdout
from functools import partial

import numpy as np
import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, UndefinedMetricWarning

from fuzz_data import (
    KINDS,
    SCORED,
    VALUES,
    X_SMALL,
    Y_SMALL,
    any_classes,
    any_rows,
    any_settings,
    any_targets,
    any_weights,
    is_accepted,
    one_of,
    row_counts,
)
from fuzz_frames import (
    any_frames,
    check_gradients,
    libraries_of_frames,
    schemas,
    sensible_kinds,
    settings_of_encoding,
    with_odd,
)
from sklearn_twolayer._constraints import CONSTRAINTS
from sklearn_twolayer.engine import SOLVERS
from strategies import CLASS_WEIGHTS, check_encoding, check_finite, examples, small

# scikit-learn's own remarks on names that come and go, on labels, and on metrics of very few rows
EXPECTED_WARNINGS = [
    {"category": ConvergenceWarning},
    {"category": DataConversionWarning, "message": "A column-vector y was passed"},
    {"category": UserWarning, "message": "X (has|does not have valid) feature names"},
    {"category": UserWarning, "message": "The number of unique classes is greater than 50%"},
    {"category": UndefinedMetricWarning},
]


@contextmanager
def quiet():
    """Any other warning is an error, and nothing is printed."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("error")
        for expected in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", **expected)
        yield


def state(estimator):
    """Its attributes in depth, for comparison."""
    return {name: pickle.dumps(value) for name, value in vars(estimator).items()}


class Refused(Exception):
    """The call was answered by an error of a kind that may be."""


def attempt(estimator, call):
    """What the call returns; errors must be of the right kind, say something, change nothing."""
    before = state(estimator)
    try:
        with quiet():
            return call()
    except (ValueError, TypeError) as error:
        assert str(error).strip()
        assert state(estimator) == before
        raise Refused(str(error)) from error


PARAMETERS = [
    pytest.param(estimator, name, id=f"{estimator.__name__}-{name}")
    for estimator in Y_SMALL
    for name in CONSTRAINTS
    if name in estimator().get_params()
]


def surroundings(estimator, name, solver):
    """Settings that give one parameter something to do, and no fit too much."""
    settings = {"hidden_size": 2, "max_iter": 2, "solver": solver}
    if solver not in ("auto", "lm"):
        settings["alpha"] = 1.0
    if name == "max_iter":
        settings["tol"] = 1e30  # patience ends the fit
    if name == "n_knots":
        settings["encoding"] = "piecewise_linear"
    y = Y_SMALL[estimator]
    return settings, {"X_val": X_SMALL, "y_val": y} if name == "scoring" else {}


def check_parameter(estimator, name, data):
    solver = data.draw(st.sampled_from(["auto", *SOLVERS]))
    settings, validation = surroundings(estimator, name, solver)
    value = data.draw(st.sampled_from(VALUES[name]))
    model = small(estimator, **{**settings, name: value})
    try:
        attempt(model, lambda: model.fit(X_SMALL, Y_SMALL[estimator], **validation))
    except Refused as refused:
        assert name in str(refused)
    else:
        assert is_accepted(name, value)
        with quiet():
            check_finite(model, X_SMALL)


every_parameter = pytest.mark.parametrize(("estimator", "name"), PARAMETERS)


@every_parameter
@given(data=st.data())
@examples(30)
def test_any_value_of_a_parameter_is_named_or_fine(estimator, name, data):
    check_parameter(estimator, name, data)


@pytest.mark.slow
@every_parameter
@given(data=st.data())
@examples(600)
def test_any_value_of_a_parameter_is_named_or_fine_at_length(estimator, name, data):
    check_parameter(estimator, name, data)


METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]
METHODS += ["input_gradients", "hidden_features", "gradient_importances"]


class Calls(RuleBasedStateMachine):
    """One estimator and whatever may be asked of it."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.estimator = kind, KINDS[kind][0]
        self.model = small(self.estimator, hidden_size=2, max_iter=2)

    def rows(self, n_rows):
        """Any X that may be drawn."""
        return any_rows(n_rows)

    def rows_to_score(self):
        return X_SMALL

    @initialize(data=st.data())
    def choose(self, data):
        chosen = data.draw(st.lists(any_settings(self.estimator, accepted=True), max_size=6))
        if self.kind in CLASS_WEIGHTS and data.draw(st.booleans()):
            chosen.append(("class_weight", data.draw(st.sampled_from(CLASS_WEIGHTS[self.kind]))))
        self.model.set_params(**dict(chosen))

    @rule(data=st.data())
    def set_something_good(self, data):
        name, value = data.draw(any_settings(self.estimator, accepted=True))
        self.model.set_params(**{name: value})

    @rule(data=st.data())
    def set_something_for_one_fit(self, data):
        before = self.model.get_params()
        name, value = data.draw(any_settings(self.estimator, accepted=False))
        self.model.set_params(**{name: value})
        self.train(lambda: self.model.fit(X_SMALL, SCORED[self.kind]), X_SMALL)
        self.model.set_params(**before)

    @rule(data=st.data())
    def fit(self, data):
        n_rows = data.draw(row_counts)
        X, y = data.draw(self.rows(n_rows)), data.draw(any_targets(self.kind, n_rows))
        options = {"sample_weight": data.draw(any_weights(n_rows))}
        if data.draw(one_of([False, False, True])):
            n_val = data.draw(row_counts)
            options["X_val"] = data.draw(one_of([None, self.rows(n_val), self.rows(n_val)]))
            options["y_val"] = data.draw(any_targets(self.kind, n_val))
            options["sample_weight_val"] = data.draw(any_weights(n_val))
        self.train(lambda: self.model.fit(X, y, **options), X)

    @rule(data=st.data())
    def partial_fit(self, data):
        if not hasattr(self.model, "partial_fit"):
            assert self.model.solver in ("lbfgs", "lm")
            return
        n_rows = data.draw(row_counts)
        X, y = data.draw(self.rows(n_rows)), data.draw(any_targets(self.kind, n_rows))
        options = {"sample_weight": data.draw(any_weights(n_rows))}
        if is_classifier(self.model):
            options["classes"] = data.draw(any_classes(self.kind))
        self.train(lambda: self.model.partial_fit(X, y, **options), X)

    def train(self, call, X):
        try:
            result = attempt(self.model, call)
        except Refused:
            return
        assert result is self.model
        settings = self.model.get_params()
        checked = CONSTRAINTS.keys() & settings.keys()
        assert [name for name in checked if not is_accepted(name, settings[name])] == []
        self.check_fitted(X)

    def check_fitted(self, X):
        with quiet():
            check_finite(self.model, X)
            check_encoding(self.model)

    @rule(data=st.data(), method=st.sampled_from(METHODS))
    def look(self, data, method):
        if not hasattr(self.model, method):
            return
        n_rows = data.draw(row_counts)
        X = data.draw(self.rows(n_rows))
        options = {}
        if method == "gradient_importances":
            options["sample_weight"] = data.draw(any_weights(n_rows))
        elif method == "predict" and not is_classifier(self.model):
            options["return_std"] = data.draw(st.booleans())
        try:
            result = attempt(self.model, lambda: getattr(self.model, method)(X, **options))
        except Refused:
            return
        if method == "input_gradients":
            check_gradients(self.model, X, result)
        else:
            self.check_answer(method, result, X)

    def check_answer(self, method, result, X):
        for part in result if isinstance(result, tuple) else (result,):
            assert part.dtype.kind in "UO" or np.isfinite(part).all()
        if method == "predict_proba":
            assert ((result >= 0) & (result <= 1)).all()
            with quiet():
                is_multilabel = self.model.predict(X).ndim == 2  # odd targets may have been, too
            if not is_multilabel:
                np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-5)
        if method == "gradient_importances":
            assert (result >= 0).all()
            np.testing.assert_allclose(result.sum(), bool(result.any()), rtol=1e-12)

    @rule()
    def score(self):
        X, y = self.rows_to_score(), SCORED[self.kind]
        try:
            predicted = attempt(self.model, lambda: self.model.predict(X))
            if not is_classifier(self.model) and float(np.abs(predicted).max()) > 1e100:
                return  # scikit-learn's R2 squares without looking
            rating = attempt(self.model, lambda: self.model.score(X, y))
        except Refused:
            return
        assert np.isfinite(rating)

    @rule()
    def copy(self):
        self.model = pickle.loads(pickle.dumps(self.model))

    @rule()
    def start_again(self):
        self.model = clone(self.model)


class CallsWithFrames(Calls):
    """The same with frames, whose columns are now and then not those of training."""

    @initialize(data=st.data())
    def choose(self, data):
        self.schema = data.draw(schemas())
        self.model.set_params(**self.settings(data))
        n_rows = data.draw(st.sampled_from([25, 150]))  # of which the latter have many levels
        X, y = self.schema.frame(n_rows, 0), data.draw(KINDS[self.kind][1](n_rows))
        self.train(lambda: self.model.fit(X, y), X)

    def settings(self, data):
        chosen = dict(data.draw(st.lists(any_settings(self.estimator, accepted=True), max_size=3)))
        chosen.update(data.draw(settings_of_encoding(self.schema)))
        return {name: value for name, value in chosen.items() if hasattr(self.model, name)}

    @rule(data=st.data())
    def set_something_good(self, data):
        self.model.set_params(**self.settings(data))

    @rule(data=st.data())
    def set_something_for_one_fit(self, data):
        before = self.model.get_params()
        self.model.set_params(**self.settings(data))
        self.fit(data)
        self.model.set_params(**before)

    @rule(data=st.data())
    def start_again(self, data):
        self.model = clone(self.model)
        self.choose(data)

    def rows(self, n_rows):
        return any_frames(self.schema, n_rows)

    def rows_to_score(self):
        return self.schema.frame(len(X_SMALL), 0)


ODD_CALLS = {
    "fit": lambda model, X, y: model.fit(X, y),
    "X_val": lambda model, X, y: model.fit(model.X_, y, X_val=X, y_val=y),
    "partial_fit": lambda model, X, y: model.partial_fit(X, y),
    "predict": lambda model, X, y: model.predict(X),
    "input_gradients": lambda model, X, y: model.input_gradients(X),
}


def check_odd_column(estimator, data):
    schema = data.draw(schemas(kinds=sensible_kinds, libraries=libraries_of_frames))
    column = data.draw(st.sampled_from(schema.columns))
    X, y = schema.frame(12, 0), Y_SMALL[estimator]
    odd = with_odd(data.draw, schema, column).frame(12, 1)
    encoding = data.draw(st.sampled_from(["linear", "piecewise_linear"]))
    options = {"hidden_size": 2, "max_iter": 2, "solver": "adam", "alpha": 1.0}
    model = small(estimator, encoding=encoding, **options)
    try:
        attempt(model, lambda: model.fit(X, y))
    except Refused as refused:  # of bools among missing values
        assert str(refused).startswith("column ")
        return
    model.X_ = X
    call = data.draw(st.sampled_from(sorted(ODD_CALLS)))
    try:
        attempt(model, lambda: ODD_CALLS[call](model, odd, y))
    except Refused as refused:
        name = "X_val" if call == "X_val" else "X"
        assert f"column {column.name!r} of {name}: " in str(refused)


every_estimator = pytest.mark.parametrize("estimator", Y_SMALL)


@every_estimator
@given(data=st.data())
@examples(50)
def test_a_column_that_cannot_be_is_named(estimator, data):
    check_odd_column(estimator, data)


@pytest.mark.slow
@every_estimator
@given(data=st.data())
@examples(3000)
def test_a_column_that_cannot_be_is_named_at_length(estimator, data):
    check_odd_column(estimator, data)


every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_any_calls_in_a_row(kind):
    # without shrinking, which may take minutes: the run at length does that
    options = {"stateful_step_count": 10, "phases": [Phase.generate]}
    run_state_machine_as_test(partial(Calls, kind), settings=examples(20, **options))


@pytest.mark.slow
@every_kind
def test_any_calls_in_a_row_at_length(kind):
    run_state_machine_as_test(partial(Calls, kind), settings=examples(600, stateful_step_count=20))


@every_kind
def test_any_calls_with_frames(kind):
    options = {"stateful_step_count": 8, "phases": [Phase.generate]}
    run_state_machine_as_test(partial(CallsWithFrames, kind), settings=examples(10, **options))


@pytest.mark.slow
@every_kind
def test_any_calls_with_frames_at_length(kind):
    options = {"stateful_step_count": 20}
    run_state_machine_as_test(partial(CallsWithFrames, kind), settings=examples(600, **options))
