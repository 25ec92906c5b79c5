"""Validation rows: which they are, what they decide, and what is remembered of it."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification, make_friedman1, make_multilabel_classification
from sklearn.metrics import get_scorer, log_loss

from kinds import IGNORE_CONVERGENCE, every_solver
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer._validation import held_out_rows
from sklearn_twolayer.engine import SOLVERS

pytestmark = IGNORE_CONVERGENCE

N_TRAIN = 120


def labels(n_classes, names=None):
    X, y = make_classification(
        200, 6, n_informative=4, n_classes=n_classes, flip_y=0.3, random_state=0
    )
    return X, y if names is None else np.array(names)[y]


def one_target():
    """Validation rows are inside the ranges of the others.

    Outside predictions may be drawn in, which is no matter of the weights that are rated.
    """
    X, y = make_friedman1(200, 6, noise=2.0, random_state=0)
    return np.clip(X, X[:N_TRAIN].min(axis=0), X[:N_TRAIN].max(axis=0)), y


def two_targets():
    X, y = one_target()
    return X, np.column_stack([y, 1e3 * X[:, 0] ** 2])


class Kind(NamedTuple):
    """An estimator, its rows, and how its loss is computed by other means."""

    estimator: type
    X: np.ndarray
    y: np.ndarray
    scoring: str

    @property
    def train(self):
        return self.X[:N_TRAIN], self.y[:N_TRAIN]

    @property
    def held_out(self):
        return {"X_val": self.X[N_TRAIN:], "y_val": self.y[N_TRAIN:]}

    def model(self, solver="lbfgs", **options):
        settings = {"alpha": 0.01, "learning_rate_init": 0.03, "batch_size": 40, "max_iter": 20}
        return self.estimator(10, solver=solver, random_state=0, **{**settings, **options})


KINDS = {
    "binary": Kind(TwoLayerClassifier, *labels(2), "neg_log_loss"),
    "multiclass": Kind(TwoLayerClassifier, *labels(3, ["a", "bb", "c"]), "neg_log_loss"),
    "multilabel": Kind(
        TwoLayerClassifier,
        *make_multilabel_classification(200, 6, n_classes=3, random_state=0),
        "accuracy",
    ),
    "one target": Kind(TwoLayerRegressor, *one_target(), "r2"),
    "two targets": Kind(TwoLayerRegressor, *two_targets(), "neg_mean_squared_error"),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def outputs(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


class Watch:
    """A scorer that remembers the rows it was given, and says what it is told to say."""

    def __init__(self, scores=None):
        self.scores = scores
        self.n_calls = 0

    def __call__(self, estimator, X, y, sample_weight=None):
        self.X, self.y, self.weights = X, y, sample_weight
        self.n_calls += 1
        if self.scores is None:
            return estimator.score(X, y)
        return self.scores[min(self.n_calls, len(self.scores)) - 1]


def set_aside(y, solver="lbfgs", X=None, **options):
    """The numbers of the rows that early stopping takes away from the training."""
    watch = Watch([0.0])
    estimator = TwoLayerClassifier if np.asarray(y).dtype.kind in "iU" else TwoLayerRegressor
    settings = {"early_stopping": True, "max_iter": 1, "random_state": 0, **options}
    numbers = np.arange(len(y), dtype=float)[:, None]
    model = estimator(2, solver=solver, scoring=watch, **settings).fit(numbers, y)
    rows = watch.X[:, 0].astype(int)
    assert_array_equal(watch.y, np.asarray(y)[rows])
    assert model.t_ == len(y) - len(rows)
    return rows


@every_kind
@every_solver
def test_curves_have_one_entry_per_iteration(kind, solver):
    model = kind.model(solver, early_stopping=True).fit(kind.X, kind.y)
    assert 1 < model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_)
    assert all(type(score) is float for score in model.validation_scores_)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_iter_ == 1 + np.argmax(model.validation_scores_)


@every_kind
@every_solver
@pytest.mark.parametrize("early_stopping", [True, False])
def test_the_weights_of_the_best_score_are_kept(kind, solver, early_stopping):
    model = kind.model(solver, scoring=kind.scoring, early_stopping=early_stopping)
    model.fit(*kind.train, **kind.held_out)
    score = get_scorer(kind.scoring)(model, *kind.held_out.values())
    assert score == pytest.approx(model.best_validation_score_, rel=1e-9)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_iter_ == 1 + np.argmax(model.validation_scores_)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_best_score_is_not_the_last(solver):
    kind = KINDS["one target"]
    model = kind.model(solver, max_iter=60, learning_rate_init=0.1, batch_size=10).fit(
        *kind.train, **kind.held_out
    )
    assert model.best_iter_ < model.n_iter_
    assert model.validation_scores_[-1] < model.best_validation_score_


def negated_loss(model, X, y, train_y):
    """What ``scoring="loss"`` means, by other means."""
    if isinstance(model, TwoLayerRegressor):
        error = ((y - model.predict(X)) / train_y.std(axis=0)) ** 2
        return -0.5 * error.reshape(len(y), -1).sum(axis=1).mean()
    if y.ndim == 1:
        return -log_loss(y, model.predict_proba(X))
    P = model.predict_proba(X)
    return np.log(np.where(y, P, 1 - P)).sum(axis=1).mean()


@every_kind
@every_solver
def test_the_default_score_is_the_negated_loss_without_penalty(kind, solver):
    model = kind.model(solver, alpha=30.0).fit(*kind.train, **kind.held_out)
    expected = negated_loss(model, *kind.held_out.values(), kind.train[1])
    assert model.best_validation_score_ == pytest.approx(expected, rel=1e-9)


@every_kind
@every_solver
def test_own_validation_rows_leave_the_walk_alone(kind, solver):
    alone = kind.model(solver, tol=0.01).fit(*kind.train)
    watched = kind.model(solver, tol=0.01).fit(*kind.train, **kind.held_out)
    assert watched.loss_curve_ == alone.loss_curve_
    assert len(watched.validation_scores_) == watched.n_iter_


@every_kind
@every_solver
def test_early_stopping_on_own_rows_trains_on_all_others(kind, solver):
    model = kind.model(solver, early_stopping=True).fit(*kind.train, **kind.held_out)
    assert model.t_ == N_TRAIN * model.n_iter_


@every_kind
@every_solver
def test_without_validation_there_are_no_scores(kind, solver):
    model = kind.model(solver, max_iter=3).fit(kind.X, kind.y)
    assert model.validation_scores_ is None
    assert model.best_validation_score_ is None


@pytest.mark.sampled(3)
@every_kind
@every_solver
def test_a_name_and_a_callable_mean_the_same(kind, solver):
    models = [
        kind.model(solver, scoring=scoring, early_stopping=True).fit(kind.X, kind.y)
        for scoring in (kind.scoring, get_scorer(kind.scoring))
    ]
    assert models[0].validation_scores_ == models[1].validation_scores_
    assert_array_equal(outputs(models[0], kind.X), outputs(models[1], kind.X))


@every_kind
def test_a_callable_sees_rows_in_the_units_of_the_caller(kind):
    watch = Watch()
    kind.model(scoring=watch, early_stopping=True).fit(1e3 * kind.X + 7, kind.y)
    rows = [np.flatnonzero((1e3 * kind.X + 7 == row).all(axis=1))[0] for row in watch.X]
    assert len(rows) == len(kind.X) // 10
    assert_array_equal(watch.y, kind.y[rows])


METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("method", METHODS)
def test_a_callable_may_ask_a_classifier_anything(kind, method):
    kind = KINDS[kind]
    seen = []

    def scoring(estimator, X, y):
        seen.append(getattr(estimator, method)(X))
        return float(len(seen))

    model = kind.model(scoring=scoring, max_iter=3).fit(*kind.train, **kind.held_out)
    assert_array_equal(seen[-1], getattr(model, method)(kind.held_out["X_val"]))


def test_weights_follow_their_rows():
    X, y = KINDS["one target"].train
    X, weights, watch = np.arange(N_TRAIN)[:, None], np.linspace(1, 2, N_TRAIN), Watch([0.0])
    model = TwoLayerRegressor(2, early_stopping=True, scoring=watch, max_iter=1)
    model.fit(X, y, sample_weight=weights)
    assert_array_equal(watch.weights, weights[watch.X[:, 0].astype(int)])


@every_solver
@pytest.mark.parametrize(
    ("names", "counts"),
    [((0, 1), (140, 60)), (("x", "yy", "z"), (120, 60, 20)), ((-1, 5, 7, 9), (50, 50, 50, 50))],
)
def test_labels_are_set_aside_in_proportion(solver, names, counts, rng):
    y = rng.permutation(np.repeat(names, counts))
    rows = set_aside(y, solver, validation_fraction=0.2)
    _, found = np.unique(y[rows], return_counts=True)
    assert_array_equal(found, np.array(counts) // 5)


@every_solver
@pytest.mark.parametrize("seed", range(5))
def test_a_label_that_occurs_once_stays_in_training(solver, seed):
    y = np.repeat([0, 1, 2, 3], [40, 1, 40, 1])
    rows = set_aside(y, solver, validation_fraction=0.5, random_state=seed)
    assert set(y[rows]) == {0, 2}


RARE = {
    "two rows of each of sixty": (np.repeat(np.arange(60), 2), 0.1),
    "two rows of one class, a few of which train": (np.repeat([0, 1, 2], [50, 50, 2]), 0.9),
}


@pytest.mark.parametrize(("y", "fraction"), RARE.values(), ids=RARE)
@pytest.mark.parametrize("seed", range(3))
def test_no_label_is_lost_to_validation(y, fraction, seed):
    _, test = held_out_rows(len(y), fraction, y, np.random.RandomState(seed))
    assert set(np.delete(y, test)) == set(y)


@pytest.mark.parametrize("labels", [None, np.arange(100) % 3])
@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_rows_train_or_validate(labels, fraction):
    train, test = held_out_rows(100, fraction, labels, np.random.RandomState(0))
    assert len(test) == int(100 * fraction)
    assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(100))


def test_another_seed_sets_other_rows_aside():
    y = np.arange(100.0)
    first, again, other = (set(set_aside(y, random_state=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize(("n_rows", "fraction"), [(1, 0.5), (2, 0.99), (19, 0.5), (99, 0.1)])
@every_solver
@pytest.mark.parametrize("kind", ["binary", "one target"])
def test_too_few_rows_to_validate_on_all_train(kind, solver, n_rows, fraction, capsys):
    kind = KINDS[kind]
    X, y = kind.X[:n_rows], kind.y[:n_rows]
    few = kind.model(solver, max_iter=5, early_stopping=True, validation_fraction=fraction)
    plain = clone(few).set_params(early_stopping=False).fit(X, y)
    assert_array_equal(outputs(few.fit(X, y), X), outputs(plain, X))
    assert few.validation_scores_ is None
    assert capsys.readouterr().out == ""
    few.set_params(verbose=True).fit(X, y)
    assert "too few rows" in capsys.readouterr().out.splitlines()[0]


@every_solver
def test_ten_rows_are_enough_to_validate_on(solver):
    assert len(set_aside(np.arange(100.0), solver)) == 10


SCRIPTS = {
    "never better": ([0.0], 4, 1),
    "worse and worse": ([-1.0, -2.0, -3.0, -4.0], 4, 1),
    "better now and then": ([1, 2, 2, 1, 3, 3, 3, 3], 8, 5),
    "better by less than tol": ([-1, -0.9995, -0.9993, -0.9991, -0.9], 4, 4),
    "better by more than tol": ([1, 1.002, 1.0021, 1.0022, 1.0023, 1.1], 5, 5),
}


@every_solver
@pytest.mark.parametrize(("scores", "n_iter", "best"), SCRIPTS.values(), ids=SCRIPTS)
def test_patience_is_counted_in_scores(solver, scores, n_iter, best):
    kind = KINDS["one target"]
    options = {"scoring": Watch(scores), "early_stopping": True, "n_iter_no_change": 3}
    model = kind.model(solver, tol=1e-3, **options).fit(kind.X, kind.y)
    assert (model.n_iter_, model.best_iter_) == (n_iter, best)


@every_solver
@pytest.mark.parametrize("patience", [1, 5])
def test_patience_is_what_it_says(solver, patience):
    kind = KINDS["binary"]
    options = {"scoring": Watch([0.0]), "early_stopping": True, "n_iter_no_change": patience}
    assert kind.model(solver, **options).fit(kind.X, kind.y).n_iter_ == 1 + patience


@every_solver
def test_scores_do_not_stop_a_fit_without_early_stopping(solver):
    kind = KINDS["one target"]
    model = kind.model(solver, scoring=Watch([0.0]), n_iter_no_change=3, tol=0.0, max_iter=12)
    assert model.fit(*kind.train, **kind.held_out).n_iter_ > 4


@every_solver
@pytest.mark.parametrize("scoring", ["loss", "neg_mean_squared_error", None])
@pytest.mark.parametrize("scale", [2.0**-40, 2.0**40])
def test_the_scale_of_y_does_not_matter_to_tol(solver, scoring, scale):
    kind = KINDS["one target"]
    options = {"scoring": scoring, "early_stopping": True} if scoring else {}
    model = kind.model(solver, tol=0.01, n_iter_no_change=3, max_iter=1000, **options)
    n_iter = clone(model).fit(kind.X, kind.y).n_iter_
    assert n_iter < 1000
    assert clone(model).fit(kind.X, scale * kind.y).n_iter_ == n_iter


@every_solver
@pytest.mark.parametrize("class_weight", [{0: 1.0, 1: 10.0}, "balanced"])
@pytest.mark.parametrize("scoring", ["loss", "neg_log_loss"])
def test_validation_rows_are_weighed_by_their_class(solver, class_weight, scoring, rng):
    X, y = labels(2)
    train, test = slice(20, N_TRAIN), slice(N_TRAIN, None)
    shares = np.bincount(y[train]) / 100
    worth = np.array([1.0, 10.0]) if class_weight != "balanced" else 1 / (2 * shares)
    w = rng.uniform(0.5, 2, len(X))
    model = KINDS["binary"].model(solver, class_weight=class_weight, scoring=scoring)
    held_out = {"X_val": X[test], "y_val": y[test], "sample_weight_val": w[test]}
    model.fit(X[train], y[train], **held_out)
    weights = w[test] * worth[y[test]]
    expected = -log_loss(y[test], model.predict_proba(X[test]), sample_weight=weights)
    assert model.best_validation_score_ == pytest.approx(expected, rel=1e-9)


@pytest.mark.sampled(3)
@every_kind
@every_solver
@pytest.mark.parametrize("scoring", ["loss", "own"])
def test_validation_weights_are_copies_and_zero_is_absence(kind, solver, scoring, rng):
    X, y = kind.held_out.values()
    k = rng.randint(0, 3, len(X))
    model = kind.model(solver, scoring=kind.scoring if scoring == "own" else "loss", max_iter=5)
    weighted, copied = (
        model.fit(
            *kind.train, X_val=rows, y_val=targets, sample_weight_val=weights
        ).validation_scores_
        for rows, targets, weights in ((X, y, k), (np.repeat(X, k, 0), np.repeat(y, k, 0), None))
    )
    assert_allclose(weighted, copied, rtol=1e-9)


@every_kind
@every_solver
def test_sparse_validation_rows_give_the_same_scores(kind, solver):
    held_out = {**kind.held_out, "X_val": sparse.csr_array(kind.held_out["X_val"])}
    for scoring in ("loss", kind.scoring):
        model = kind.model(solver, scoring=scoring, max_iter=5)
        expected = clone(model).fit(*kind.train, **kind.held_out).validation_scores_
        model.fit(*kind.train, **held_out)
        assert_allclose(model.validation_scores_, expected, rtol=1e-9)


def spoilt(kind, **changes):
    return {**kind.held_out, **changes}


BAD = {
    "too few columns": (lambda k: spoilt(k, X_val=k.held_out["X_val"][:, :2]), "features"),
    "too few targets": (lambda k: spoilt(k, y_val=k.held_out["y_val"][:-1]), "inconsistent"),
    "infinity": (
        lambda k: spoilt(k, X_val=np.full_like(k.held_out["X_val"], np.inf, float)),
        "column 0 of X_val.*infinity",
    ),
    "negative weights": (
        lambda k: spoilt(k, sample_weight_val=-np.ones(80)),
        "sample_weight_val must not be negative",
    ),
    "zero weights": (
        lambda k: spoilt(k, sample_weight_val=np.zeros(80)),
        "sample_weight_val must not be zero",
    ),
    "X_val without y_val": (lambda k: spoilt(k, y_val=None), "X_val needs y_val"),
    "y_val without X_val": (lambda k: spoilt(k, X_val=None), "X_val"),
    "weights without X_val": (lambda k: {"sample_weight_val": np.ones(80)}, "X_val"),
}


def check_refused(kind, model, held_out, message):
    before = vars(model).copy()
    with pytest.raises(ValueError, match=message):
        model.fit(*kind.train, **held_out)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)


@every_kind
@pytest.mark.parametrize(("held_out", "message"), BAD.values(), ids=BAD)
def test_bad_validation_rows_are_refused_and_change_nothing(kind, held_out, message):
    check_refused(kind, kind.model(), held_out(kind), message)
    check_refused(kind, kind.model(max_iter=2).fit(*kind.train), held_out(kind), message)


@pytest.mark.parametrize(
    ("kind", "unknown"), [("binary", 2), ("multiclass", "zz"), ("one target", "text")]
)
def test_unknown_labels_to_validate_on_are_refused(kind, unknown):
    kind = KINDS[kind]
    y = kind.held_out["y_val"].astype(object)
    y[3] = unknown
    y = y if kind.estimator is TwoLayerRegressor else y.astype(type(unknown))
    check_refused(kind, kind.model(), spoilt(kind, y_val=y), str(unknown))
