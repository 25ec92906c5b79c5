"""Predictions that only rise, or fall, with a column: everywhere, whatever else is asked for."""

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from joblib import parallel_config
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags
from sklearn.utils.fixes import parse_version

from kinds import IGNORE_CONVERGENCE, with_checks
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = IGNORE_CONVERGENCE

N_ROWS = 120
RANDOM = np.random.RandomState(0)
FRAME = pd.DataFrame(
    {
        "rises": RANDOM.rand(N_ROWS),
        "falls": RANDOM.randn(N_ROWS) * 1e3,
        "free": RANDOM.rand(N_ROWS),
        "kind": pd.Categorical(RANDOM.choice(["a", "b", "c"], N_ROWS)),
        "count": RANDOM.randint(2, size=N_ROWS),
    }
)
CONSTRAINTS = {"rises": 1, "falls": -1, "count": 1}
# targets that would have it otherwise, here and there
QUANTITIES = (
    np.sin(8 * FRAME["rises"]) + np.cos(FRAME["falls"] / 500) * FRAME["free"] - FRAME["count"]
).to_numpy()
LABELS = np.where(QUANTITIES > np.median(QUANTITIES), "yes", "no")


def with_missing(frame):
    gaps = frame.copy()
    for column in ("rises", "falls"):
        gaps[column] = gaps[column].mask(np.random.RandomState(1).rand(len(frame)) < 0.2)
    return gaps


def in_single(frame):
    numbers = dict.fromkeys(frame.select_dtypes("number"), np.float32)
    return frame.astype(numbers)


def pairs(frame, column, n=400, seed=2):
    """Rows that differ in one column only, inside the training rows, near them, and far out."""
    rng = np.random.RandomState(seed)
    low = frame.iloc[rng.randint(len(frame), size=n)].reset_index(drop=True)
    for other in low.select_dtypes("number"):
        away = (rng.rand(n) < 0.3) * rng.standard_cauchy(n) * 10 * frame[other].std()
        low[other] = (low[other] + away).astype(frame[other].dtype if other != "count" else float)
    x = low[column].fillna(frame[column].mean()).to_numpy()
    y = x + rng.choice([1e-6, 0.1, 1, 100], n) * rng.exponential(size=n) * frame[column].std()
    high = low.assign(**{column: y.astype(x.dtype)})
    return low.assign(**{column: x}), high


def assert_monotonic(model, frame, predict=None, constraints=CONSTRAINTS):
    predict = predict or model.predict
    for column, direction in constraints.items():
        low, high = (predict(rows) for rows in pairs(frame, column))
        step = direction * (high - low)
        assert (step >= 0).all(), column
        assert (step > 0).any() or (low == high).all()


QUICK = {"hidden_size": 12, "random_state": 0, "max_iter": 15}
OPTIONS = {
    "evidence": {},
    "average": {"n_members": 2},
    "linear": {"encoding": "linear"},
    "few knots": {"n_knots": 1},
    "given alpha": {"alpha": 0.01},
    "free": {"alpha": 0.0},
    "skip": {"skip": True},
    "raw columns": {"standardize": False, "learning_rate_init": 0.001},
    "restarts": {"n_init": 2, "solver": "adam"},
    "early stopping": {"early_stopping": True},
    "rmsprop": {"solver": "rmsprop"},
    "sgd": {"solver": "sgd", "alpha": 0.1},
    "double precision": {"dtype": "float64"},
    "odd units": {"hidden_size": 1, "solver": "adam"},
    **{name: {"activation": name} for name in ("relu", "logistic", "elu", "softplus", "identity")},
}
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


@every_option
def test_quantities_are_monotonic(options):
    model = TwoLayerRegressor(monotonic_cst=CONSTRAINTS, **{**QUICK, **options})
    model.fit(FRAME, QUANTITIES)
    assert_monotonic(model, FRAME)


@pytest.mark.parametrize("change", [with_missing, in_single])
@pytest.mark.parametrize("n_targets", [1, 2])
def test_so_are_several_of_any_table(change, n_targets):
    frame = change(FRAME)
    Y = np.column_stack([QUANTITIES, -QUANTITIES])[:, :n_targets]
    model = TwoLayerRegressor(monotonic_cst=CONSTRAINTS, **QUICK).fit(frame, Y)
    assert_monotonic(model, frame)


@pytest.mark.parametrize("change", [lambda frame: frame, with_missing, in_single])
@pytest.mark.parametrize("options", [{}, {"n_members": 2}, {"alpha": 1.0}, {"moderate": False}])
def test_probabilities_are_monotonic(options, change):
    frame = change(FRAME)
    model = TwoLayerClassifier(monotonic_cst=CONSTRAINTS, **{**QUICK, **options})
    model.fit(frame, LABELS)
    assert_monotonic(model, frame, lambda rows: model.predict_proba(rows)[:, 1])
    assert_monotonic(model, frame, model.decision_function)
    assert_monotonic(model, frame, lambda rows: (model.predict(rows) == "yes").astype(int))


def test_beside_a_category_of_many_levels():
    """Mini-batches visit the levels that they have, and no others."""
    levels = np.random.RandomState(3).randint(80, size=N_ROWS).astype(str)
    frame = FRAME.assign(kind=pd.Categorical(levels))
    model = TwoLayerRegressor(monotonic_cst=CONSTRAINTS, **QUICK).fit(frame, QUANTITIES)
    assert_monotonic(model, frame)


LOSSES = {
    "absolute error": {"loss": "absolute_error"},
    "quantiles": {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]},
    "huber": {"loss": "huber"},
    "poisson": {"loss": "poisson"},
    "elastic net": {"alpha": 0.1, "l1_ratio": 0.5},
    "group lasso": {"group_lasso": True},
}


@pytest.mark.parametrize("options", LOSSES.values(), ids=LOSSES)
def test_so_are_other_losses_and_penalties(options):
    model = TwoLayerRegressor(monotonic_cst=CONSTRAINTS, **{**QUICK, **options})
    model.fit(FRAME, QUANTITIES - QUANTITIES.min())
    assert_monotonic(model, FRAME)


def test_labels_alone_may_have_their_probabilities_tempered():
    model = TwoLayerClassifier(monotonic_cst=CONSTRAINTS, n_members=2, **QUICK)
    model.fit(FRAME, LABELS)
    raw = model.set_params(moderate=False).decision_function(FRAME)
    tempered = model.set_params(moderate=True).decision_function(FRAME)
    ratio = tempered / raw
    assert np.ptp(ratio) < 1e-12
    assert ratio[0] != 1


def test_all_is_left_open():
    """Both kinds of networks, with the weights that rows held out give them."""
    model = TwoLayerRegressor(monotonic_cst=CONSTRAINTS, max_iter=15, random_state=0)
    model.fit(FRAME, QUANTITIES)
    assert {member["solver"] for member in model.members_} == {"adam"}
    assert {member["encoding"] for member in model.members_} == {"piecewise_linear"}
    assert_monotonic(model, FRAME)
    _, deviation = model.predict(FRAME, return_std=True)
    assert (deviation > 0).all()


def test_a_column_with_a_constraint_has_knots_in_any_encoding():
    model = TwoLayerRegressor(encoding="linear", monotonic_cst=CONSTRAINTS, **QUICK)
    model.fit(FRAME, QUANTITIES)
    n_knots = dict(zip(["rises", "falls", "free", "count"], map(len, model.knots_), strict=True))
    assert n_knots["rises"] > 2
    assert n_knots["falls"] > 2
    assert n_knots["free"] == n_knots["count"] == 0


def test_a_lift_is_learnt_and_its_fall_is_not():
    x = np.linspace(0, 1, 400)[:, None]
    y = np.minimum(x[:, 0], 0.5) - np.maximum(x[:, 0] - 0.8, 0)
    model = TwoLayerRegressor(monotonic_cst=[1], random_state=0).fit(x, y)
    best = np.minimum(x[:, 0], 0.5)
    best[x[:, 0] > 0.47] = 0.47  # about what isotonic regression makes of the fall
    assert np.abs(model.predict(x) - best).max() < 0.03
    falling = TwoLayerRegressor(monotonic_cst=[-1], random_state=0).fit(x, y)
    assert np.diff(falling.predict(x)).max() <= 0


class TestForms:
    ways = (
        [1, -1, 0, 0, 1],
        np.array([1, -1, 0, 0, 1], np.int8),
        (1.0, -1.0, 0.0, 0.0, 1.0),
        pd.Series([1, -1, 0, 0, 1]),
        {"falls": -1, "rises": 1, "count": True, "kind": 0},
    )

    @pytest.mark.parametrize("constraints", ways, ids=lambda way: type(way).__name__)
    def test_mean_the_same(self, constraints):
        expected = TwoLayerRegressor(monotonic_cst=CONSTRAINTS, **QUICK).fit(FRAME, QUANTITIES)
        model = TwoLayerRegressor(monotonic_cst=constraints, **QUICK).fit(FRAME, QUANTITIES)
        assert_array_equal(model.predict(FRAME), expected.predict(FRAME))
        assert clone(model).get_params()["monotonic_cst"] is not None

    @pytest.mark.parametrize("constraints", [[0, 0, 0, 0, 0], {}, {"kind": 0, "rises": 0}])
    @pytest.mark.parametrize("estimator", [TwoLayerRegressor, TwoLayerClassifier])
    def test_without_any_nothing_changes(self, constraints, estimator):
        y = QUANTITIES if estimator is TwoLayerRegressor else LABELS
        expected = estimator(3, random_state=0).fit(FRAME, y)
        model = estimator(3, monotonic_cst=constraints, random_state=0).fit(FRAME, y)
        for ours, theirs in zip(model.coefs_, expected.coefs_, strict=True):
            assert_array_equal(ours, theirs)
        assert model.solver_ == "lm"

    def test_one_seed_makes_the_same_bits(self):
        model = TwoLayerRegressor(monotonic_cst=CONSTRAINTS, n_members=2, **QUICK)
        first, second = (clone(model).fit(FRAME, QUANTITIES).predict(FRAME) for _ in range(2))
        with parallel_config("threading"):
            in_parallel = model.set_params(n_jobs=2).fit(FRAME, QUANTITIES).predict(FRAME)
        assert_array_equal(first, second)
        assert_array_equal(first, in_parallel)


class TestGoingOn:
    def test_in_a_stream(self):
        model = TwoLayerRegressor(12, monotonic_cst=CONSTRAINTS, random_state=0)
        for start in range(0, N_ROWS, 20):
            rows = slice(start, start + 20)
            model.partial_fit(FRAME[rows], QUANTITIES[rows])
            assert_monotonic(model, FRAME)

    @pytest.mark.parametrize("options", [{}, {"n_members": 2}, {"alpha": 0.1}])
    def test_from_an_earlier_fit(self, options):
        model = TwoLayerRegressor(
            monotonic_cst=CONSTRAINTS, warm_start=True, **{**QUICK, **options}
        )
        for _ in range(2):
            model.fit(FRAME, QUANTITIES)
            assert_monotonic(model, FRAME)

    def test_constraints_may_be_newer_than_the_weights(self):
        model = TwoLayerRegressor(solver="adam", warm_start=True, **QUICK)
        model.fit(FRAME, QUANTITIES)
        model.set_params(monotonic_cst=CONSTRAINTS).fit(FRAME, QUANTITIES)
        assert_monotonic(model, FRAME)
        model.set_params(monotonic_cst=None).fit(FRAME, QUANTITIES)
        with pytest.raises(AssertionError):
            assert_monotonic(model, FRAME)

    def test_weights_of_before_are_not_kept_even_where_they_are_better(self):
        held_out = {"X_val": FRAME, "y_val": QUANTITIES}
        options = {**QUICK, "max_iter": 60}
        model = TwoLayerRegressor(solver="adam", warm_start=True, **options)
        model.fit(FRAME, QUANTITIES, **held_out)
        model.set_params(monotonic_cst=CONSTRAINTS, max_iter=1)
        assert_monotonic(model.fit(FRAME, QUANTITIES, **held_out), FRAME)

    def test_from_a_network_that_cannot(self):
        model = TwoLayerRegressor(3, warm_start=True, random_state=0).fit(FRAME, QUANTITIES)
        assert model.solver_ == "lm"
        model.set_params(monotonic_cst=CONSTRAINTS)
        before = vars(model).copy()
        with pytest.raises(ValueError, match=r"^solver='lm' cannot keep to monotonic_cst"):
            model.fit(FRAME, QUANTITIES)
        assert vars(model).keys() == before.keys()


NO_FORM = "monotonic_cst must be None, an array with -1, 0 or 1 for each of the 5 columns of X, or "
X = FRAME.drop(columns="kind").to_numpy(float)
NAMELESS = np.column_stack([X, X[:, 0]])
WRONG = {
    "short": (FRAME, [1, 0], ValueError, NO_FORM + r".*got 2 of them$"),
    "long": (FRAME, [0] * 6, ValueError, NO_FORM + r".*got 6 of them$"),
    "two": (FRAME, [2, 0, 0, 0, 0], ValueError, NO_FORM + r".*got 2 for column 0$"),
    "half": (FRAME, [0, 0.5, 0, 0, 0], ValueError, NO_FORM + r".*got 0.5 for column 1$"),
    "text": (FRAME, ["1", 0, 0, 0, 0], ValueError, NO_FORM + r".*got '1' for column 0$"),
    "NaN": (FRAME, [np.nan] * 5, ValueError, NO_FORM + r".*got nan for column 0$"),
    "None": (FRAME, [None] * 5, ValueError, NO_FORM + r".*got None for column 0$"),
    "nested": (FRAME, [[1, 0, 0, 0, 0]] * 5, ValueError, NO_FORM + r".*for column 0$"),
    "dict value": (FRAME, {"free": 3}, ValueError, NO_FORM + r".*got 3 for column 'free'$"),
    "unknown": (FRAME, {"rise": 1}, ValueError, NO_FORM + r".*'rise', which is not among \['ri"),
    "no names": (NAMELESS, {"rises": 1}, ValueError, NO_FORM + ".*but X has no column names$"),
    "category": (FRAME, {"kind": 1}, ValueError, "must be 0 for categories.*1 for column 'kind'"),
    "index": (FRAME, [0, 0, 0, -1, 0], ValueError, "must be 0 for categories.*-1 for column 'ki"),
    "number": (FRAME, 1, ValueError, "^monotonic_cst must be None, an array .*got 1$"),
    "word": (FRAME, "rises", ValueError, "^monotonic_cst must be None, an array .*got 'rises'$"),
    "iterator": (FRAME, iter([1]), TypeError, "^monotonic_cst must be None, an array .*iterator"),
    "sparse": (sparse.csr_array(NAMELESS), [1, 0, 0, 0, 0], ValueError, "^monotonic_cst needs den"),
}
UNABLE = {
    "lm": ({"solver": "lm"}, "^solver='lm' cannot keep to monotonic_cst: take one of 'sgd'"),
    "lbfgs": ({"solver": "lbfgs"}, "^solver='lbfgs' cannot keep to monotonic_cst: take one"),
    "gelu": ({"activation": "gelu"}, "^activation='gelu' cannot keep to monotonic_cst: take one"),
    "silu": ({"activation": "silu", "alpha": 1.0}, "^activation='silu' cannot keep to monot"),
}


def check_refused(model, rows, y, error, message):
    before = vars(model).copy()
    with pytest.raises(error, match=message):
        model.fit(rows, y)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)


class TestRefused:
    @pytest.mark.parametrize(("rows", "asked", "error", "message"), WRONG.values(), ids=WRONG)
    @pytest.mark.parametrize("estimator", [TwoLayerRegressor, TwoLayerClassifier])
    def test_constraints_that_X_cannot_have(self, rows, asked, error, message, estimator):
        y = QUANTITIES if estimator is TwoLayerRegressor else LABELS
        check_refused(estimator(monotonic_cst=asked), rows, y, error, message)

    @pytest.mark.parametrize(("options", "message"), UNABLE.values(), ids=UNABLE)
    def test_what_cannot_keep_to_them(self, options, message):
        model = TwoLayerRegressor(monotonic_cst=CONSTRAINTS, **options)
        check_refused(model, FRAME, QUANTITIES, ValueError, message)
        model.set_params(monotonic_cst=[0] * 5, max_iter=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(FRAME, QUANTITIES)

    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    def test_more_than_two_classes(self, method):
        model = TwoLayerClassifier(monotonic_cst=CONSTRAINTS, solver="adam")
        kinds = {
            "3 classes": np.arange(N_ROWS) % 3,
            "2 labels": np.column_stack([LABELS == "yes", LABELS == "no"]).astype(int),
        }
        for kind, y in kinds.items():
            classes = {"classes": [0, 1, 2]} if method == "partial_fit" and y.ndim == 1 else {}
            with pytest.raises(ValueError, match=f"^Only binary.* monotonic_cst.* {kind}"):
                getattr(model, method)(FRAME, y, **classes)
            assert not hasattr(model, "coefs_")

    def test_but_one_class_is_none_too_many(self):
        model = TwoLayerClassifier(monotonic_cst=CONSTRAINTS, **QUICK)
        assert_array_equal(model.fit(FRAME, np.ones(N_ROWS)).predict_proba(FRAME), 1)


@pytest.mark.parametrize("estimator", [TwoLayerRegressor, TwoLayerClassifier])
@pytest.mark.parametrize("constraints", [None, [0, 0], [0, 1], {"a": -1}, {"a": 0}])
def test_tags_say_what_constraints_leave(estimator, constraints):
    tags = get_tags(estimator(monotonic_cst=constraints))
    is_free = constraints in (None, [0, 0], {"a": 0})
    assert tags.input_tags.sparse == is_free
    if estimator is TwoLayerClassifier:
        assert tags.classifier_tags.multi_class == is_free
        assert tags.classifier_tags.multi_label == is_free


class OfAnyTable:
    """Constraints for as many columns as there are, in turn: checks bring tables of their own."""

    def _monotonic_directions(self):
        asked = self.monotonic_cst
        self.monotonic_cst = np.resize(asked, self.n_features_in_)
        try:
            return super()._monotonic_directions()
        finally:
            self.monotonic_cst = asked


class Classifier(OfAnyTable, TwoLayerClassifier):
    pass


class Regressor(OfAnyTable, TwoLayerRegressor):
    pass


SMALL = {"hidden_size": 10, "n_knots": 3, "max_iter": 30, "learning_rate_init": 0.03}


@pytest.mark.sampled(3)
@with_checks(
    [
        Regressor(monotonic_cst=[1], **SMALL),
        Classifier(monotonic_cst=[-1, 0], **SMALL),
    ],
    [
        Regressor(monotonic_cst=[0], **SMALL),
        Classifier(monotonic_cst=[0], **SMALL),
    ],
)
def test_common_checks(estimator, check):
    weights = check.func.__name__.startswith("check_sample_weight_equivalence")
    if weights and parse_version(sklearn.__version__) < parse_version("1.7"):
        pytest.skip(
            "1.6 asks for sparse X whatever the tags, and relabels by the first of the rows"
        )
    check(estimator)
