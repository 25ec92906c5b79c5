"""What tests ask of the engine: a task is planned and trained, from given weights if need be."""

import numpy as np
from numpy.random import RandomState

from sklearn_twolayer import engine
from sklearn_twolayer.engine.preparation import prepare
from sklearn_twolayer.engine.run import run


def task(X, Y, weights, n_outputs, loss, settings, **options):
    """A task whose loss is named."""
    return engine.Task(X, Y, weights, n_outputs, engine.LOSSES[loss], settings, **options)


class Phases(engine.Report):
    """Tells a function of each iteration, and of the phase it belongs to, and prints nothing."""

    def __init__(self, function):
        super().__init__(verbose=0)
        self.function = function

    def iterate(self, progress, weights=None):
        return self.function(self.phase, progress)


def fit(asked, seed=0, theta=None, keep_best=True):
    """What the engine makes of a task, begun at `theta` (standardised units) if that is given.

    The last weights are kept instead of the best if they are asked for; then it is a single run.
    """
    plan = engine.make_plan(asked)
    training, start = prepare(plan), None
    if theta is not None:
        units, solver = training.scaling, plan.settings.solver
        start = engine.Continuation(theta, units, solver, plan.choices, plan.alpha)
    if not keep_best:
        return run(plan, training, RandomState(seed), start, keep_best=False)
    return engine.fit(plan, RandomState(seed), start)


def quantities(n_rows, seed=0, noise=0.3):
    """Rows and a target (n_rows, 1) that is curved in one column."""
    rng = RandomState(seed)
    X = rng.randn(n_rows, 3)
    return X, np.sin(2 * X[:, [0]]) + X[:, [1]] + noise * rng.randn(n_rows, 1)


def labels(n_rows, seed=0):
    """Rows of three classes, cut from such a target."""
    X, Z = quantities(n_rows, seed)
    return X, np.digitize(Z[:, 0], [-0.7, 0.7])


def planned(X, Y, settings, weights=None):
    """The plans of some kinds for the same rows, and the rows prepared for each."""
    loss, n_outputs = ("squared_error", Y.shape[1]) if Y.ndim == 2 else ("log_loss", 3)
    plans = [engine.make_plan(task(X, Y, weights, n_outputs, loss, asked)) for asked in settings]
    return plans, [prepare(plan) for plan in plans]
