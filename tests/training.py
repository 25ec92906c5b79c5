"""What tests ask of the engine: a task is planned and trained, from given weights if need be."""

from numpy.random import RandomState

from sklearn_twolayer import engine
from sklearn_twolayer.engine.run import prepare


def task(X, Y, weights, n_outputs, loss, settings, **options):
    """A task whose loss is named."""
    return engine.Task(X, Y, weights, n_outputs, engine.LOSSES[loss], settings, **options)


def fit(asked, seed=0, theta=None):
    """What the engine makes of a task, begun at `theta` (standardised units) if that is given."""
    plan = engine.make_plan(asked)
    if theta is None:
        return engine.fit(plan, RandomState(seed))
    scaling = prepare(plan).scaling
    start = engine.Continuation(theta, scaling, plan.settings.solver, plan.choices, plan.alpha)
    return engine.fit(plan, RandomState(seed), start)
