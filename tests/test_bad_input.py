"""Bad input is answered by a clear error, and nothing is changed by it."""

from numbers import Real
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from mixed_frames import outputs
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer._constraints import (
    CONSTRAINTS,
    Choice,
    ClassWeight,
    Columns,
    Directions,
    Either,
    Flag,
    FloatType,
    Function,
    Infinity,
    Interval,
    Jobs,
    Loss,
    Precision,
    Quantiles,
)

CLASSIFIER = TwoLayerClassifier(3, random_state=0)
REGRESSOR = TwoLayerRegressor(3, random_state=0)
ESTIMATORS = [CLASSIFIER, REGRESSOR]
NAMES = ["classifier", "regressor"]

N_ROWS = 20
X = np.random.RandomState(0).randn(N_ROWS, 3)
WEIGHTS = np.linspace(1, 2, N_ROWS)
TARGETS = {
    TwoLayerClassifier: np.arange(N_ROWS) % 2,
    TwoLayerRegressor: X @ [1.0, -2.0, 3.0],
}


def target_of(estimator):
    return TARGETS[type(estimator)]


def spoilt(array, value):
    """A copy with `value` in its second place; the array's kind makes room for it."""
    array = np.array(array, dtype=np.result_type(array, np.asarray(value)))
    array.flat[1] = value
    return array


def fit_rows(rows):
    return lambda estimator: estimator.fit(rows, target_of(estimator))


def fit_target(y):
    return lambda estimator: estimator.fit(X, y)


def fit_spoilt_target(value):
    return lambda estimator: estimator.fit(X, spoilt(target_of(estimator), value))


def fit_weights(weights):
    return lambda estimator: estimator.fit(X, target_of(estimator), sample_weight=weights)


class Case(NamedTuple):
    what: str
    call: object
    error: type[Exception]
    message: str

    def check(self, estimator):
        with pytest.raises(self.error, match=self.message):
            self.call(estimator)


WITH_TEXT = spoilt(X.astype(object), "a lot")
INFINITE = r"column 1 of X: must be finite or missing \(NaN\), got infinity"

FOR_BOTH = [
    Case("infinity in X", fit_rows(spoilt(X, np.inf)), ValueError, INFINITE),
    Case("-infinity in X", fit_rows(spoilt(X, -np.inf)), ValueError, INFINITE),
    Case(
        "infinity in X of which the rest is missing",
        fit_rows(spoilt(np.full_like(X, np.nan), np.inf)),
        ValueError,
        INFINITE,
    ),
    Case(
        "infinity in X in float32",
        fit_rows(spoilt(X, np.inf).astype(np.float32)),
        ValueError,
        INFINITE,
    ),
    Case(
        "NaN in sparse X",
        fit_rows(sparse.csr_matrix(spoilt(X, np.nan))),
        ValueError,
        r"Input X contains NaN",
    ),
    Case(
        "infinity in sparse X",
        fit_rows(sparse.csr_matrix(spoilt(X, np.inf))),
        ValueError,
        r"Input X contains infinity",
    ),
    Case("strings in X", fit_rows(WITH_TEXT), ValueError, r"could not convert string to float"),
    Case(
        "a column of dates in a frame",
        fit_rows(pd.DataFrame({"a": X[:, 0], "b": pd.date_range("2020", periods=N_ROWS)})),
        TypeError,
        r"column 'b' of X: dates and times are no numbers.*DatetimeEncoder, got datetime64",
    ),
    Case(
        "infinity in a frame with a category",
        fit_rows(pd.DataFrame({"a": spoilt(X[:, 0], np.inf), "b": ["text"] * N_ROWS})),
        ValueError,
        r"column 'a' of X: must be finite or missing \(NaN\), got infinity",
    ),
    Case(
        "a column of strings in a frame where no category is asked for",
        lambda estimator: (
            clone(estimator)
            .set_params(categorical_features=None)
            .fit(pd.DataFrame({"a": X[:, 0], "b": ["text"] * N_ROWS}), target_of(estimator))
        ),
        ValueError,
        r"column 'b' of X: text is no number; name the column in categorical_features",
    ),
    Case(
        "an integer beyond all floats in X",
        fit_rows(spoilt(X.astype(object), 10**400)),
        ValueError,
        r"X must hold numbers within the range of float64",
    ),
    Case("complex X", fit_rows(X + 1j), ValueError, r"Complex data not supported"),
    Case("X of one dimension", fit_rows(X[:, 0]), ValueError, r"Expected 2D array, got 1D array"),
    Case("X of three dimensions", fit_rows(X[:, :, None]), ValueError, r"3.*expected <= ?2|dim 3"),
    Case("X without rows", fit_rows(X[:0]), ValueError, r"0 sample"),
    Case("X without columns", fit_rows(X[:, :0]), ValueError, r"0 feature"),
    Case("more rows than targets", fit_rows(X[:-1]), ValueError, r"inconsistent numbers of sample"),
    Case("no X", fit_rows(None), ValueError, r"Expected 2D array, got scalar array"),
    Case("no y", fit_target(None), ValueError, r"requires y to be passed"),
    Case("NaN in y", fit_spoilt_target(np.nan), ValueError, r"Input y contains NaN"),
    Case("infinity in y", fit_spoilt_target(np.inf), ValueError, r"Input y contains infinity"),
    Case("complex y", fit_target(np.arange(N_ROWS) * 1j), ValueError, r"Complex data not supp"),
    Case("y of three dimensions", fit_target(np.ones((N_ROWS, 2, 2))), ValueError, r"3.*<= ?2|dim"),
    Case(
        "NaN in weights",
        fit_weights(spoilt(WEIGHTS, np.nan)),
        ValueError,
        r"Input sample_weight contains NaN",
    ),
    Case(
        "infinity in weights",
        fit_weights(spoilt(WEIGHTS, np.inf)),
        ValueError,
        r"Input sample_weight contains infinity",
    ),
    Case(
        "weights with an infinite sum",
        fit_weights(np.full(N_ROWS, 1e308)),
        ValueError,
        r"sample_weight must have a finite sum",
    ),
    Case(
        "an integer beyond all floats among weights",
        fit_weights([10**400] * N_ROWS),
        ValueError,
        r"sample_weight must hold numbers within the range of float64",
    ),
    Case(
        "weights with a sum below all normal floats",
        fit_weights(np.full(N_ROWS, 5e-324)),
        ValueError,
        r"sample_weight must have a sum of at least 2e-308, got 1e-322",
    ),
    Case(
        "a negative weight",
        fit_weights(spoilt(WEIGHTS, -1.5)),
        ValueError,
        r"sample_weight must not be negative, got -1\.5",
    ),
    Case(
        "all weights zero",
        fit_weights(np.zeros(N_ROWS)),
        ValueError,
        r"sample_weight must not be zero for all rows",
    ),
    Case(
        "too few weights",
        fit_weights(WEIGHTS[:-1]),
        ValueError,
        r"sample_weight must have shape \(20,\).* got shape \(19,\)",
    ),
    Case(
        "weights of two dimensions",
        fit_weights(np.ones((N_ROWS, 1))),
        ValueError,
        r"sample_weight must have shape \(20,\).* got shape \(20, 1\)",
    ),
    Case(
        "strings as weights",
        fit_weights(["heavy"] * N_ROWS),
        ValueError,
        r"could not convert string to float",
    ),
]


def fit_class_weight_and_weights(class_weight, weights):
    return lambda estimator: (
        clone(estimator).set_params(class_weight=class_weight).fit(X, target_of(estimator), weights)
    )


FOR_CLASSIFIER = [
    Case(
        "weights of rows and classes whose products are hardly anything",
        fit_class_weight_and_weights({0: 1e-20, 1: 1e-20}, np.full(N_ROWS, 1e-300)),
        ValueError,
        r"sample_weight times class_weight must have a finite sum of at least 2e-308",
    ),
    Case("continuous labels", fit_target(X[:, 0]), ValueError, r"Unknown label type: continuous"),
    Case(
        "several labels of several classes",
        fit_target(np.arange(2 * N_ROWS).reshape(N_ROWS, 2) % 3),
        ValueError,
        r"Unknown label type|y should be a 1d array",
    ),
    Case(
        "labels of mixed kinds",
        fit_target(np.array(["a", 1] * (N_ROWS // 2), dtype=object)),
        (TypeError, ValueError),
        r"(?i)label|\by\b|uniformly strings or numbers",
    ),
    Case(
        "None among labels",
        fit_target(np.array(["a", None] * (N_ROWS // 2), dtype=object)),
        (TypeError, ValueError),
        r"(?i)label|\by\b|uniformly strings or numbers",
    ),
]

FOR_REGRESSOR = [
    Case(
        "strings as targets",
        fit_target(["cheap"] * N_ROWS),
        ValueError,
        r"could not convert string to float",
    ),
    Case(
        "an integer beyond all floats as target",
        fit_target(np.full(N_ROWS, 10**400, dtype=object)),
        ValueError,
        r"y must hold numbers within the range of float64",
    ),
]


def pairs(for_both, for_classifier=(), for_regressor=()):
    """Each case with the estimators it concerns, as pytest parameters."""
    chosen = [
        *((estimator, case) for case in for_both for estimator in ESTIMATORS),
        *((CLASSIFIER, case) for case in for_classifier),
        *((REGRESSOR, case) for case in for_regressor),
    ]
    return [
        pytest.param(estimator, case, id=f"{NAMES[ESTIMATORS.index(estimator)]}-{case.what}")
        for estimator, case in chosen
    ]


def fitted(estimator):
    return clone(estimator).fit(X, target_of(estimator))


def check_changes_nothing(case, estimator):
    before = vars(estimator).copy()
    case.check(estimator)
    after = vars(estimator)
    assert after.keys() == before.keys()
    assert [name for name in before if after[name] is not before[name]] == []


def check_leaves_unfitted(case, estimator):
    check_changes_nothing(case, estimator)
    assert vars(estimator) == estimator.get_params(deep=False)
    with pytest.raises(NotFittedError):
        estimator.predict(X)


BAD_DATA = pairs(FOR_BOTH, FOR_CLASSIFIER, FOR_REGRESSOR)


@pytest.mark.parametrize(("estimator", "case"), BAD_DATA)
def test_bad_data_leave_an_unfitted_estimator_unfitted(estimator, case):
    check_leaves_unfitted(case, clone(estimator))


@pytest.mark.parametrize(("estimator", "case"), BAD_DATA)
def test_bad_data_leave_a_fitted_estimator_as_it_was(estimator, case):
    estimator = fitted(estimator)
    prediction = estimator.predict(X)
    check_changes_nothing(case, estimator)
    np.testing.assert_array_equal(estimator.predict(X), prediction)


def bad_values(constraint):
    """Values that a constraint must refuse, told from what it says about itself."""
    return BAD_VALUES[type(constraint)](constraint)


def bad_numbers(interval):
    yield from (np.nan, None, "many", True, [1], 1j, interval.low - 1)
    if interval.kind.__name__ == "Integral":
        yield interval.low + 0.5
    if interval.open_low:
        yield interval.low
    if interval.high < np.inf or interval.open_high:
        yield from (interval.high + 1, np.inf)
    if interval.open_high:
        yield interval.high


BAD_ARRAYS = [
    np.array([1.0, -1.0]),
    np.array([1.0, np.nan]),
    np.array([np.inf]),
    np.ones((2, 2)),
    np.array(1.0),
    np.array(["auto"]),
    np.array([True, False]),
]

BAD_VALUES = {
    Choice: lambda constraint: ["nonsense", "", b"auto", ["auto"], 1j],
    Flag: lambda constraint: ["yes", "", b"auto", ["auto"], 1j, None, np.ones(2)],
    FloatType: lambda constraint: ["float16", "f4", np.float16, float, int, np.dtype(int), 4, None],
    Infinity: lambda constraint: [-np.inf, np.nan, "inf", None, True],
    Loss: lambda constraint: ["nonsense", "", "log_loss", b"huber", ["huber"], 1j, None],
    Quantiles: lambda constraint: [0, 1, 1.5, np.nan, None, "0.5", True, [], [0.5, 0.5], [[0.5]]],
    Directions: lambda constraint: ["nonsense", b"auto", 1, True, 1j],
    Function: lambda constraint: ["nonsense", "", b"auto", ["auto"], 1j],
    Interval: bad_numbers,
    Jobs: lambda constraint: [0, 1.5, np.nan, np.inf, True, np.True_, "2", b"2", [2], 1j],
    Precision: lambda constraint: [*bad_numbers(Interval(Real, 0)), np.inf, *BAD_ARRAYS],
    Columns: lambda constraint: ["nonsense", "", "auto", b"from_dtype", 3, 1j, True, {"a": 1}],
    ClassWeight: lambda constraint: ["nonsense", 2, True, {0: -1}, {0: np.nan}, {0: "a"}, ["a"]],
    Either: lambda constraint: [
        value
        for value in [*bad_values(constraint.first), *bad_values(constraint.second)]
        if not (isinstance(value, bool) and Flag() in (constraint.first, constraint.second))
    ],
}

JUST_OUTSIDE = {
    "hidden_size": 0,
    "n_members": 0,
    "loss": "squared",
    "quantile": 1.0,
    "power": 2.0,
    "huber_delta": 0.0,
    "noise": "normal",
    "activation": "Relu",
    "skip": 1,
    "store_posterior": 1,
    "moderate": 1,
    "solver": "newton",
    "alpha": np.inf,
    "l1_ratio": 1.1,
    "group_lasso": 1,
    "monotonic_cst": "rising",
    "batch_size": 0,
    "learning_rate": "fast",
    "learning_rate_init": 0.0,
    "power_t": -0.1,
    "decay_rate": 1.1,
    "decay_epochs": 0.0,
    "max_iter": 0,
    "shuffle": 1,
    "dtype": "float16",
    "tol": -1e-9,
    "momentum": 1.1,
    "nesterovs_momentum": 0,
    "beta_1": 1.0,
    "beta_2": 1.0,
    "epsilon": 0.0,
    "n_iter_no_change": 0,
    "max_fun": 0,
    "initializer": "he",
    "standardize": 1,
    "encoding": "piecewise-linear",
    "n_knots": 0,
    "categorical_features": "from_dtypes",
    "n_init": 0,
    "n_jobs": 0,
    "warm_start": 1,
    "verbose": -1,
    "early_stopping": 1,
    "validation_fraction": 1.0,
    "scoring": "losses",
    "class_weight": "balance",
}

BAD_PARAMETERS = [
    pytest.param(estimator, name, value, id=f"{estimator_name}-{name}={value!r}")
    for estimator, estimator_name in zip(ESTIMATORS, NAMES, strict=True)
    for name, constraint in CONSTRAINTS.items()
    if name in estimator.get_params()
    for value in [JUST_OUTSIDE[name], *bad_values(constraint)]
]


def bad_parameter_case(name, value):
    return Case(
        f"{name}={value!r}",
        lambda estimator: estimator.fit(X, target_of(estimator)),
        (TypeError, ValueError),
        rf"^{name} must be ",
    )


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("estimator", "name", "value"), BAD_PARAMETERS)
def test_a_bad_parameter_is_named_and_changes_nothing(estimator, name, value):
    case = bad_parameter_case(name, value)
    check_leaves_unfitted(case, clone(estimator).set_params(**{name: value}))
    check_changes_nothing(case, fitted(estimator).set_params(**{name: value}))


@pytest.mark.parametrize("value", [[3, 3], np.array([3, 3]), "three"], ids=repr)
@pytest.mark.parametrize("name", ["hidden_size", "skip"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=NAMES)
def test_a_bad_parameter_is_named_before_it_is_compared_with_the_fitted_one(
    estimator, method, name, value
):
    estimator = fitted(estimator).set_params(warm_start=True, **{name: value})
    case = Case(
        name,
        lambda estimator: getattr(estimator, method)(X, target_of(estimator)),
        (TypeError, ValueError),
        rf"^{name} must be ",
    )
    check_changes_nothing(case, estimator)


@pytest.mark.parametrize(("estimator", "name", "value"), BAD_PARAMETERS)
def test_the_message_shows_the_value_and_the_choices(estimator, name, value):
    with pytest.raises((TypeError, ValueError)) as error:
        clone(estimator).set_params(**{name: value}).fit(X, target_of(estimator))
    message = str(error.value)
    assert message.endswith(f"got {value!r}")
    constraint = CONSTRAINTS[name]
    assert all(repr(choice) in message for choice in getattr(constraint, "names", ()))


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=NAMES)
def test_every_parameter_is_checked(estimator):
    assert estimator.get_params().keys() - CONSTRAINTS.keys() == {"random_state"}


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=NAMES)
def test_every_default_is_accepted(estimator):
    defaults = type(estimator)().get_params()
    checked = CONSTRAINTS.keys() & defaults.keys()
    assert [name for name in checked if not CONSTRAINTS[name].accepts(defaults[name])] == []


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=NAMES)
def test_a_bad_random_state_changes_nothing(estimator):
    case = Case("random_state", lambda e: e.fit(X, target_of(e)), ValueError, r"'chance'.*seed")
    check_leaves_unfitted(case, clone(estimator).set_params(random_state="chance"))
    check_changes_nothing(case, fitted(estimator).set_params(random_state="chance"))


METHODS = [
    pytest.param(CLASSIFIER, "predict", id="classifier-predict"),
    pytest.param(CLASSIFIER, "predict_proba", id="classifier-predict_proba"),
    pytest.param(CLASSIFIER, "predict_log_proba", id="classifier-predict_log_proba"),
    pytest.param(CLASSIFIER, "decision_function", id="classifier-decision_function"),
    pytest.param(REGRESSOR, "predict", id="regressor-predict"),
]


def method_call(method, rows):
    return lambda estimator: getattr(estimator, method)(rows)


BAD_ROWS = [
    ("infinity", spoilt(X, np.inf), INFINITE),
    ("NaN in sparse rows", sparse.csr_array(spoilt(X, np.nan)), r"Input X contains NaN"),
    ("strings", WITH_TEXT, r"could not convert string to float"),
    (
        "an integer beyond all floats",
        spoilt(X.astype(object), 10**400),
        r"X must hold numbers within the range of float64",
    ),
    ("a column too few", X[:, :2], r"X has 2 features, but TwoLayer\w+ is expecting 3 features"),
    ("a column too many", X[:, [0, 1, 2, 2]], r"X has 4 features, but TwoLayer\w+ is expecting 3"),
    ("one dimension", X[0], r"Expected 2D array, got 1D array"),
    ("no rows", X[:0], r"0 sample"),
]


@pytest.mark.parametrize(("estimator", "method"), METHODS)
def test_predicting_needs_a_fit(estimator, method):
    message = rf"{type(estimator).__name__} instance is not fitted yet"
    case = Case(method, method_call(method, X), NotFittedError, message)
    check_leaves_unfitted(case, clone(estimator))


@pytest.mark.parametrize(("estimator", "method"), METHODS)
@pytest.mark.parametrize(("what", "rows", "message"), BAD_ROWS, ids=[row[0] for row in BAD_ROWS])
def test_bad_rows_to_predict_change_nothing(estimator, method, what, rows, message):
    case = Case(what, method_call(method, rows), ValueError, message)
    check_changes_nothing(case, fitted(estimator))


def test_finite_rows_whose_sum_is_not_are_good_and_nothing_warns():
    estimator = fitted(REGRESSOR)
    # in its blocks of eight, NumPy adds up some of one sign and some of the other
    rows = np.resize([1e308, -1e308], (16, 3))
    for learn in (False, True):
        np.testing.assert_array_equal(estimator._columns_of(rows, learn), rows)
        with pytest.raises(ValueError, match=INFINITE):
            estimator._columns_of(spoilt(rows, np.inf), learn)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=NAMES)
def test_missing_values_are_no_bad_input(estimator):
    rows = spoilt(X, np.nan)
    model = clone(estimator).fit(rows, target_of(estimator))
    assert np.isfinite(outputs(model, rows)).all()
    # missing as objects are, too
    for missing in (None, pd.NA, np.nan):
        again = clone(estimator).fit(spoilt(X.astype(object), missing), target_of(estimator))
        np.testing.assert_array_equal(outputs(again, rows), outputs(model, rows))
    # a value that was not missing in training, and a row of which nothing is known
    mean = np.where(np.isnan(rows), X.mean(axis=0), rows)
    model = fitted(estimator)
    np.testing.assert_allclose(outputs(model, rows), outputs(model, mean), rtol=1e-12)
    nothing, means = np.full((1, 3), np.nan), X.mean(axis=0, keepdims=True)
    np.testing.assert_allclose(outputs(model, nothing), outputs(model, means), rtol=1e-12)


@pytest.mark.parametrize(("estimator", "method"), METHODS)
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["c", "a", "b"], r"(?s)feature names.*order"),
        (["a", "b", "z"], r"(?s)feature names.*unseen.*z.*missing.*c"),
    ],
    ids=["another order", "another name"],
)
def test_other_column_names_change_nothing(estimator, method, columns, message):
    estimator = clone(estimator).fit(pd.DataFrame(X, columns=list("abc")), target_of(estimator))
    rows = pd.DataFrame(X, columns=columns)
    check_changes_nothing(Case("names", method_call(method, rows), ValueError, message), estimator)
