"""Callbacks of scikit-learn 1.9 and newer: tasks and their totals, scores on the way, and stops."""

import copy
import importlib.util
import pickle
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.metrics import log_loss, make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, _callbacks, engine

callback = pytest.importorskip("sklearn.callback")
pytest.importorskip("rich")

pytestmark = IGNORE_CONVERGENCE
RNG = np.random.RandomState(0)
X = RNG.randn(60, 3)
y = np.sin(2 * X[:, 0]) + X[:, 1] + 0.3 * RNG.randn(60)
LABELS = np.array(["low", "high"])[(y > 0).astype(int)]


class Recorder:
    """Keeps the tasks in the order of what happened to them; `stop(context)` may end a level."""

    def __init__(self, stop=None):
        self.stop = stop
        self.happened, self.ended, self.given = [], [], []
        self.n_setups = self.n_teardowns = 0
        self.root = None

    def setup(self, estimator, context):
        self.n_setups += 1
        self.root = context

    def teardown(self, estimator, context):
        self.n_teardowns += 1

    def on_fit_task_begin(self, estimator, context):
        self.happened.append(("begin", context))

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        self.happened.append(("end", context))
        self.ended.append((context, fitted_estimator))
        self.given.append((X, y, metadata))
        return self.stop is not None and self.stop(context)

    def of(self, name):
        """The tasks that have the name, as they ended."""
        return [context for context, _ in self.ended if context.task_name == name]


def recorded(model, X=X, y=y, stop=None, **options):
    recorder = Recorder(stop)
    model.set_callbacks(recorder).fit(X, y, **options)
    return recorder


def children(context):
    return list(context._children_map.values())


def outline(context):
    """(name, most parts, number of parts, outlines of parts that have parts themselves)."""
    parts = children(context)
    inner = [outline(part) for part in parts if part.max_subtasks]
    return (context.task_name, context.max_subtasks, len(parts), inner)


def lbfgs(cls=TwoLayerRegressor, **options):
    given = {"solver": "lbfgs", "alpha": 1.0, "max_iter": 4, "random_state": 0}
    return cls(3, **{**given, **options})


def by_evidence(cls=TwoLayerRegressor, **options):
    return cls(3, **{"solver": "lbfgs", "max_iter": 4, "random_state": 0, **options})


def run(name, n=4, most=4):
    return (name, most, n, [])


FOLDS = [("fold", 0, 0, [])] * 5
OUTLINES = {
    "one network": (lbfgs(), run("fit")),
    "mini-batches": (lbfgs(solver="adam"), run("fit")),
    "exact evidence": (by_evidence(solver="lm"), run("fit")),
    "Kronecker evidence": (by_evidence(), run("fit")),
    "a borrowed prior": (by_evidence(loss="absolute_error"), run("fit", 8, 8)),
    "labels": (lbfgs(TwoLayerClassifier), run("fit")),
    "starts": (lbfgs(n_init=3), ("fit", 3, 3, [run("start")] * 3)),
    "members": (by_evidence(n_members=2), ("fit", 2, 2, [run("member")] * 2)),
    "starts of members": (
        by_evidence(n_members=2, n_init=2),
        ("fit", 2, 2, [("member", 2, 2, [run("start")] * 2)] * 2),
    ),
    "folds": (
        by_evidence(TwoLayerClassifier, n_members=2),
        ("fit", 7, 7, [run("member")] * 2),
    ),
    "a pilot": (
        by_evidence(loss="huber"),
        ("fit", 2, 2, [run("pilot"), run("member", 8, 8)]),
    ),
    "two kinds of noise": (
        by_evidence(noise="mixture"),
        ("fit", 12, 12, [run("member")] * 2),
    ),
    "needed columns": (
        lbfgs(group_lasso=True),
        ("fit", 2, 2, [("choose columns", 5, 5, []), run("train")]),
    ),
    "needed columns, members": (
        by_evidence(group_lasso=True, n_members=2),
        ("fit", 2, 2, [("choose columns", 5, 5, []), ("train", 2, 2, [run("member")] * 2)]),
    ),
}


@pytest.mark.parametrize("case", OUTLINES)
def test_tasks_have_totals_and_change_no_bit(case):
    model, expected = OUTLINES[case]
    targets = LABELS if isinstance(model, TwoLayerClassifier) else y
    alone, model = clone(model).fit(X, targets), clone(model)
    recorder = recorded(model, y=targets)
    assert outline(recorder.root) == expected
    for name in ("coefs_", "intercepts_"):
        for found, wanted in zip(getattr(model, name), getattr(alone, name), strict=True):
            assert_array_equal(found, wanted)
    assert model.loss_curve_ == alone.loss_curve_
    assert set(vars(model)) - set(vars(alone)) == {"_skl_callbacks"}
    assert recorder.n_setups == recorder.n_teardowns == 1


@pytest.mark.parametrize("case", ["starts of members", "folds", "a pilot", "needed columns"])
def test_each_task_begins_and_ends_once_within_its_parent(case):
    model = clone(OUTLINES[case][0])
    recorder = recorded(model, y=LABELS if isinstance(model, TwoLayerClassifier) else y)
    open_tasks = []
    for what, context in recorder.happened:
        if what == "begin":
            assert context.parent is (open_tasks[-1] if open_tasks else None)
            open_tasks.append(context)
        else:
            assert open_tasks.pop() is context
    assert not open_tasks
    assert len(recorder.ended) == len({id(context) for context, _ in recorder.ended})
    assert {id(context) for context, _ in recorder.ended} == {id(each) for each in recorder.root}


def test_as_it_comes_it_tells_of_all_networks():
    model = TwoLayerClassifier(random_state=0)
    recorder = recorded(model, *load_iris(return_X_y=True))
    names = [context.task_name for context in children(recorder.root)]
    n_members, n_kinds = len(recorder.of("member")), len(recorder.of("fold")) // 5
    assert names == ["fold"] * 5 * n_kinds + ["member"] * n_members
    assert n_members >= model.n_members_ > 1 and n_kinds > 1
    assert recorder.root.max_subtasks >= len(names) >= 0.8 * recorder.root.max_subtasks


def test_a_trial_on_one_part_of_many_rows_has_iterations():
    rng = np.random.RandomState(0)
    table = rng.randn(1100, 3)
    model = TwoLayerClassifier(3, solver="adam", n_members=2, max_iter=10, random_state=0)
    recorder = recorded(model, table, np.digitize(table[:, 0] * table[:, 1], [-0.3, 0.3]))
    trial, first, second = outline(recorder.root)[-1]
    # three tenths of the epochs, more as there are fewer rows
    assert trial == ("trial", 3, 3, [])
    assert first == second == ("member", 10, 10, [])
    trials = recorder.of("trial")
    assert not any(made for context, made in recorder.ended if context.parent in trials)


@pytest.mark.parametrize("options", [{"solver": "lm"}, {"solver": "adam"}, {"noise": "varying"}])
def test_no_run_takes_more_iterations_than_were_announced(options):
    """All are told: where the evidence settles late there are further steps."""
    model = TwoLayerRegressor(3, n_members=1, random_state=0, **{"solver": "lm", **options})
    recorder = recorded(model, y=X[:, 0] ** 3)
    assert len(children(recorder.root)) == model.n_iter_ <= recorder.root.max_subtasks
    assert len(recorder.ended) == model.n_iter_ + 1


def test_a_warm_start_goes_on_member_by_member():
    model = by_evidence(n_members=2, warm_start=True).fit(X, y)
    assert outline(recorded(model).root) == ("fit", 2, 2, [run("member")] * 2)
    assert model.n_iter_ == 8


class OnlyLooksOn(Recorder):
    """One that a meta-estimator hands down, as it does a progress bar."""

    max_propagation_depth = None


@pytest.mark.parametrize(
    ("callbacks", "max_iter", "expected"),
    [
        ([Recorder], 1000, (1000, 23, "iteration")),
        ([Recorder], 2500, (834, 8, "3 iterations")),
        ([OnlyLooksOn, Recorder], 100, (100, 23, "iteration")),
        ([OnlyLooksOn], 2500, (25, 1, "23 iterations")),
        ([OnlyLooksOn], 100, (25, 6, "4 iterations")),
        ([OnlyLooksOn], 20, (20, 20, "iteration")),
    ],
)
def test_many_iterations_are_told_in_blocks(callbacks, max_iter, expected):
    """23 of at most so many; where there are more than announced they are not told."""
    callbacks = [make() for make in callbacks]
    model = lbfgs().set_callbacks(*callbacks)
    tasks = _callbacks.tasks_of(model, X, y, None)
    tasks.begin(engine.Part("train", n_parts=1))
    tasks.begin(engine.Part("member", n_iter=max_iter))
    for _ in range(23):
        tasks.iterate(None)
    tasks.end()
    tasks.end()
    root = callbacks[0].root
    assert (root.max_subtasks, len(children(root)), children(root)[0].task_name) == expected
    assert {context.task_name for context, _ in callbacks[0].ended} >= {expected[2]}


# what the tasks are given

WEIGHTS = np.arange(60) % 3
TABLE = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": np.where(X[:, 2] > 0, "yes", "no")})
SAME_PATH = {
    "lbfgs": lbfgs(max_iter=12),
    "lm": lbfgs(solver="lm", max_iter=12),
    "lm, evidence": by_evidence(solver="lm", max_iter=12),
    "lbfgs, evidence": by_evidence(max_iter=12),
    "labels": lbfgs(TwoLayerClassifier, max_iter=12),
    "varying noise": by_evidence(noise="varying", max_iter=12),
    "poisson": lbfgs(loss="poisson", max_iter=12),
    "quantiles": lbfgs(loss="quantile", quantile=[0.2, 0.7], max_iter=12),
    "float32": lbfgs(dtype="float32", max_iter=12),
}


def logged(monitor):
    """{task ids: score} of the last run."""
    return {row["task_id_path"]: row["score"] for row in monitor.get_logs().data}


def scores_of(model, X, y, **options):
    monitor = callback.ScoringMonitor(scoring=default_score)
    model.set_callbacks(monitor).fit(X, y, **options)
    return logged(monitor)


def default_score(estimator, X, y, sample_weight=None):
    return {"score": estimator.score(X, y, sample_weight)}


@pytest.mark.parametrize("case", SAME_PATH)
@pytest.mark.parametrize("sample_weight", [None, WEIGHTS], ids=["", "weights"])
def test_scores_on_the_way_are_those_of_fits_that_end_there(case, sample_weight):
    model = clone(SAME_PATH[case])
    targets = {"labels": LABELS, "poisson": np.floor(np.exp(y))}.get(case, y)
    found = scores_of(model, TABLE, targets, sample_weight=sample_weight)
    assert set(found) == {(0,)} | {(0, i) for i in range(model.n_iter_)}
    for n_iter in (1, 2, model.n_iter_):
        shorter = clone(model).set_callbacks().set_params(max_iter=n_iter)
        shorter.fit(TABLE, targets, sample_weight)
        score = shorter.score(TABLE, targets, sample_weight)
        assert_allclose(found[0, n_iter - 1], score, rtol=1e-12)
    assert found[0,] == model.score(TABLE, targets, sample_weight)
    assert len(set(found.values())) > 2


def test_the_last_score_is_that_of_the_whole_model_and_its_error_bars():
    iris = load_iris(return_X_y=True)
    monitor = callback.ScoringMonitor(
        scoring={
            "score": make_scorer(log_loss, greater_is_better=False, response_method="predict_proba")
        }
    )
    model = by_evidence(TwoLayerClassifier, n_members=2, max_iter=20)
    model.set_callbacks(monitor).fit(*iris)
    found = logged(monitor)
    assert model._predictive is not None
    probabilities = model.predict_proba(iris[0])[np.arange(150), iris[1]]
    assert_allclose(found[0,], np.log(probabilities).mean(), rtol=1e-12)
    # of trials nothing is scored: they are not networks of this model
    names = {row["task_name"] for row in monitor.get_logs().data}
    assert names == {"fit", "member", "iteration"}


@pytest.mark.parametrize(
    "model",
    [
        by_evidence(n_members=2, n_init=2),
        by_evidence(noise="mixture", n_members=2),
        by_evidence(loss="absolute_error", n_members=2),
        TwoLayerRegressor(n_members=3, random_state=0, max_iter=4),
    ],
    ids=["starts", "mixture", "absolute error", "several kinds"],
)
def test_members_are_told_as_they_are_averaged(model):
    rows = np.tile(X, (3, 1))[:160] + 0.01 * np.random.RandomState(1).randn(160, 3)
    recorder = recorded(clone(model), rows, np.tile(y, 3)[:160])
    fitted = recorder.ended[-1][1]
    members = [made for context, made in recorder.ended if context.task_name == "member"]
    expected = sum(
        record["weight"] * member.predict(X)
        for record, member in zip(fitted.members_, members, strict=True)
    )
    # the average is not drawn in, and neither are its members
    fitted._predictive = None
    assert_allclose(fitted.predict(X), expected, rtol=1e-9)


@pytest.mark.parametrize("noise", ["constant", "varying", "mixture"])
def test_the_last_iteration_of_a_run_is_its_network(noise):
    recorder = recorded(by_evidence(n_members=2, noise=noise))
    assert len(recorder.of("member")) >= 2
    for context in recorder.of("member"):
        made = {id(each): fitted for each, fitted in recorder.ended}
        last = made[id(children(context)[-1])]
        assert_array_equal(last.predict(X), made[id(context)].predict(X))
        shapes = [network.intercepts_[1].shape for network in (last, made[id(context)])]
        assert shapes == [(1 if noise == "constant" else 2,)] * 2


def test_runs_for_another_loss_are_not_scored():
    recorder = recorded(by_evidence(loss="quantile", quantile=[0.2, 0.7]))
    iterations = [made for context, made in recorder.ended if context.task_name == "iteration"]
    assert [made is None for made in iterations] == [True] * 4 + [False] * 4
    assert iterations[-1].predict(X).shape == (60, 2)


def test_a_pilot_is_not_scored():
    recorder = recorded(by_evidence(loss="huber"))
    (pilot,) = recorder.of("pilot")
    of_pilot = [made for task, made in recorder.ended if pilot in (task, task.parent)]
    assert of_pilot == [None] * 5


def test_they_get_what_the_caller_gave():
    recorder = recorded(lbfgs(TwoLayerClassifier), TABLE, LABELS, sample_weight=WEIGHTS)
    assert recorder.given
    for rows, labels, metadata in recorder.given:
        assert rows is TABLE and labels is LABELS
        assert list(metadata) == ["sample_weight"] and metadata["sample_weight"] is WEIGHTS
    recorder = recorded(lbfgs())
    assert {repr(metadata) for _, _, metadata in recorder.given} == {"{}"}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_not_scored(bad):
    """No scorer is to fail on them, and the solver will see for itself."""
    recorder = Recorder()
    model = lbfgs().fit(X, y).set_callbacks(recorder)
    tasks, network = _callbacks.tasks_of(model, X, y, None), engine.restore(model._state)
    tasks.begin(engine.Part("train", n_iter=2))
    for W2 in (model.coefs_[1], np.full((3, 1), bad)):
        coefs, others = [model.coefs_[0], W2], ("relu", None, network.scaling)
        tasks.iterate(None, lambda c=coefs, others=others: (c, model.intercepts_, *others))
    (_, fine), (_, wild) = recorder.ended
    assert wild is None
    assert_array_equal(fine.predict(X), model.predict(X))


# stops


@pytest.mark.parametrize("solver", ["lbfgs", "lm", "adam"])
@pytest.mark.parametrize("make", [lbfgs, by_evidence], ids=["given", "evidence"])
def test_a_stop_keeps_the_best_weights(make, solver, capsys):
    # a schedule knows when it ends
    options = {"solver": solver, "learning_rate": "constant", "learning_rate_init": 0.05}
    stopped = make(**options, max_iter=20, verbose=True)
    recorded(stopped, stop=lambda context: context.task_id == 2 and context.task_name != "fit")
    assert stopped.n_iter_ == 3
    assert capsys.readouterr().out.endswith("3 iterations, stopped by a callback\n")
    if solver == "lbfgs" or make is lbfgs:
        # the exact evidence estimates no precision in its last step, mini-batches count theirs
        shorter = make(**options, max_iter=3).fit(X, y)
        assert_array_equal(stopped.coefs_[0], shorter.coefs_[0])
    assert np.isfinite(stopped.predict(X)).all()


def stop_at(name, number):
    """Whether a task is the one that has this name and number among its siblings."""
    return lambda context: (context.task_name, context.task_id) == (name, number)


@pytest.mark.parametrize("name", ["member", "iteration"])
def test_after_a_stop_no_other_member_begins(name):
    def stop(context):
        member = context if name == "member" else context.parent
        return context.task_name == name and member is not None and member.task_id == 1

    model = by_evidence(n_members=4)
    recorder = recorded(model, stop=stop)
    assert outline(recorder.root)[1:3] == (4, 2)
    assert model.n_members_ == 2
    assert len(children(recorder.of("member")[1])) == (4 if name == "member" else 1)


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (stop_at("start", 1), [2]),
        (stop_at("start", 2), [3]),
        (stop_at("member", 1), [3, 3]),
        (lambda context: context.task_name == "iteration" and context.parent.task_id == 1, [2]),
        (lambda context: context.task_name in ("start", "member"), [1]),
    ],
)
def test_after_a_stop_no_other_start_begins(stop, expected):
    recorder = recorded(by_evidence(n_members=3, n_init=3), stop=stop)
    assert [len(children(member)) for member in recorder.of("member")] == expected


def test_a_stop_in_the_last_block_counts():
    """It is told when the run has ended already."""
    callbacks = [OnlyLooksOn(stop=lambda context: context.task_name == "2 iterations")]
    tasks = _callbacks.tasks_of(lbfgs().set_callbacks(*callbacks), X, y, None)
    tasks.begin(engine.Part("train", n_parts=2))
    for is_stopped in (True, False):
        tasks.begin(engine.Part("member", n_iter=100))
        assert not any([tasks.iterate(None) for _ in range(6 if is_stopped else 5)])
        assert tasks.end() == is_stopped


def test_a_stop_in_a_fold_ends_the_trials():
    model = by_evidence(TwoLayerClassifier, n_members=2)
    recorder = recorded(model, y=LABELS, stop=stop_at("fold", 1))
    names = [context.task_name for context in children(recorder.root)]
    assert names == ["fold"] * 2 + ["member"] * 2
    assert model.n_members_ == 2


def test_a_stop_among_folds_of_columns_leaves_all_columns():
    useless = np.hstack([X, np.random.RandomState(3).randn(60, 3)])
    model = lbfgs(group_lasso=True)
    recorded(model, useless)
    assert model.n_features_used_ < 6
    recorder = recorded(model, useless, stop=stop_at("fold", 1))
    assert model.n_features_used_ == 6 and len(recorder.of("fold")) == 2


def test_a_stop_before_the_loss_itself_leaves_one_iteration():
    model = by_evidence(loss="absolute_error", max_iter=10)
    recorder = recorded(model, stop=stop_at("iteration", 2))
    assert len(children(recorder.root)) == 4 and model.n_iter_ == 1


# what is left behind


def bars():
    """Threads that draw."""
    return [each for each in threading.enumerate() if "Rich" in type(each).__name__]


def model_and_bar(model):
    return model.set_callbacks(callback.ProgressBar(), Recorder())


class Fails(Recorder):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def on_fit_task_end(self, estimator, context):
        if context.task_id == 2:
            assert bars()
            raise self.error


@pytest.mark.parametrize("error", [RuntimeError("mine"), KeyboardInterrupt()])
@pytest.mark.parametrize("is_fitted", [False, True])
def test_an_error_ends_the_bar_and_leaves_the_estimator_as_it_was(error, is_fitted):
    model = lbfgs()
    if is_fitted:
        model.fit(X, y)
    failing = Fails(error)
    model.set_callbacks(callback.ProgressBar(), failing)
    before = copy.copy(vars(model))
    with pytest.raises(type(error)):
        model.fit(X, -y)
    assert failing.n_setups == failing.n_teardowns == 1
    assert not bars()
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    model.set_callbacks(callback.ProgressBar()).fit(X, y)
    assert not bars()


def test_bad_input_is_told_before_any_callback():
    recorder = Recorder()
    with pytest.raises(ValueError, match="NaN"):
        lbfgs().set_callbacks(recorder).fit(X, np.where(y > 1, np.nan, y))
    assert recorder.n_setups == 0


def test_clones_and_pickles():
    monitor = callback.ScoringMonitor(scoring=default_score)
    model = lbfgs().set_callbacks(monitor)
    twin = clone(model).fit(X, y)
    assert logged(monitor)[0,] == twin.score(X, y)
    again = pickle.loads(pickle.dumps(twin.set_callbacks()))
    assert_array_equal(again.predict(X), twin.predict(X))
    assert not hasattr(again, "_skl_callbacks")


def test_chunks_of_a_stream_are_no_tasks():
    recorder = Recorder()
    lbfgs(solver="adam").set_callbacks(recorder).partial_fit(X, y).partial_fit(X, y)
    assert recorder.happened == [] and recorder.n_setups == 0


def test_lines_are_printed_beside_a_callback(capsys):
    recorded(lbfgs(verbose=2))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [["iteration", str(i)] for i in range(1, 5)]


# a callback of somebody else

PIPELINE = make_pipeline(StandardScaler(), lbfgs())


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_bar_of_a_search_shows_those_of_its_fits(n_jobs, capsys):
    """As deep as one likes; a warning, as of an estimator without callbacks, is an error here."""
    monitor = callback.ScoringMonitor(scoring=default_score)
    pipeline = clone(PIPELINE)
    pipeline[-1].set_callbacks(monitor)
    search = GridSearchCV(pipeline, {"twolayerregressor__alpha": [0.1, 1.0]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X, y)
    printed = capsys.readouterr().out
    assert printed.count("TwoLayerRegressor - fit") == 5
    assert "100%" in printed and not bars()
    rows = monitor.get_logs().data
    # four iterations and the fit, of two candidates in two splits, and of the best once more
    assert len(rows) == 5 * 5 and len({row["task_id_path"] for row in rows}) == 25
    best = search.best_estimator_
    assert best.score(X, y) in [row["score"] for row in rows]
    assert not {"_parent_callback_ctx", "_callback_fit_ctx"} & set(vars(best[-1]))


def test_a_bar_of_a_pipeline_shows_its_last_step(capsys):
    pipeline = clone(PIPELINE).set_callbacks(callback.ProgressBar())
    pipeline.fit(X, y)
    assert "TwoLayerRegressor - fit" in capsys.readouterr().out
    assert not bars() and not hasattr(pipeline[-1], "_skl_callbacks")


def test_a_bar_shows_members(capsys):
    by_evidence(n_members=2).set_callbacks(callback.ProgressBar()).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    titles = [line.split(" ━")[0].strip() for line in lines]
    expected = [f"TwoLayerRegressor - {name}" for name in ("fit", "member #0", "member #1")]
    assert titles == expected and all("100%" in line for line in lines)


def test_before_scikit_learn_1_9_there_are_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    spec = importlib.util.spec_from_file_location("callbacks_of_old", _callbacks.__file__)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    assert not hasattr(module.CallbackSupportMixin, "set_callbacks")
    assert module.with_callbacks(len) is len
    assert module.tasks_of(object(), X, y, None) is None
