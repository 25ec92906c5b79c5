"""What a fit has come to: the last line that ``verbose`` prints, and what a warning advises."""

import numpy as np

from . import engine


def summary(estimator, fitted):
    """Solver, alpha, number of iterations and why they ended, of an estimator that keeps `fitted`.

    Such as ``TwoLayerRegressor: lm, alpha by evidence (0.013 to 4.1), 33 iterations, converged``.
    """
    parts = [
        estimator.solver_,
        _alpha(estimator.alpha_, is_given=fitted.continuation.alpha is not None),
        *_columns(estimator),
        *_networks(estimator, fitted),
        _iterations(estimator, fitted),
        _ENDINGS[fitted.solution.status].format(
            max_iter=fitted.settings.max_iter, max_fun=estimator.max_fun
        ),
    ]
    return f"{type(estimator).__name__}: {', '.join(parts)}"


def _alpha(alpha, is_given):
    if alpha is None:
        return "alpha by evidence"  # of which nothing finite is left
    low, high = (f"{bound:.2g}" for bound in (np.min(alpha), np.max(alpha)))
    size = low if np.ndim(alpha) == 0 else f"{low} to {high}"
    return f"alpha {size}" if is_given else f"alpha by evidence ({size})"


def _columns(estimator):
    if estimator.group_lasso:
        yield f"{estimator.n_features_used_} of {estimator.n_features_in_} columns"


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


def advice(estimator, fitted):
    """What to do about a fit that did not converge, or None."""
    text = _ADVICE.get(fitted.solution.status)
    if text is None:
        return None
    change, last = fitted.monitor.last_improvement, ""
    if change is not None:
        direction = "raised" if change < 0 else "lowered"
        last = f": the last one {direction} the loss by {abs(change):.1e} of it"
    message = text.format(
        max_iter=fitted.settings.max_iter,
        max_fun=estimator.max_fun,
        n_iter=estimator.n_iter_,
        last=last,
    )
    return f"{type(estimator).__name__}(solver={estimator.solver_!r}) {message}"


_ADVICE = {
    engine.Status.MAX_ITER: (
        "stopped after max_iter={max_iter} iterations, before it converged{last}. "
        "Increase max_iter or tol."
    ),
    engine.Status.MAX_FUN: (
        "stopped after max_fun={max_fun} evaluations of the loss, before it converged. "
        "Increase max_fun or tol."
    ),
    engine.Status.DIVERGED: (
        "diverged after {n_iter} iterations: a number was no longer finite. The best finite "
        "weights are kept. Leave standardize=True, take other units for X and y, or lower "
        "learning_rate_init where there is one."
    ),
}
