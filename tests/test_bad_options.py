"""What is asked of a fit and cannot be: sizes, classes, weights of classes, scorers, labels."""

import itertools
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import make_scorer, r2_score

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer._constraints import CONSTRAINTS

N_ROWS = 24
X = np.random.RandomState(0).randn(N_ROWS, 3)
NUMBERS = np.arange(N_ROWS) % 2
WORDS = np.array(["ham", "spam"])[NUMBERS]
MULTILABEL = np.column_stack([NUMBERS, 1 - NUMBERS, NUMBERS])
QUANTITIES = X @ [1.0, -2.0, 3.0]
HELD_OUT = {"X_val": X, "y_val": NUMBERS}


def check_refused(model, message, call, error=ValueError):
    """The error, twice the same, from an estimator that it leaves as it was."""
    before = vars(model).copy()
    for _ in range(2):
        with pytest.raises(error, match=message):
            call(model)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)


def fit(y, **options):
    return lambda model: model.fit(X, y, **options)


@pytest.mark.parametrize("columns", [iter([0]), (j for j in [0]), map(int, "0")])
def test_columns_from_an_iterator_would_be_gone_in_the_next_fit(columns):
    model = TwoLayerRegressor(categorical_features=columns)
    check_refused(model, "categorical_features must be .* an array", fit(QUANTITIES), TypeError)
    assert next(columns) == 0


HUGE = [10**400, 10**5000]
BOUNDED = ("hidden_size", "n_init", "n_members", "n_knots")
UNBOUNDED = ("batch_size", "max_iter", "n_iter_no_change", "max_fun", "n_jobs", "verbose")


@pytest.mark.parametrize("value", HUGE, ids=["400 digits", "5000 digits"])
@pytest.mark.parametrize("solver", ["auto", "lbfgs", "lm", "sgd", "adam"])
@pytest.mark.parametrize("name", ["alpha", "learning_rate_init", "tol", "epsilon", *BOUNDED])
def test_a_number_beyond_all_is_named(name, value, solver):
    model = TwoLayerRegressor(solver=solver).set_params(**{name: value})
    shown = str(value) if value < 10**4000 else "int too long to print"
    check_refused(model, rf"^{name} must be .*got {shown}$", fit(QUANTITIES))


@pytest.mark.parametrize("value", HUGE, ids=["400 digits", "5000 digits"])
@pytest.mark.parametrize("name", CONSTRAINTS)
def test_no_number_is_too_large_to_be_judged(name, value):
    accepted = CONSTRAINTS[name].accepts(value)
    assert accepted == (name in UNBOUNDED)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["lbfgs", "lm", "adam"])
@pytest.mark.parametrize("name", ["batch_size", "max_fun", "n_iter_no_change", "n_jobs"])
def test_counts_may_be_as_large_as_they_like(name, solver):
    model = TwoLayerRegressor(3, solver=solver, tol=0.5, max_iter=30, random_state=0)
    expected = clone(model).set_params(**{name: 10**6}).fit(X, QUANTITIES)
    actual = model.set_params(**{name: 10**400}).fit(X, QUANTITIES)
    assert_array_equal(actual.predict(X), expected.predict(X))


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "lm", "sgd", "adam"])
@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("value", [10**18, 10**30])
def test_a_size_that_no_memory_holds_is_named_with_its_bound(name, value, solver):
    model = TwoLayerRegressor(solver=solver).set_params(**{name: value})
    bound = r"an integer in \[1, (10000|1e\+0\d)\]"
    check_refused(model, rf"^{name} must be .*{bound}, got 10+$", fit(QUANTITIES))


@pytest.mark.parametrize("hidden_size", [10**9, np.int64(10**9)])
@pytest.mark.parametrize("solver", ["auto", "lbfgs", "lm", "adam"])
def test_so_is_one_that_columns_make_too_large(hidden_size, solver):
    model = TwoLayerRegressor(hidden_size, solver=solver)
    message = r"^hidden_size=1000000000 makes \d+ parameters.*3 columns.*at most 1e\+09"
    check_refused(model, message, fit(QUANTITIES))


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_patience_may_be_without_end(solver):
    model = TwoLayerRegressor(3, solver=solver, alpha=1.0, max_iter=30, tol=1e3, random_state=0)
    assert clone(model).fit(X, QUANTITIES).n_iter_ < 30
    model.set_params(n_iter_no_change=np.inf)
    with pytest.warns(ConvergenceWarning, match="max_iter=30"):
        model.fit(X, QUANTITIES)
    assert model.n_iter_ == 30


@pytest.mark.parametrize("solver", ["lbfgs", "lm"])
def test_without_end_it_still_converges(solver):
    options = {"solver": solver, "alpha": 1.0, "max_iter": 5000, "random_state": 0}
    endless = TwoLayerRegressor(3, n_iter_no_change=np.inf, **options).fit(X, QUANTITIES)
    assert np.isfinite(endless.predict(X)).all()
    assert endless.n_iter_ < 5000


DTYPES = ["float32", np.float32, np.dtype(np.float32), np.float64, np.dtype("float64")]


@pytest.mark.parametrize("dtype", DTYPES, ids=repr)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_type_may_be_given_as_numpy_has_it(dtype, method):
    model = TwoLayerRegressor(3, alpha=1.0, solver="adam", tol=0.5, dtype=dtype, random_state=0)
    assert model.get_params()["dtype"] is dtype
    getattr(model, method)(X, QUANTITIES)
    expected = clone(model).set_params(dtype=np.dtype(dtype).name)
    getattr(expected, method)(X, QUANTITIES)
    assert model._state["theta"].dtype == np.dtype(dtype)
    assert_array_equal(model.predict(X), expected.predict(X))


ORDERS = [["spam", "ham"], ["ham", "spam", "spam"], np.array(["spam", "ham"], dtype=object)]
NO_CLASSES = {
    "empty": [],
    "None": [None, 1],
    "None alone": [None],
    "NaN": [0, np.nan],
    "NaN among objects": np.array(["a", np.nan], dtype=object),
    "NA": [pd.NA, "ham"],
    "mixed": ["a", 1],
    "two dimensions": [[0, 1]],
    "ragged": [[0], [1, 2]],
    "string": "ham",
    "number": 3,
    "set": {0, 1},
}


class TestClasses:
    @pytest.mark.parametrize("classes", [*ORDERS, pd.Series(ORDERS[0]), pd.Categorical(ORDERS[0])])
    def test_come_in_any_order_and_number(self, classes):
        model = TwoLayerClassifier(3, random_state=0)
        model.partial_fit(X, WORDS, classes=classes).partial_fit(X, WORDS, classes=classes[::-1])
        expected = TwoLayerClassifier(3, random_state=0)
        expected.partial_fit(X, WORDS, classes=["ham", "spam"]).partial_fit(X, WORDS)
        assert_array_equal(model.classes_, ["ham", "spam"])
        assert_array_equal(model.predict_proba(X), expected.predict_proba(X))

    @pytest.mark.parametrize("classes", NO_CLASSES.values(), ids=NO_CLASSES)
    @pytest.mark.parametrize("begun", [False, True])
    def test_that_are_none_are_refused(self, classes, begun):
        model = TwoLayerClassifier(3, random_state=0)
        if begun:
            model.partial_fit(X, NUMBERS, classes=[0, 1])
        check_refused(
            model,
            "^classes must be a list of labels, all strings or all numbers, got",
            lambda model: model.partial_fit(X, NUMBERS, classes=classes),
        )

    @pytest.mark.parametrize("classes", [[0, 1, 2], [1], ["0", "1"]])
    def test_must_stay_what_they_were(self, classes):
        model = TwoLayerClassifier(3, random_state=0).partial_fit(X, NUMBERS, classes=[1, 0])
        shown = r"\[0 1\], got " + np.array2string(np.array(classes)).replace("[", r"\[")
        check_refused(model, shown, lambda m: m.partial_fit(X, NUMBERS, classes=classes))

    def test_of_several_labels_are_the_numbers_of_columns(self):
        model = TwoLayerClassifier(3, random_state=0)
        call = lambda m: m.partial_fit(X, MULTILABEL, classes=[0, 1])  # noqa: E731
        check_refused(model, r"classes of multilabel y.*\[0 1 2\], got \[0 1\]", call)
        model.partial_fit(X, MULTILABEL, classes=[2, 1, 0])
        check_refused(model, r"classes must stay", call)


FRAME = pd.DataFrame({"a": X[:, 0], "b": ["x", "y"] * (N_ROWS // 2), "c": X[:, 2].round()})
NO_NAMES = "numbers from 0 to 2, or a mask of 3 booleans, got "
NOT_COLUMNS = {
    "an index beyond": (X, [0, 3], rf"{NO_NAMES}3, which is not among \[0, 1, 2\]"),
    "a negative index": (X, [-1], rf"{NO_NAMES}-1, which is not among \[0, 1, 2\]"),
    "an index twice": (X, [1, 1], rf"{NO_NAMES}1 twice"),
    "a short mask": (X, [True, False], rf"{NO_NAMES}a mask of 2"),
    "a long mask": (X, np.ones(4, dtype=bool), rf"{NO_NAMES}a mask of 4"),
    "names of an array": (X, ["a"], rf"{NO_NAMES}\['a'\], but X has no column names"),
    "a name that is not there": (FRAME, ["b", "d"], rf"{NO_NAMES}'d', which is not among \['a', "),
    "a name twice": (FRAME, ["b", "c", "b"], rf"{NO_NAMES}'b' twice"),
    "an index of a frame beyond": (FRAME, [1, 5], rf"{NO_NAMES}5, which is not among \[0, 1, 2\]"),
}
NO_KIND_OF_COLUMNS = {
    "names and indices": ["b", 2],
    "indices and booleans": [1, True],
    "fractions": [1.0],
    "nothing": [None],
    "a number as an array": np.array(1),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
class TestCategoricalFeatures:
    @pytest.mark.parametrize(("rows", "columns", "message"), NOT_COLUMNS.values(), ids=NOT_COLUMNS)
    def test_that_are_no_columns_of_X_are_named(self, rows, columns, message, method):
        model = TwoLayerRegressor(3, solver="adam", categorical_features=columns)
        call = lambda model: getattr(model, method)(rows, QUANTITIES)  # noqa: E731
        check_refused(model, rf"^categorical_features must be .*{message}", call)

    @pytest.mark.parametrize("columns", NO_KIND_OF_COLUMNS.values(), ids=NO_KIND_OF_COLUMNS)
    @pytest.mark.parametrize("rows", [X, FRAME], ids=["array", "frame"])
    def test_of_another_kind_are_shown(self, rows, columns, method):
        model = TwoLayerRegressor(3, solver="adam", categorical_features=columns)
        call = lambda model: getattr(model, method)(rows, QUANTITIES)  # noqa: E731
        message = rf"^categorical_features must be 'from_dtype', None.*{NO_NAMES}.*"
        check_refused(model, message + re.escape(repr(columns)), call, TypeError)

    def test_must_be_all_that_are_text(self, method):
        for columns in (None, [], ["c"], [2], [False, False, True]):
            model = TwoLayerRegressor(3, solver="adam", categorical_features=columns)
            call = lambda model: getattr(model, method)(FRAME, QUANTITIES)  # noqa: E731
            check_refused(model, "^column 'b' of X: text is no number; name .*categorical_f", call)

    def test_may_be_given_in_many_ways(self, method):
        expected = None
        for columns in (["c", "b"], [1, 2], np.array([2, 1], np.int8), [False, True, True]):
            model = TwoLayerRegressor(3, alpha=1.0, solver="adam", max_iter=1, random_state=0)
            model.set_params(categorical_features=columns, tol=1e3)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                getattr(model, method)(FRAME, QUANTITIES)
            assert model.is_categorical_.tolist() == [False, True, True]
            expected = model.predict(FRAME) if expected is None else expected
            assert_array_equal(model.predict(FRAME), expected)


@pytest.mark.parametrize("warm_start", [False, True])
def test_what_columns_are_stays_what_the_fit_learnt(warm_start):
    options = {"solver": "adam", "alpha": 1.0, "max_iter": 2, "tol": 1e3, "random_state": 0}
    model = TwoLayerRegressor(3, n_iter_no_change=1, warm_start=warm_start, **options)
    model.fit(FRAME, QUANTITIES)
    before = model.predict(FRAME)
    changed = {"categorical_features": ["b", "c"], "encoding": "piecewise_linear", "n_knots": 3}
    assert_array_equal(model.set_params(**changed).predict(FRAME), before)
    model.fit(FRAME, QUANTITIES) if warm_start else model.partial_fit(FRAME, QUANTITIES)
    assert model.is_categorical_.tolist() == [False, True, False]
    assert [len(knots) for knots in model.knots_] == [0, 0]


MISTAKEN = [{"1": 100}, {2: 5}, {0: 1, 2: 5}, {"a": 1, "b": 2}]


class TestClassWeight:
    @pytest.mark.parametrize("class_weight", MISTAKEN)
    def test_with_keys_that_are_no_labels_is_refused(self, class_weight):
        model = TwoLayerClassifier(3, class_weight=class_weight)
        message = r"^class_weight must have labels among \[0, 1\] as its keys, got "
        check_refused(model, message, fit(NUMBERS))
        check_refused(model, message, lambda m: m.partial_fit(X, NUMBERS, classes=[0, 1]))

    def test_may_know_labels_that_these_rows_lack(self):
        extra, plain = (
            TwoLayerClassifier(3, alpha=1.0, class_weight=weights, random_state=0).fit(X, NUMBERS)
            for weights in ({0: 1, 1: 4, 2: 9}, {1: 4})
        )
        assert_array_equal(extra.predict_proba(X), plain.predict_proba(X))

    def test_may_name_a_class_whose_rows_come_later(self):
        model = TwoLayerClassifier(3, class_weight={2: 9}, random_state=0)
        model.partial_fit(X, NUMBERS, classes=[0, 1, 2])
        assert model.n_outputs_ == 3

    @pytest.mark.parametrize("wrong", [{2: 1}, {0: 1, 1: 2, 2: 3}, {"1": 5}])
    def test_of_several_labels_has_answers_as_keys(self, wrong):
        model = TwoLayerClassifier(3, class_weight=[{0: 1, 1: 2}, wrong, {}])
        message = r"^class_weight must have labels among \[0, 1\] as its keys, got "
        check_refused(model, message, fit(MULTILABEL))


UNFIT = [
    *itertools.product([TwoLayerRegressor], ["neg_log_loss", "accuracy", "roc_auc", "f1"]),
    *itertools.product([TwoLayerClassifier], ["r2", "f1", "neg_mean_poisson_deviance"]),
]


class TestScorers:
    @pytest.mark.parametrize(("estimator", "scoring"), UNFIT)
    def test_that_cannot_rate_are_named(self, estimator, scoring):
        y = QUANTITIES if estimator is TwoLayerRegressor else WORDS
        model = estimator(3, scoring=scoring, random_state=0)
        message = rf"^scoring='{scoring}' cannot rate {estimator.__name__} on the validation rows"
        check_refused(model, message, fit(y, X_val=X, y_val=y))

    def test_of_the_caller_raise_what_they_raise(self):
        def scoring(estimator, X, y):
            raise ZeroDivisionError("mine")

        model = TwoLayerClassifier(3, scoring=scoring, random_state=0)
        check_refused(model, "^mine$", fit(NUMBERS, **HELD_OUT), ZeroDivisionError)

    @pytest.mark.parametrize("rating", [np.nan, None, "high", np.ones(3)])
    def test_must_give_a_number(self, rating):
        model = TwoLayerClassifier(3, scoring=lambda estimator, X, y: rating, random_state=0)
        message = r"^scoring must rate the validation rows by a number, got "
        check_refused(model, message, fit(NUMBERS, **HELD_OUT))

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
    def test_without_an_answer_for_these_rows_are_named(self):
        model = TwoLayerRegressor(3, scoring="r2", random_state=0)
        message = r"^scoring must rate .*got nan from 'r2'"
        check_refused(model, message, fit(QUANTITIES, X_val=X[:1], y_val=QUANTITIES[:1]))

    def test_may_be_made_by_scikit_learn(self):
        model = TwoLayerRegressor(3, alpha=1.0, max_iter=9, tol=0.5, random_state=0)
        held_out = {"X_val": X, "y_val": QUANTITIES}
        named = clone(model).set_params(scoring="r2").fit(X, QUANTITIES, **held_out)
        made = clone(model).set_params(scoring=make_scorer(r2_score))
        made.fit(X, QUANTITIES, **held_out)
        assert made.validation_scores_ == named.validation_scores_


MISSING = {
    "NaN among words": (WORDS, np.nan),
    "None among words": (WORDS, None),
    "NA among words": (WORDS, pd.NA),
    "NaN among numbers": (NUMBERS, np.nan),
    "None among numbers": (NUMBERS, None),
    "NaT among words": (WORDS, pd.NaT),
}


@pytest.mark.parametrize(("labels", "missing"), MISSING.values(), ids=MISSING)
@pytest.mark.parametrize("as_type", [np.asarray, list, pd.Series], ids=["array", "list", "series"])
def test_missing_labels_name_y(labels, missing, as_type):
    spoilt = labels.astype(object)
    spoilt[3] = missing
    spoilt = as_type(spoilt)
    model = TwoLayerClassifier(3, random_state=0)
    check_refused(model, r"^(Input )?y (contains NaN|must have no missing)", fit(spoilt))
    call = fit(labels, X_val=X, y_val=spoilt)
    check_refused(model, r"^(Input )?y(_val)? (contains NaN|must have no missing)", call)


def test_missing_quantities_among_objects_name_y():
    spoilt = QUANTITIES.astype(object)
    for spoilt[3] in (None, np.nan):
        check_refused(TwoLayerRegressor(3), r"^y must have no missing values", fit(spoilt))


@pytest.mark.parametrize(
    ("known", "other"),
    [(NUMBERS, WORDS), (NUMBERS, WORDS.astype(object)), (WORDS, NUMBERS)],
    ids=["words", "words as objects", "numbers"],
)
def test_labels_of_another_kind_are_unknown(known, other):
    model = TwoLayerClassifier(3, random_state=0)
    check_refused(model, "^y has labels .* not among classes", fit(known, X_val=X, y_val=other))
