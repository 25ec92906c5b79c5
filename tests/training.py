"""What tests ask of the engine: a task is planned and trained, from given weights if need be."""

from numpy.random import RandomState

from sklearn_twolayer import engine
from sklearn_twolayer.engine.preparation import prepare
from sklearn_twolayer.engine.run import run


def task(X, Y, weights, n_outputs, loss, settings, **options):
    """A task whose loss is named."""
    return engine.Task(X, Y, weights, n_outputs, engine.LOSSES[loss], settings, **options)


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
