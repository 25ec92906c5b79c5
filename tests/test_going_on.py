"""Fits that go on from earlier ones, begin again, are broken off, fall apart, or talk."""

import copy
import hashlib
import pickle
import re
import warnings
from types import SimpleNamespace
from typing import NamedTuple

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning

import kinds
from kinds import IGNORE_CONVERGENCE, INCREMENTAL, every_solver
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, engine
from sklearn_twolayer.engine import SOLVERS

N_ROWS = 60
N_EPOCHS = 7


def labels(n_classes):
    return kinds.labels(n_classes, N_ROWS)


def two_targets():
    X, y = make_friedman1(N_ROWS, 5, random_state=0)
    return X, np.column_stack([y, 1e3 * X[:, 0] - 7])


class Kind(NamedTuple):
    """An estimator and rows for it, and what its first call of partial_fit needs to know."""

    estimator: type
    X: np.ndarray
    y: np.ndarray
    first: dict

    def model(self, solver="adam", **options):
        settings = {"alpha": 0.0, "tol": 0.0, "n_iter_no_change": 1000, "batch_size": 16}
        settings = {**settings, "max_iter": N_EPOCHS, "shuffle": False, **options}
        settings = {"activation": "tanh", **settings}
        return self.estimator(6, solver=solver, random_state=0, **settings)

    def begin(self, solver="adam", **options):
        """A model after its first call of partial_fit on all rows."""
        return self.model(solver, **options).partial_fit(self.X, self.y, **self.first)


KINDS = {
    "binary": Kind(TwoLayerClassifier, *labels(2), {"classes": [0, 1]}),
    "multiclass": Kind(TwoLayerClassifier, *labels(3), {"classes": [0, 1, 2]}),
    "multilabel": Kind(
        TwoLayerClassifier,
        *kinds.several_labels(N_ROWS),
        {},
    ),
    "one target": Kind(TwoLayerRegressor, *make_friedman1(N_ROWS, 5, random_state=0), {}),
    "two targets": Kind(TwoLayerRegressor, *two_targets(), {}),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
either_estimator = pytest.mark.parametrize("kind", [KINDS["multiclass"], KINDS["two targets"]])
every_incremental_solver = pytest.mark.parametrize("solver", INCREMENTAL)


def outputs(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def check_same(actual, expected, X, tolerance=1e-12):
    assert_allclose(outputs(actual, X), outputs(expected, X), rtol=tolerance)
    for ours, theirs in zip(actual.coefs_, expected.coefs_, strict=True):
        assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())
    assert_allclose(actual.loss_curve_, expected.loss_curve_, rtol=tolerance)
    assert (actual.n_iter_, actual.t_) == (expected.n_iter_, expected.t_)


def whole_fit(model, X, y, **weights):
    """One fit, whose best weights are the last, as those that are to be compared with it."""
    model = clone(model).fit(X, y, **weights)
    assert model.best_iter_ == model.n_iter_ == N_EPOCHS
    return model


@pytest.mark.sampled(3)
@every_kind
@every_incremental_solver
@IGNORE_CONVERGENCE
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_many_partial_fits_are_one_fit(kind, solver, container, with_weights, shuffle, rng):
    X, weights = container(kind.X), {}
    if with_weights:
        weights["sample_weight"] = rng.uniform(0, 2, N_ROWS) * (np.arange(N_ROWS) % 5 > 0)
    model = kind.model(solver, shuffle=shuffle)
    expected = whole_fit(model, X, kind.y, **weights)
    model.partial_fit(X, kind.y, **kind.first, **weights)
    for _ in range(N_EPOCHS - 1):
        model.partial_fit(X, kind.y, **weights)
    # a stream has met as many rows as there were calls, and is surer of what lies outside them
    inside = weights.get("sample_weight", np.ones(N_ROWS)) > 0
    check_same(model, expected, kind.X[inside])


@pytest.mark.sampled(3)
@every_kind
@every_incremental_solver
@IGNORE_CONVERGENCE
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_many_warm_starts_are_one_fit(kind, solver, standardize, shuffle):
    model = kind.model(solver, shuffle=shuffle, standardize=standardize, alpha=0.5)
    expected = whole_fit(model, kind.X, kind.y)
    model.set_params(warm_start=True, max_iter=1)
    for _ in range(N_EPOCHS):
        model.fit(kind.X, kind.y)
    check_same(model, expected, kind.X)


@every_kind
@every_incremental_solver
@IGNORE_CONVERGENCE
def test_a_batch_in_each_call_is_an_epoch_in_one(kind, solver):
    model = kind.model(solver, standardize=False, batch_size=20, max_iter=1)
    expected = clone(model).fit(kind.X, kind.y)
    assert expected.best_iter_ == 1
    model.partial_fit(kind.X[:20], kind.y[:20], **kind.first)
    for start in (20, 40):
        model.partial_fit(kind.X[start : start + 20], kind.y[start : start + 20])
    assert_allclose(outputs(model, kind.X), outputs(expected, kind.X), rtol=1e-12)


@either_estimator
@IGNORE_CONVERGENCE
def test_a_schedule_goes_on_where_it_was(kind):
    settings = {"learning_rate": "step", "decay_epochs": 2.0, "learning_rate_init": 0.01}
    model = kind.model("sgd", **settings)
    expected = whole_fit(model, kind.X, kind.y)
    model.partial_fit(kind.X, kind.y, **kind.first)
    for _ in range(N_EPOCHS - 1):
        model.partial_fit(kind.X, kind.y)
    check_same(model, expected, kind.X)


@either_estimator
@IGNORE_CONVERGENCE
def test_every_method_goes_on_from_every_other(kind):
    X, y = kind.X, kind.y
    model = kind.model(warm_start=True)
    expected = whole_fit(kind.model(), X, y)
    model.set_params(max_iter=3).fit(X, y)
    model.partial_fit(X, y)
    model.set_params(max_iter=2).fit(X, y)
    model.partial_fit(X, y)
    check_same(model, expected, X)


@either_estimator
@every_incremental_solver
@IGNORE_CONVERGENCE
def test_a_fit_without_warm_start_begins_again(kind, solver):
    model = kind.begin(solver).partial_fit(kind.X, kind.y)
    model.fit(kind.X, kind.y)
    check_same(model, clone(model).fit(kind.X, kind.y), kind.X, tolerance=1e-15)


@every_kind
@every_incremental_solver
@IGNORE_CONVERGENCE
def test_each_call_counts(kind, solver):
    model = kind.begin(solver)
    chunks = [slice(0, 7), slice(7, 40), slice(40, 41)]
    for number, chunk in enumerate(chunks, start=2):
        before = list(model.loss_curve_)
        model.partial_fit(kind.X[chunk], kind.y[chunk])
        assert model.n_iter_ == model.best_iter_ == len(model.loss_curve_) == number
        assert model.loss_curve_[:-1] == before
        assert model.t_ == N_ROWS + chunk.stop
        assert model.solver_ == solver
    model.set_params(warm_start=True, max_iter=3).fit(kind.X, kind.y)
    assert model.n_iter_ == len(model.loss_curve_) == 7
    assert model.t_ == 4 * N_ROWS + 41
    assert model.loss_ == model.loss_curve_[-1]


@pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])
@pytest.mark.parametrize("solver", ["auto", *SOLVERS])
def test_partial_fit_is_there_where_the_solver_can(estimator, solver):
    assert hasattr(estimator(solver=solver), "partial_fit") == (solver not in ("lbfgs", "lm"))


@either_estimator
def test_auto_streams_with_adam(kind):
    model, adam = (kind.begin(solver) for solver in ("auto", "adam"))
    assert model.solver_ == "adam"
    check_same(model, adam, kind.X, tolerance=0)


@every_solver
@either_estimator
@IGNORE_CONVERGENCE
def test_a_warm_start_may_change_the_solver(kind, solver):
    model = kind.model("adam", warm_start=True).fit(kind.X, kind.y)
    before = model.loss_
    model.set_params(solver=solver).fit(kind.X, kind.y)
    assert model.solver_ == solver
    assert model.loss_curve_[N_EPOCHS] < model.loss_curve_[0]
    assert model.loss_ < before


def check_refused(call, model, message):
    before = vars(model).copy()
    state = copy.deepcopy(model.__dict__.get("_state"))
    with pytest.raises(ValueError, match=message):
        call(model)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)
    np.testing.assert_equal(model.__dict__.get("_state"), state)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_classes_are_needed_in_the_first_call(kind):
    kind = KINDS[kind]
    check_refused(lambda m: m.partial_fit(kind.X, kind.y), kind.model(), "classes must be given")
    model = kind.model().partial_fit(kind.X[:1], kind.y[:1], **kind.first)
    assert_array_equal(model.classes_, np.unique(kind.y))
    assert_array_equal(outputs(model, kind.X).shape, (N_ROWS, len(model.classes_)))


def test_classes_may_be_given_again_if_they_are_the_same():
    kind = KINDS["multiclass"]
    model = kind.begin().partial_fit(kind.X, kind.y, classes=[2, 1, 0])
    check_same(model, kind.begin().partial_fit(kind.X, kind.y), kind.X, tolerance=0)


BAD_CALLS = {
    "unknown label": (lambda X, y: {"X": X, "y": y + 1}, "labels.*3"),
    "too few columns": (lambda X, y: {"X": X[:, :2], "y": y}, "2 features.*expecting 5"),
    "several labels": (lambda X, y: {"X": X, "y": np.eye(3)[y]}, "labels of the classes"),
    "other classes": (lambda X, y: {"X": X, "y": y, "classes": [0, 1, 2, 3]}, "classes"),
    "weights": (lambda X, y: {"X": X, "y": y, "sample_weight": -np.ones(len(y))}, "negative"),
    "infinity": (
        lambda X, y: {"X": np.full_like(X, np.inf), "y": y},
        "column 0 of X: .*infinity",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD_CALLS.values(), ids=BAD_CALLS)
@every_incremental_solver
def test_a_later_call_that_does_not_fit_is_refused(call, message, solver):
    kind = KINDS["multiclass"]
    arguments = call(kind.X, kind.y)
    check_refused(lambda m: m.partial_fit(**arguments), kind.begin(solver), message)


def test_a_later_call_with_other_targets_is_refused():
    kind = KINDS["two targets"]
    for y in (kind.y[:, 0], kind.y[:, [0, 1, 1]]):
        check_refused(lambda m, y=y: m.partial_fit(kind.X, y), kind.begin(), "2 columns")
    kind = KINDS["multilabel"]
    for y in (kind.y[:, 0], kind.y[:, :2]):
        check_refused(lambda m, y=y: m.partial_fit(kind.X, y), kind.begin(), "labels of the")


@every_solver
@IGNORE_CONVERGENCE
def test_a_warm_start_with_fewer_classes(solver):
    kind = KINDS["multiclass"]
    model = kind.model(solver, warm_start=True).fit(kind.X, kind.y)
    before = model.predict_proba(kind.X)
    fewer = kind.y != 1
    model.fit(kind.X[fewer], kind.y[fewer])
    assert_array_equal(model.classes_, [0, 1, 2])
    assert model.predict_proba(kind.X)[fewer, 1].mean() < before[fewer, 1].mean()


@every_solver
@IGNORE_CONVERGENCE
@pytest.mark.parametrize(
    ("hidden_size", "n_columns", "message"),
    [(9, 5, "hidden_size=9 differs.*6.*warm_start=False"), (6, 2, "2 features.*expecting 5")],
    ids=["hidden_size", "columns"],
)
def test_a_warm_start_of_another_shape_is_refused(solver, hidden_size, n_columns, message):
    kind = KINDS["multiclass"]
    model = kind.model(solver, warm_start=True).fit(kind.X, kind.y)
    model.set_params(hidden_size=hidden_size)
    check_refused(lambda m: m.fit(kind.X[:, :n_columns], kind.y), model, message)


def chunks_of_other_scale(X, y):
    """The rows as they are, and then in other units and far away."""
    yield X, y
    yield 1e3 * X + 500, 10 * y if y.dtype == float else y
    yield 1e-3 * X, y


@pytest.mark.sampled(3)
@every_kind
@every_incremental_solver
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_a_chunk_of_another_scale_does_not_change_the_function(kind, solver, container):
    model = kind.begin(solver)
    for _ in range(3):
        model.partial_fit(kind.X, kind.y)
    expected = outputs(model, kind.X)
    model.set_params(learning_rate_init=1e-300)
    if solver == "sgd":
        model.set_params(momentum=0.0)
    if solver == "adam":
        model.set_params(beta_1=0.0)
    for X, y in chunks_of_other_scale(kind.X, kind.y):
        model.partial_fit(container(X), y)
        assert_allclose(outputs(model, kind.X), expected, rtol=1e-9)


@every_kind
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("with_weights", [False, True], ids=["unweighted", "weighted"])
def test_units_learnt_from_chunks_are_those_of_the_whole(kind, container, with_weights, rng):
    chunks = list(chunks_of_other_scale(kind.X, kind.y))
    weights = [rng.uniform(0.1, 9, N_ROWS) if with_weights else None for _ in chunks]
    model = kind.model("sgd", learning_rate_init=1e-300)
    for (X, y), w in zip(chunks, weights, strict=True):
        model.partial_fit(container(X), y, sample_weight=w, **(kind.first if X is kind.X else {}))
    X = np.concatenate([X for X, _ in chunks])
    w = np.concatenate(weights) if with_weights else None
    mean = np.average(X, axis=0, weights=w)
    measured = engine.restore(model._state).scaling
    assert_allclose(measured.X.mean, mean, rtol=1e-10)
    deviation = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=w))
    assert_allclose(measured.X.scale, deviation, rtol=1e-10)
    if kind.estimator is TwoLayerRegressor:
        y = np.concatenate([y for _, y in chunks]).reshape(len(X), -1)
        assert_allclose(measured.Y.mean, np.average(y, axis=0, weights=w), rtol=1e-10)


@pytest.mark.parametrize("weight", [None, 3.0])
@either_estimator
def test_the_penalty_is_shared_by_all_rows_that_have_arrived(kind, weight):
    """With rows of zeros nothing but the penalty moves W1."""
    alpha, rate = 5.0, 0.1
    settings = {"alpha": alpha, "learning_rate_init": rate, "standardize": False, "momentum": 0.0}
    model = kind.model("sgd", batch_size=100, **settings)
    expected, n_seen = None, 0
    for n_rows in (10, 30, 20):
        X, y = np.zeros((n_rows, 5)), kind.y[:n_rows]
        w = None if weight is None else np.full(n_rows, weight)
        model.partial_fit(X, y, sample_weight=w, **(kind.first if n_seen == 0 else {}))
        n_seen += n_rows
        if expected is None:
            expected = model.coefs_[0]
        else:
            expected = expected * (1 - rate * alpha / (n_seen * (weight or 1.0)))
        assert_allclose(model.coefs_[0], expected, rtol=1e-12)


@every_kind
@every_incremental_solver
@IGNORE_CONVERGENCE
@pytest.mark.parametrize("method", ["partial_fit", "warm start"])
def test_weights_mapped_read_only_from_a_file_are_copied(kind, solver, method, tmp_path):
    model = kind.begin(solver)
    path = tmp_path / "model.joblib"
    joblib.dump(model, path)
    before = hashlib.sha256(path.read_bytes()).digest()
    mapped = joblib.load(path, mmap_mode="r")
    assert not mapped.coefs_[0].flags.writeable
    for each in (model, mapped):
        if method == "partial_fit":
            each.partial_fit(kind.X, kind.y)
        else:
            each.set_params(warm_start=True).fit(kind.X, kind.y)
    check_same(mapped, model, kind.X, tolerance=0)
    assert hashlib.sha256(path.read_bytes()).digest() == before


@every_kind
@every_incremental_solver
def test_a_pickle_goes_on_as_if_nothing_had_happened(kind, solver):
    model = kind.begin(solver, shuffle=True)
    restored = pickle.loads(pickle.dumps(model))
    for each in (model, restored):
        each.partial_fit(kind.X, kind.y).partial_fit(kind.X, kind.y)
    check_same(restored, model, kind.X, tolerance=0)


@either_estimator
@every_incremental_solver
def test_what_goes_on_leaves_its_copy_alone(kind, solver):
    model = kind.begin(solver)
    other = copy.copy(model)
    expected = clone(model).partial_fit(kind.X, kind.y, **kind.first)
    model.partial_fit(kind.X, kind.y)
    check_same(other, expected, kind.X, tolerance=0)
    check_same(other.partial_fit(kind.X, kind.y), model, kind.X, tolerance=0)


class Interrupting:
    """A scorer that is interrupted from the keyboard in its third call."""

    n_calls = 0

    def __call__(self, estimator, X, y):
        self.n_calls += 1
        if self.n_calls == 3:
            raise KeyboardInterrupt
        return float(self.n_calls)


@pytest.mark.sampled(3)
@every_kind
@every_solver
@IGNORE_CONVERGENCE
@pytest.mark.parametrize("warm_start", [False, True])
def test_an_interrupted_fit_was_never_begun(kind, solver, warm_start):
    held_out = {"X_val": kind.X, "y_val": kind.y}
    fresh = kind.model(solver, scoring=Interrupting(), warm_start=warm_start)
    fitted = kind.model(solver, warm_start=warm_start).fit(kind.X, kind.y)
    for model in (fresh, fitted.set_params(scoring=Interrupting())):
        expected = copy.deepcopy(model)
        before = vars(model).copy()
        with pytest.raises(KeyboardInterrupt):
            model.fit(kind.X, kind.y, **held_out)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[name] is before[name] for name in before)
        for each in (model, expected):
            each.set_params(scoring="loss").fit(kind.X, kind.y)
        check_same(model, expected, kind.X, tolerance=0)


LINE = re.compile(
    r"(?:start \d of \d  )?iteration {1,6}(\d+)  loss +(\S+)(?:  validation +(\S+))?"
    r"  +(\d\.\d\de[+-]\d\d) s/iteration"
)


def reports(capsys):
    """What each line of an iteration says: its number, loss, validation score, seconds."""
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = [line for line in printed.out.splitlines() if not line.startswith("TwoLayer")]
    return [LINE.fullmatch(line).groups() for line in lines]


@every_solver
@either_estimator
@IGNORE_CONVERGENCE
@pytest.mark.parametrize("validated", [False, True])
def test_every_iteration_can_be_reported(kind, solver, validated, capsys):
    held_out = {"X_val": kind.X, "y_val": kind.y} if validated else {}
    model = kind.model(solver, verbose=2).fit(kind.X, kind.y, **held_out)
    iterations, losses, scores, _ = zip(*reports(capsys), strict=True)
    assert [int(i) for i in iterations] == list(range(1, model.n_iter_ + 1))
    assert_allclose(np.array(losses, float), model.loss_curve_, rtol=1e-5)
    if validated:
        assert_allclose(np.array(scores, float), model.validation_scores_, rtol=1e-5)
    else:
        assert set(scores) == {None}


@IGNORE_CONVERGENCE
def test_lines_are_as_wide_as_each_other(capsys):
    kind = KINDS["one target"]
    kind.model(verbose=2, max_iter=1100, batch_size=100).fit(kind.X, kind.y)
    *lines, _ = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines}) == 1


@every_solver
@IGNORE_CONVERGENCE
def test_nothing_is_printed_unasked(solver, capsys):
    kind = KINDS["binary"]
    kind.model(solver).fit(kind.X, kind.y)
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def clock(monkeypatch):
    """The clock of runs and reports, which stands still unless it is moved by hand."""
    hands = SimpleNamespace(now=0.0)
    fake = SimpleNamespace(perf_counter=lambda: hands.now)
    for module in ("monitor", "progress"):
        monkeypatch.setattr(f"sklearn_twolayer.engine.solvers.{module}.time", fake)
    return hands


def ticking(clock, seconds):
    """A scorer that takes its time."""

    def scoring(estimator, X, y):
        clock.now += seconds
        return clock.now

    return scoring


@every_solver
@IGNORE_CONVERGENCE
def test_progress_is_reported_once_a_second(solver, clock, capsys):
    kind = KINDS["one target"]
    model = kind.model(solver, verbose=True, scoring=ticking(clock, 0.25))
    model.fit(kind.X, kind.y, X_val=kind.X, y_val=kind.y)
    assert [int(line[0]) for line in reports(capsys)] == [1, 5]


@every_solver
@IGNORE_CONVERGENCE
@pytest.mark.parametrize("options", [{}, {"n_init": 3}, {"warm_start": True}])
def test_the_time_of_an_iteration_is_told(solver, options, clock, capsys):
    kind = KINDS["one target"]
    model = kind.model(solver, verbose=2, scoring=ticking(clock, 0.25), **options)
    for _ in range(2):
        model.fit(kind.X, kind.y, X_val=kind.X, y_val=kind.y)
    assert {float(line[3]) for line in reports(capsys)} == {0.25}


@pytest.mark.sampled(3)
@every_solver
@either_estimator
@IGNORE_CONVERGENCE
@pytest.mark.parametrize("validated", [False, True])
def test_the_best_of_several_starts_is_kept(kind, solver, validated):
    held_out = {"X_val": kind.X[30:], "y_val": kind.y[30:]} if validated else {}
    rows = (kind.X[:30], kind.y[:30]) if validated else (kind.X, kind.y)
    model = kind.model(solver, shuffle=True)
    seeds = np.random.RandomState(0).randint(np.iinfo(np.int32).max, size=4)
    single = [clone(model).set_params(random_state=s).fit(*rows, **held_out) for s in seeds]
    several = clone(model).set_params(n_init=4).fit(*rows, **held_out)
    again = clone(several).fit(*rows, **held_out)
    values = [m.best_validation_score_ if validated else -m.best_loss_ for m in single]
    best = single[int(np.argmax(values))]
    assert np.ptp(values) > 0
    check_same(several, best, kind.X, tolerance=0)
    check_same(again, several, kind.X, tolerance=0)


def the_warning(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert [entry.category for entry in caught] == [ConvergenceWarning]
    assert caught[0].filename == __file__
    return str(caught[0].message)


def loss_of(model, kind):
    if hasattr(model, "predict_log_proba"):
        return -model.predict_log_proba(kind.X)[np.arange(N_ROWS), kind.y].mean()
    return ((model.predict(kind.X) - kind.y) ** 2 / kind.y.var(axis=0)).mean()


RATES = [1e5, 1e150, 1e307]


@either_estimator
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("batch_size", [16, 1000])
@pytest.mark.parametrize("scoring", [None, "loss", "own"])
@pytest.mark.parametrize("max_iter", [1, 100])
def test_divergence_costs_nothing_but_a_warning(kind, rate, batch_size, scoring, max_iter):
    held_out, options = {}, {"activation": "identity", "batch_size": batch_size}
    if scoring is not None:
        own = "neg_log_loss" if kind.estimator is TwoLayerClassifier else "r2"
        options["scoring"] = scoring if scoring == "loss" else own
        held_out = {"X_val": kind.X, "y_val": kind.y}
    model = kind.model("sgd", max_iter=max_iter).set_params(**options)
    start = clone(model).set_params(learning_rate_init=1e-300, max_iter=1, batch_size=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start.fit(kind.X, kind.y)
    model.set_params(learning_rate_init=rate)
    message = the_warning(lambda: model.fit(kind.X, kind.y, **held_out))
    assert "learning_rate_init" in message or "max_iter" in message
    assert np.isfinite(outputs(model, kind.X)).all()
    assert loss_of(model, kind) <= loss_of(start, kind) * (1 + 1e-9)


@either_estimator
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("batch_size", [16, 1000])
def test_divergence_in_a_stream_leaves_finite_predictions(kind, rate, batch_size):
    model = kind.begin("sgd", batch_size=batch_size)
    model.set_params(learning_rate_init=rate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.partial_fit(kind.X, kind.y).partial_fit(kind.X, kind.y)
    assert np.isfinite(outputs(model, kind.X)).all()


@pytest.mark.sampled(5)
@every_incremental_solver
@either_estimator
@pytest.mark.parametrize("method", ["partial_fit", "warm start"])
def test_learning_goes_on_after_a_divergence_at_a_lower_rate(kind, solver, method):
    model = kind.begin(solver, warm_start=True, activation="identity", max_iter=1)
    learn = model.partial_fit if method == "partial_fit" else model.fit
    expected = loss_of(model, kind)
    model.set_params(learning_rate_init=1e200)
    assert "diverged" in the_warning(lambda: learn(kind.X, kind.y))
    assert loss_of(model, kind) == pytest.approx(expected, rel=1e-9)
    model.set_params(learning_rate_init=0.01)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*max_iter=1 ", ConvergenceWarning)
        for _ in range(20):
            learn(kind.X, kind.y)
    assert loss_of(model, kind) < 0.9 * expected


class TestStreamsUnderTheEvidence:
    """Chunks may be smaller than what it takes to tell: each adds to what the others have told."""

    @staticmethod
    def rows(n_rows, n_columns):
        rng = np.random.RandomState(0)
        X = rng.randn(n_rows, n_columns)
        return X, np.sin(2 * X[:, 0]) + X[:, 1] + 0.5 * rng.randn(n_rows)

    @staticmethod
    def stream(X, y, size, **options):
        model = TwoLayerRegressor(10, solver="adam", random_state=0, **options)
        for start in range(0, len(X), size):
            model.partial_fit(X[start : start + size], y[start : start + size])
        return model

    def test_end_like_one_fit(self):
        X, y = self.rows(5000, 3)
        model = self.stream(X[:4000], y[:4000], 50, learning_rate_init=0.02, batch_size=10)
        whole = TwoLayerRegressor(10, solver="adam", max_iter=20, random_state=0)
        whole.fit(X[:4000], y[:4000])
        assert model.noise_variance_ == pytest.approx(whole.noise_variance_, rel=0.35)
        assert np.abs(np.log(model.alpha_ / whole.alpha_)).max() < np.log(5)
        for each in (model, whole):
            prediction, deviation = each.predict(X[4000:], return_std=True)
            inside = np.abs(prediction - y[4000:]) < 1.645 * deviation
            assert 0.86 < inside.mean() < 0.94

    def test_know_more_than_their_last_chunk(self):
        """Ten rows alone would leave most directions of twenty columns to the prior."""
        X, y = self.rows(2000, 20)
        model = self.stream(X[:1500], y[:1500], 10, learning_rate_init=0.01)
        whole = TwoLayerRegressor(10, solver="adam", max_iter=20, random_state=0)
        whole.fit(X[:1500], y[:1500])
        of_function = [
            np.median(each.predict(X[1500:], return_std=True)[1] ** 2) - each.noise_variance_
            for each in (model, whole)
        ]
        assert of_function[0] < 3 * of_function[1]

    def test_forget_what_was_told_in_other_units(self):
        X, y = self.rows(200, 3)
        model = self.stream(X[:150], y[:150], 50)
        model.partial_fit(1e3 * X[150:] + 500, y[150:])
        state = engine.restore(model._state)
        U = (1e3 * X[150:] + 500 - state.scaling.X.mean) / state.scaling.X.scale
        assert_allclose(state.state["factors"]["A"][:-1, :-1], U.T @ U / 50, rtol=1e-9)
        assert np.isfinite(model.predict(X, return_std=True)[1]).all()

    def test_say_how_sure_they_are_after_each_chunk(self):
        X, y = self.rows(120, 3)
        model = TwoLayerRegressor(10, random_state=0)
        for chunk in (slice(0, 1), slice(1, 30), slice(30, 120)):
            model.partial_fit(X[chunk], y[chunk])
            _, deviation = model.predict(X, return_std=True)
            assert (deviation**2 >= model.noise_variance_).all()
        labels = TwoLayerClassifier(10, random_state=0).partial_fit(X, y > 0, classes=[False, True])
        first = labels.decision_function(X)
        labels.moderate = False
        assert (np.abs(first) < np.abs(labels.decision_function(X))).all()


@pytest.mark.parametrize("solver", ["lm", "lbfgs", "adam"])
def test_weights_under_a_given_prior_are_where_the_evidence_goes_on(solver):
    """It keeps what they have learnt, and begins with the noise that they leave."""
    rng = np.random.RandomState(0)
    X = rng.uniform(-2, 2, (200, 2))
    y = np.sin(2 * X[:, 0]) + X[:, 1] ** 2 + 0.03 * rng.standard_normal(200)
    model = TwoLayerRegressor(10, solver="lm", alpha=0.01, warm_start=True, random_state=0)
    model.fit(X, y)
    error = np.mean((y - model.predict(X)) ** 2)
    # Adam at its usual rate would take long steps first
    model.set_params(solver=solver, alpha="auto", max_iter=1, learning_rate_init=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert np.mean((y - model.predict(X)) ** 2) < 3 * error
    assert error / 3 < model.noise_variance_ < 3 * error
