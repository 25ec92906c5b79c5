"""What ``verbose`` prints, by its content: the phases of a fit, their pace, and how it ended."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.random import RandomState
from sklearn.datasets import load_diabetes, load_iris

import training
from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, engine
from sklearn_twolayer.engine import SOLVERS, Settings
from sklearn_twolayer.engine.bayes.ensemble import outputs_of

LINE = re.compile(
    r"(?:(?P<phase>\w.*?)  )?iteration {1,6}(?P<iteration>\d+)  loss +(?P<loss>\S+)"
    r"(?:  validation +\S+)?  +(?P<pace>\S+) s/iteration"
)
FOLDS = [f"fold {number} of 5" for number in range(1, 6)]


def iris():
    return load_iris(return_X_y=True)


def too_many_for_folds():
    X = RandomState(0).randn(1100, 3)
    return X, np.abs(X[:, 0]) + X[:, 1] * X[:, 2]


def printed(capsys):
    """The lines of iterations, each as a dict, and the last line of every fit."""
    lines = capsys.readouterr().out.splitlines()
    endings = [line for line in lines if line.startswith("TwoLayer")]
    return [LINE.fullmatch(line) for line in lines if line not in endings], endings


def phases(lines):
    """Each phase as it begins, however many lines it has."""
    named = [line["phase"] for line in lines]
    return [name for name, before in zip(named, [..., *named], strict=False) if name != before]


@pytest.mark.parametrize("verbose", [True, 2])
def test_each_member_is_named(verbose, capsys):
    model = TwoLayerClassifier(verbose=verbose, random_state=0).fit(*iris())
    lines, endings = printed(capsys)
    n = model.n_members_
    assert n > 1
    assert phases(lines) == FOLDS + [f"member {number} of {n}" for number in range(1, n + 1)]
    # several networks are trained in each fold
    assert len([line for line in lines if line["iteration"] == "1"]) > 5 + n
    low, high = (f"{bound:.2g}" for bound in (np.min(model.alpha_), np.max(model.alpha_)))
    alpha = {"lm": f"alpha by evidence ({low} to {high})", "lbfgs": "alpha 1"}[model.solver_]
    assert endings == [
        f"TwoLayerClassifier: {model.solver_}, {alpha}, average of {n} networks, "
        f"{model.n_iter_} iterations of the best, converged"
    ]


@IGNORE_CONVERGENCE
def test_starts_of_members_are_named_by_both(capsys):
    options = {"n_init": 2, "n_members": 2, "max_iter": 2, "random_state": 0}
    TwoLayerClassifier(3, verbose=2, **options).fit(*iris())
    lines, (ending,) = printed(capsys)
    starts = [f"member {m} of 2, start {s} of 2" for m in (1, 2) for s in (1, 2)]
    assert phases(lines) == FOLDS + starts
    assert [line["iteration"] for line in lines] == ["1", "2"] * (2 * 5 + 4)
    assert "average of 2 networks, best of 2 starts each, 2 iterations" in ending
    assert ending.endswith("stopped at max_iter=2")


@IGNORE_CONVERGENCE
@pytest.mark.parametrize("solver", SOLVERS)
def test_starts_are_named(solver, capsys):
    options = {"alpha": 0.5, "n_init": 3, "max_iter": 2, "random_state": 0}
    TwoLayerClassifier(3, solver=solver, verbose=2, **options).fit(*iris())
    lines, (ending,) = printed(capsys)
    assert phases(lines) == [f"start {number} of 3" for number in (1, 2, 3)]
    assert ending.startswith(f"TwoLayerClassifier: {solver}, alpha 0.5, best of 3 starts, ")


@IGNORE_CONVERGENCE
def test_a_trial_has_lines_of_its_own(capsys):
    options = {"n_members": 2, "max_iter": 3, "random_state": 0}
    model = TwoLayerRegressor(4, verbose=2, **options).fit(*too_many_for_folds())
    lines, (ending,) = printed(capsys)
    n = model.n_members_
    assert phases(lines)[0] == "trial"
    members = [f"member {number} of {n}" for number in range(1, n + 1)] if n > 1 else [None]
    assert phases(lines)[1:] == members
    assert f"{model.solver_}, alpha by evidence" in ending


@IGNORE_CONVERGENCE
def test_a_pace_counts_from_the_beginning_of_its_phase(monkeypatch, capsys):
    """The clock moves by a second in every iteration and by an hour where rows are predicted."""
    clock, value = SimpleNamespace(now=0.0), engine.Monitor.record
    fake = SimpleNamespace(perf_counter=lambda: clock.now)
    monkeypatch.setattr("sklearn_twolayer.engine.solvers.monitor.time", fake)

    def record(monitor, *args, **options):
        clock.now += 1
        value(monitor, *args, **options)

    def asked(*args):
        clock.now += 3600
        return outputs_of(*args)

    monkeypatch.setattr(engine.Monitor, "record", record)
    monkeypatch.setattr("sklearn_twolayer.engine.held_out.outputs_of", asked)
    options = {"n_members": 2, "max_iter": 3, "random_state": 0}
    TwoLayerClassifier(3, verbose=2, **options).fit(*iris())
    lines, _ = printed(capsys)
    assert clock.now > 10 * 3600
    assert phases(lines)[:5] == FOLDS
    assert {float(line["pace"]) for line in lines} == {1.0}


@IGNORE_CONVERGENCE
def test_a_fit_that_goes_on_counts_on(capsys):
    X, y = iris()
    model = TwoLayerClassifier(3, alpha=1.0, solver="lbfgs", max_iter=4, warm_start=True)
    model.set_params(verbose=2, random_state=0).fit(X, y).fit(X, y)
    lines, endings = printed(capsys)
    assert [int(line["iteration"]) for line in lines] == list(range(1, 9))
    assert "lbfgs, alpha 1, 4 iterations, stopped at max_iter=4" in endings[0]
    assert "lbfgs, alpha 1, 4 more iterations, stopped at max_iter=4" in endings[1]


@pytest.mark.parametrize("verbose", [True, 2])
def test_partial_fit_has_a_line_for_each_epoch_and_no_end(verbose, capsys):
    X, y = load_diabetes(return_X_y=True)
    model = TwoLayerRegressor(3, solver="adam", verbose=verbose, random_state=0)
    for _ in range(3):
        model.partial_fit(X, y)
    lines, endings = printed(capsys)
    assert endings == []
    assert [(line["phase"], line["iteration"]) for line in lines] == [
        ("partial_fit", str(number)) for number in (1, 2, 3)
    ]
    np.testing.assert_allclose([float(li["loss"]) for li in lines], model.loss_curve_, rtol=1e-5)


ENDINGS = {
    "converged": {"solver": "lbfgs"},
    "stopped at max_iter=2": {"solver": "adam", "max_iter": 2},
    "stopped at max_fun=3": {"solver": "lbfgs", "max_fun": 3},
    "diverged": {"solver": "sgd", "learning_rate_init": 1e30, "standardize": False},
}


@IGNORE_CONVERGENCE
@pytest.mark.parametrize("ending", ENDINGS)
def test_the_last_line_says_why_it_stopped(ending, capsys):
    X, y = load_diabetes(return_X_y=True)
    TwoLayerRegressor(3, alpha=1.0, random_state=0, verbose=True, **ENDINGS[ending]).fit(X, y)
    assert printed(capsys)[1][0].endswith(f", {ending}")


@IGNORE_CONVERGENCE
def test_the_last_line_names_the_weights_that_are_kept(capsys):
    X, y = load_diabetes(return_X_y=True)
    rough = {"solver": "adam", "learning_rate_init": 0.3, "batch_size": len(X)}
    model = TwoLayerRegressor(7, alpha=1.0, random_state=0, verbose=True, **rough).fit(X, y)
    assert model.best_iter_ < model.n_iter_
    kept = f"{model.n_iter_} iterations (the weights of iteration {model.best_iter_} are kept), "
    assert kept in printed(capsys)[1][0]


def average_of(n_starts=1, n_members=2, watch=None):
    X, y = iris()
    settings = Settings(3, n_init=n_starts, n_members=n_members)
    watcher = watch and training.Phases(watch)
    return training.task(X, y, None, 3, "log_loss", settings, watcher=watcher)


def test_who_watches_may_stop_the_trials_and_then_the_fit():
    told = []

    def stop(phase, progress):
        told.append((phase, progress.n_iter))
        return progress.n_iter == 2

    fitted = training.fit(average_of(watch=stop))
    assert told == [(phase, n) for phase in (FOLDS[0], "member 1 of 2") for n in (1, 2)]
    assert fitted.solution.status is engine.Status.STOPPED


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # a fold, and then the one network that there has to be
        ({"n_members": 3}, [1, 2, 1]),
        ({"n_starts": 2, "n_members": 2}, [1, 2, 1]),
        ({"n_starts": 3, "n_members": 1}, [1, 2]),
    ],
)
def test_no_run_begins_after_a_stop_was_asked_for(options, expected):
    told = []

    def stop(phase, progress):
        told.append(progress)
        return len(told) >= 2

    fitted = training.fit(average_of(watch=stop, **options))
    assert [progress.n_iter for progress in told] == expected
    assert fitted.solution.status is engine.Status.STOPPED
    assert fitted.continuation.n_members == 1


def test_watching_the_trials_changes_nothing():
    told = []
    watched = training.fit(average_of(watch=lambda phase, progress: told.append(phase)))
    alone = training.fit(average_of())
    np.testing.assert_array_equal(watched.coefs[0], alone.coefs[0])
    assert set(told) > set(FOLDS)
