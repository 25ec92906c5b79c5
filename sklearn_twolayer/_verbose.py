"""The last line that ``verbose`` prints: what a fit has come to."""

import numpy as np

from . import engine


def summary(estimator, fitted, plan):
    """Solver, alpha, number of iterations and why they ended, of an estimator that keeps `fitted`.

    Such as ``TwoLayerRegressor: lm, alpha by evidence (0.013 to 4.1), 33 iterations, converged``.
    """
    parts = [
        estimator.solver_,
        _alpha(estimator.alpha_, plan.alpha_by),
        *_networks(estimator, fitted),
        _iterations(estimator, fitted),
        _ENDINGS[fitted.solution.status].format(
            max_iter=estimator.max_iter, max_fun=estimator.max_fun
        ),
    ]
    return f"{type(estimator).__name__}: {', '.join(parts)}"


def _alpha(alpha, alpha_by):
    low, high = (f"{bound:.2g}" for bound in (np.min(alpha), np.max(alpha)))
    size = low if np.ndim(alpha) == 0 else f"{low} to {high}"
    if alpha_by == "given":
        return f"alpha {size}"
    return f"alpha by {alpha_by.replace('held_out', 'held-out rows')} ({size})"


def _networks(estimator, fitted):
    n_members = fitted.continuation.n_members
    if n_members > 1:
        yield f"average of {n_members} networks"
    if estimator.n_init > 1 and fitted.monitor.begin_iter == 0:
        yield f"best of {estimator.n_init} starts{' each' if n_members > 1 else ''}"


def _iterations(estimator, fitted):
    n_before = fitted.monitor.begin_iter
    n_iter = estimator.n_iter_ - n_before
    text = f"{n_iter}{' more' if n_before else ''} iteration{'' if n_iter == 1 else 's'}"
    if fitted.continuation.n_members > 1:
        text += " of the best"
    if estimator.best_iter_ < estimator.n_iter_:
        text += f" (the weights of iteration {estimator.best_iter_} are kept)"
    return text


_ENDINGS = {
    engine.Status.CONVERGED: "converged",
    engine.Status.MAX_ITER: "stopped at max_iter={max_iter}",
    engine.Status.MAX_FUN: "stopped at max_fun={max_fun}",
    engine.Status.DIVERGED: "diverged",
    engine.Status.STOPPED: "stopped by a callback",
}
