"""A weight of k is k copies, zero is absence, and only ratios count where nothing is penalised."""

from itertools import permutations
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone

from kinds import IGNORE_CONVERGENCE, every_solver
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.engine import SOLVERS

pytestmark = IGNORE_CONVERGENCE

N_ROWS = 48

# each solver under a fixed prior, and the evidence, which comes with one of them
WAYS = {name: {"solver": name, "alpha": 1.0} for name in SOLVERS}
WAYS["evidence"] = {"solver": "lm", "alpha": "auto"}


class Table(NamedTuple):
    """Rows, targets, and the weights of rows: few whole numbers, zero among them."""

    estimator: type
    X: np.ndarray
    y: np.ndarray
    copies: np.ndarray

    def model(self, way="lbfgs", **options):
        """Twenty iterations, a stochastic solver seeing all rows in each step."""
        once = {"batch_size": 10_000, "learning_rate_init": 0.01}
        length = {"max_iter": 20, "tol": 0.0, "random_state": 0}
        return self.estimator(6, **{**WAYS[way], **once, **length, **options})


def targets(kind, X, rng):
    score = X[:, :3] + rng.randn(len(X), 3)
    return {
        "binary": lambda: np.array(["no", "yes"])[(score[:, 0] > 0.4).astype(int)],
        "multiclass": lambda: np.array([-1, 3, 7])[np.digitize(score[:, 0], [-0.5, 0.8])],
        "multilabel": lambda: (score > [0, 0.5, -0.5]).astype(int),
        "one target": lambda: 100 * score[:, 0] + 5,
        "two targets": lambda: score[:, :2] * [1e3, 1e-3] + 1,
    }[kind]()


def table(kind):
    rng = np.random.RandomState(0)
    X = rng.randn(N_ROWS, 4) * (rng.uniform(size=(N_ROWS, 4)) < 0.7) * [1, 10, 0.1, 1]
    estimator = TwoLayerRegressor if "target" in kind else TwoLayerClassifier
    return Table(estimator, X, targets(kind, X, rng), rng.randint(0, 4, N_ROWS))


def drawn(kind):
    t = table(kind)
    return t, t.X, t.y, t.copies


def known_classes(t):
    """What the first chunk must be told of."""
    is_needed = t.estimator is TwoLayerClassifier and t.y.ndim == 1
    return {"classes": np.unique(t.y)} if is_needed else {}


CLASSES = ["binary", "multiclass", "multilabel"]
KINDS = [*CLASSES, "one target", "two targets"]
every_kind = pytest.mark.parametrize("kind", KINDS)
every_kind_of_labels = pytest.mark.parametrize("kind", CLASSES)
every_way = pytest.mark.parametrize("way", WAYS)
stored_as = pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array], ids=["dense", "CSR"])


def outputs(model, X):
    """Probabilities, or predictions in units of their spread."""
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)
    predicted = model.predict(X)
    return predicted / predicted.std(axis=0)


def check_same(first, second, X):
    assert_allclose(outputs(first, X), outputs(second, X), rtol=0, atol=1e-6)
    assert_allclose(first.loss_curve_, second.loss_curve_, rtol=1e-6)
    assert_allclose(first.best_loss_, second.best_loss_, rtol=1e-6)


def check_unlike(first, second):
    n = min(len(first.loss_curve_), len(second.loss_curve_))
    assert not np.allclose(first.loss_curve_[:n], second.loss_curve_[:n], rtol=1e-3)


@pytest.mark.sampled(7)
@every_kind
@every_solver
@stored_as
@pytest.mark.parametrize("alpha", [0.0, 1.0, "auto"])
def test_whole_weights_are_copies(kind, solver, storage, alpha):
    t, X, y, copies = drawn(kind)
    model = t.model(solver, alpha=alpha)
    repeated = np.repeat(np.arange(N_ROWS), copies)
    weighted = clone(model).fit(storage(X), y, sample_weight=copies)
    copied = clone(model).fit(storage(X[repeated]), y[repeated])
    check_same(weighted, copied, storage(X))
    check_unlike(weighted, clone(model).fit(storage(X), y))


@pytest.mark.sampled(7)
@every_kind
@every_way
@stored_as
def test_rows_of_weight_zero_are_absent(kind, way, storage):
    t, X, y, copies = drawn(kind)
    absent = copies == 0
    wild = np.where(absent[:, None], 1e9, X)
    weights = np.where(absent, 0, 0.5 + copies / 7)
    model = t.model(way)
    weighted = clone(model).fit(storage(wild), y, sample_weight=weights)
    removed = clone(model).fit(storage(X[~absent]), y[~absent], sample_weight=weights[~absent])
    assert_array_equal(outputs(weighted, X), outputs(removed, X))
    assert weighted.loss_curve_ == removed.loss_curve_
    assert weighted.t_ == removed.t_


@pytest.mark.sampled(7)
@every_kind
@every_solver
@stored_as
@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize("even", [True, False])
def test_a_common_factor_changes_nothing_without_penalty(kind, solver, storage, factor, even):
    t, X, y, copies = drawn(kind)
    weights = np.ones(N_ROWS) if even else 0.1 + copies
    model = t.model(solver, alpha=0.0)
    plain = clone(model).fit(storage(X), y, sample_weight=weights)
    scaled = clone(model).fit(storage(X), y, sample_weight=weights * factor)
    check_same(scaled, plain, X)


@every_kind
@every_solver
def test_a_common_factor_of_weights_and_alpha_changes_nothing(kind, solver):
    t, X, y, copies = drawn(kind)
    plain = t.model(solver, alpha=3.0).fit(X, y, sample_weight=copies)
    scaled = t.model(solver, alpha=3e4).fit(X, y, sample_weight=1e4 * copies)
    check_same(scaled, plain, X)
    check_unlike(t.model(solver, alpha=3.0).fit(X, y, sample_weight=1e4 * copies), plain)


@every_kind
@every_solver
@pytest.mark.parametrize("early_stopping", [True, False])
def test_weights_of_validation_rows_are_copies(kind, solver, early_stopping):
    t, X, y, copies = drawn(kind)
    train, held_out = np.arange(N_ROWS) < 30, np.arange(30, N_ROWS)
    repeated = np.repeat(held_out, copies[30:])
    model = t.model(solver, early_stopping=early_stopping)

    def validated(rows, weights=None):
        options = {"X_val": X[rows], "y_val": y[rows], "sample_weight_val": weights}
        return clone(model).fit(X[train], y[train], **options)

    weighted, copied = validated(held_out, copies[30:]), validated(repeated)
    assert_allclose(weighted.validation_scores_, copied.validation_scores_, rtol=1e-9)
    assert weighted.best_iter_ == copied.best_iter_
    check_same(weighted, copied, X)
    assert validated(held_out).validation_scores_[0] != weighted.validation_scores_[0]


@every_kind
@every_solver
def test_weights_of_chunks_are_copies(kind, solver):
    if not SOLVERS[solver].incremental:
        pytest.skip("takes no chunks")
    t, X, y, copies = drawn(kind)
    weighted, copied = t.model(solver), t.model(solver)
    for chunk in np.split(np.arange(N_ROWS), 3):
        weighted.partial_fit(X[chunk], y[chunk], sample_weight=copies[chunk], **known_classes(t))
        repeated = np.repeat(chunk, copies[chunk])
        copied.partial_fit(X[repeated], y[repeated], **known_classes(t))
    check_same(weighted, copied, X)


def worth_of_labels(y, worth, rest=1.0):
    return np.array([worth.get(label, rest) for label in y.tolist()])


def balanced(y, weights):
    """sum(w) / (K * sum of w in the class) of each row, for one column of labels."""
    classes = np.unique(y)
    totals = [weights[y == label].sum() for label in classes]
    worth = weights.sum() / (len(classes) * np.array(totals))
    return worth[np.searchsorted(classes, y)]


def check_class_weight(t, class_weight, worth, way, storage=np.asarray, weights=None):
    """`class_weight` does what it is worth as a weight of rows, multiplied into `weights`."""
    X = storage(t.X)
    by_class = t.model(way, class_weight=class_weight).fit(X, t.y, sample_weight=weights)
    both = worth if weights is None else worth * weights
    by_row = t.model(way).fit(X, t.y, sample_weight=both)
    check_same(by_class, by_row, X)
    check_unlike(t.model(way).fit(X, t.y, sample_weight=weights), by_class)


DICTS = {
    "binary": {"no": 0.3, "yes": 4},
    "multiclass": {-1: 2.5, 3: 1, 7: 0.2},
    "multilabel": [{0: 1, 1: 3}, {0: 0.5, 1: 1}, {0: 2, 1: 0.1}],
}


def worth_by_dict(y, class_weight):
    if y.ndim == 1:
        return worth_of_labels(y, class_weight)
    return np.prod([worth_of_labels(*pair) for pair in zip(y.T, class_weight, strict=True)], axis=0)


def worth_if_balanced(y, weights):
    return np.prod([balanced(column, weights) for column in y.reshape(len(y), -1).T], axis=0)


with_or_without_weights = pytest.mark.parametrize("weighted", [False, True])


@every_kind_of_labels
@every_way
@stored_as
@with_or_without_weights
def test_class_weights_by_name_of_label(kind, way, storage, weighted):
    t = table(kind)
    weights = t.copies if weighted else None
    worth = worth_by_dict(t.y, DICTS[kind])
    check_class_weight(t, DICTS[kind], worth, way, storage, weights)


@every_kind_of_labels
@every_way
@stored_as
@with_or_without_weights
def test_balanced_classes_count_weights(kind, way, storage, weighted):
    t = table(kind)
    weights = t.copies if weighted else None
    worth = worth_if_balanced(t.y, t.copies if weighted else np.ones(N_ROWS))
    check_class_weight(t, "balanced", worth, way, storage, weights)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_balanced_classes_weigh_the_same(kind):
    t = table(kind)
    weights = 0.5 + t.copies
    worth = weights * balanced(t.y, weights)
    totals = [worth[t.y == label].sum() for label in np.unique(t.y)]
    assert_allclose(totals, weights.sum() / len(totals))
    check_class_weight(t, "balanced", balanced(t.y, weights), "lbfgs", weights=weights)


LABELS_LEFT_OUT = {
    "binary": ({"yes": 3.0}, {"no": 1.0, "yes": 3.0}),
    "multiclass": ({-1: 3.0}, {-1: 3.0, 3: 1.0, 7: 1.0}),
    "multilabel": ([{1: 3.0}, {}, {0: 2.0}], [{0: 1.0, 1: 3.0}, {}, {0: 2.0, 1: 1.0}]),
}


@every_kind_of_labels
def test_a_label_without_class_weight_counts_as_one(kind):
    t = table(kind)
    short, full = LABELS_LEFT_OUT[kind]
    check_class_weight(t, short, worth_by_dict(t.y, full), "lbfgs")


LACKING = {
    "binary": ({"yes": 3.0}, lambda y: y == "no"),
    "multiclass": ({-1: 5.0, 3: 2.0}, lambda y: y == 7),
    "multilabel": ([{1: 3.0}, {}, {0: 2.0}], lambda y: y[:, 0] == 0),
}


@every_kind_of_labels
def test_a_chunk_may_lack_a_label_that_has_a_class_weight(kind):
    t, X, y, _ = drawn(kind)
    class_weight, lacks = LACKING[kind]
    by_class, by_row = t.model("adam", class_weight=class_weight), t.model("adam")
    for chunk in (np.full(N_ROWS, True), lacks(y)):
        worth = worth_by_dict(y[chunk], class_weight)
        by_class.partial_fit(X[chunk], y[chunk], **known_classes(t))
        by_row.partial_fit(X[chunk], y[chunk], sample_weight=worth, **known_classes(t))
    check_same(by_class, by_row, X)


@every_kind_of_labels
def test_validation_rows_may_lack_a_label_that_has_a_class_weight(kind):
    t, X, y, _ = drawn(kind)
    class_weight, lacks = LACKING[kind]
    held_out = {"X_val": X[lacks(y)], "y_val": y[lacks(y)]}
    by_class = t.model(class_weight=class_weight).fit(X, y, **held_out)
    worth_val = worth_by_dict(held_out["y_val"], class_weight)
    worth = worth_by_dict(y, class_weight)
    by_row = t.model().fit(X, y, worth, sample_weight_val=worth_val, **held_out)
    assert_allclose(by_class.validation_scores_, by_row.validation_scores_, rtol=1e-9)
    check_same(by_class, by_row, X)


@every_solver
@stored_as
def test_class_weight_zero_removes_the_rows_of_a_class(solver, storage):
    t = table("multiclass")
    kept = t.y != 3
    wild = np.where(kept[:, None], t.X, 1e9)
    by_class = t.model(solver, alpha=0.0, class_weight={3: 0.0}).fit(storage(wild), t.y)
    by_row = t.model(solver, alpha=0.0).fit(storage(t.X), t.y, sample_weight=kept)
    assert by_class.classes_.tolist() == [-1, 3, 7]
    assert by_class.t_ == by_row.t_ == by_class.n_iter_ * kept.sum()
    # the class is still known, and soon next to impossible
    longer = t.model(solver, class_weight={3: 0.0}, max_iter=400).fit(storage(wild), t.y)
    assert longer.predict_proba(t.X)[kept, 1].mean() < 0.05
    assert not np.isin(3, longer.predict(t.X[kept]))


@every_way
def test_class_weight_zero_removes_the_rows_of_one_of_two_labels(way):
    t = table("multilabel")
    absent = t.y[:, 1] == 1
    wild = np.where(absent[:, None], 1e9, t.X)
    by_class = t.model(way, class_weight=[{}, {1: 0.0}, {}]).fit(wild, t.y)
    removed = t.model(way).fit(t.X[~absent], t.y[~absent])
    check_same(by_class, removed, t.X)


def one_epoch(t, rows, rate, weights, batch_size):
    """All parameters after one epoch of plain gradient descent on `rows`, in that order."""
    plain = {"momentum": 0.0, "standardize": False, "alpha": 2.0, "shuffle": False}
    model = t.model("sgd", learning_rate_init=rate, batch_size=batch_size, **plain)
    model.partial_fit(t.X[rows], t.y[rows], sample_weight=weights[rows], **known_classes(t))
    return np.concatenate([part.ravel() for part in [*model.coefs_, *model.intercepts_]])


@pytest.mark.sampled(3)
@every_kind
@pytest.mark.parametrize("weights", [[1, 1, 1, 1, 1], [0.1, 9, 2, 0.5, 30]], ids=["even", "uneven"])
def test_mini_batches_expect_the_weighted_gradient(kind, weights):
    t = table(kind)
    t = t._replace(X=t.X / [1, 10, 0.1, 1], y=t.y / t.y.std(axis=0) if "target" in kind else t.y)
    n_rows, rate, weights = len(weights), 1e-6, np.array(weights)
    orders = [np.array(order) for order in permutations(range(n_rows))]
    start = one_epoch(t, orders[0], 1e-300, weights, n_rows)
    whole = (one_epoch(t, orders[0], rate, weights, n_rows) - start) / rate
    steps = [(one_epoch(t, order, rate, weights, 2) - start) / rate for order in orders]
    # two batches of two rows and one of a single row: three steps
    assert_allclose(np.mean(steps, axis=0) / 3, whole, rtol=1e-3, atol=1e-4)
    assert np.ptp(steps, axis=0).max() > 0.1


@pytest.mark.parametrize("n_rows", [1200, 3300])
def test_what_is_chosen_untouched_does_not_depend_on_how_copies_come(n_rows):
    # as copies they would pass the sizes at which other networks are chosen
    rng = np.random.RandomState(0)
    X = rng.randn(n_rows, 4)
    y = np.sin(X[:, 0]) + 0.1 * rng.randn(n_rows)
    weighted = TwoLayerRegressor(random_state=0).fit(X, y, sample_weight=np.full(n_rows, 3.0))
    copied = TwoLayerRegressor(random_state=0).fit(np.repeat(X, 3, axis=0), np.repeat(y, 3))
    assert weighted.coefs_[0].shape == copied.coefs_[0].shape
    assert_array_equal(weighted.predict(X), copied.predict(X))
    assert_array_equal(weighted.alpha_, copied.alpha_)


def untouched_rows(estimator, n_rows=240, n_columns=3):
    """So many that networks of all kinds are averaged, in single and in double precision."""
    rng = np.random.RandomState(0)
    X = rng.randn(n_rows, n_columns)
    score = np.sin(2 * X[:, 0]) + np.abs(X[:, 1]) + 0.3 * rng.randn(n_rows)
    y = score if estimator is TwoLayerRegressor else np.digitize(score, [0.3, 1.2])
    return X, y, rng.randint(0, 4, n_rows), rng.permutation(n_rows)


def told(estimator, X, y, at, **weights):
    """All that an untouched estimator says of rows."""
    model = estimator(random_state=0).fit(X, y, **weights)
    assert len({member["solver"] for member in model.members_}) > 1
    if estimator is TwoLayerRegressor:
        return np.column_stack([*model.predict(at, return_std=True), model.predict(5 * at)])
    return np.column_stack([model.predict_proba(at), model.decision_function(5 * at)])


@pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])
def test_weights_are_copies_to_the_last_bit_untouched(estimator):
    X, y, copies, _ = untouched_rows(estimator)
    repeated = np.repeat(np.arange(len(X)), copies)
    weighted = told(estimator, X, y, X, sample_weight=copies)
    assert_array_equal(weighted, told(estimator, X[repeated], y[repeated], X))
    assert not np.allclose(weighted, told(estimator, X, y, X))


@pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])
def test_the_order_of_rows_does_not_matter_untouched(estimator):
    X, y, copies, order = untouched_rows(estimator)
    expected = told(estimator, X, y, X, sample_weight=copies)
    found = told(estimator, X[order], y[order], X, sample_weight=copies[order])
    assert_array_equal(found, expected)


@pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])
def test_rows_of_weight_zero_are_absent_untouched(estimator):
    X, y, copies, _ = untouched_rows(estimator)
    wild = np.where((copies == 0)[:, None], 1e9, X)
    expected = told(estimator, X[copies > 0], y[copies > 0], X, sample_weight=copies[copies > 0])
    assert_array_equal(told(estimator, wild, y, X, sample_weight=copies), expected)


@pytest.mark.parametrize("options", [{}, {"solver": "adam", "early_stopping": True}])
def test_rows_of_weight_zero_may_be_set_aside_again(options):
    # plain float32 rows of which some are dropped, and then some held out of the rest
    rng = np.random.RandomState(0)
    X = rng.randn(10_050, 3).astype(np.float32)
    w = (np.arange(len(X)) % 300 > 0).astype(float)
    model = TwoLayerRegressor(5, max_iter=2, standardize=False, random_state=0, **options)
    expected = clone(model).fit(X[w > 0], X[w > 0, 0]).predict(X)
    assert_array_equal(model.fit(X, X[:, 0], sample_weight=w).predict(X), expected)
