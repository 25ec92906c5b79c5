"""What classifier and regressor share: check, encode, one call of the engine, attributes."""

import warnings
from abc import ABCMeta, abstractmethod
from dataclasses import fields

from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from . import engine
from ._constraints import check_parameters
from ._threads import one_blas_thread_if_small
from ._validation import (
    check_sample_weight,
    check_X,
    check_X_y,
    drop_zero_weights,
    unchanged_on_error,
)


class BaseTwoLayer(BaseEstimator, metaclass=ABCMeta):
    """A network with one hidden layer behind the scikit-learn API."""

    @abstractmethod
    def _encode(self, y):
        """Set what describes the targets; return (Y, n_outputs, name of the loss)."""

    def _fit(self, X, y, sample_weight):
        with unchanged_on_error(self):
            parameters = self.get_params(deep=False)
            check_parameters(parameters)
            X, y = check_X_y(self, X, y)
            weights = check_sample_weight(sample_weight, X.shape[0])
            X, y, weights = drop_zero_weights(X, y, weights)
            Y, n_outputs, loss = self._encode(y)
            settings = engine.Settings(
                **{field.name: parameters[field.name] for field in fields(engine.Settings)}
            )
            with one_blas_thread_if_small(engine.product_size(*X.shape, settings)):
                fitted = engine.fit(
                    X,
                    Y,
                    weights,
                    n_outputs,
                    loss,
                    settings,
                    check_random_state(self.random_state),
                )
            self._keep(fitted, loss)
        self._warn(fitted)
        return self

    def _keep(self, fitted, loss):
        """Turn what the engine leaves behind into fitted attributes."""
        self.coefs_, self.intercepts_ = fitted.coefs, fitted.intercepts
        self.theta_ = fitted.solution.theta
        scaling = fitted.scaling
        self.X_mean_, self.X_scale_ = scaling.X_mean, scaling.X_scale
        self.y_mean_, self.y_scale_ = scaling.Y_mean, scaling.Y_scale
        self.loss_curve_ = fitted.monitor.loss_curve
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else float(fitted.solution.value)
        self.best_loss_ = float(fitted.solution.value)
        self.best_iter_ = fitted.monitor.best_iter
        self.n_iter_ = fitted.solution.n_iter
        self.t_ = fitted.solution.n_iter * fitted.n_rows
        self.solver_ = fitted.settings.solver
        self.n_layers_ = 3
        self.n_outputs_ = fitted.shape.n_outputs
        # what prediction needs stays as it was when fitted, whatever set_params does later
        self._activation, self._loss = fitted.settings.activation, loss
        self.out_activation_ = engine.LOSSES[loss].out_activation

    def _warn(self, fitted):
        advice = _ADVICE.get(fitted.solution.status)
        if advice is not None:
            message = f"{type(self).__name__} (solver={self.solver_!r}) {advice}"
            message = message.format(
                n_iter=self.n_iter_, max_fun=self.max_fun, change=fitted.monitor.last_improvement
            )
            warnings.warn(message, ConvergenceWarning, stacklevel=4)

    def _raw_prediction(self, X):
        """Raw outputs (n_rows, n_outputs) for X in raw units, in the precision of X."""
        check_is_fitted(self)
        X = check_X(self, X, reset=False)
        return engine.raw_prediction(
            self.coefs_, self.intercepts_, engine.ACTIVATIONS[self._activation], X
        )

    def __sklearn_is_fitted__(self):
        return hasattr(self, "coefs_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


_ADVICE = {
    engine.Status.MAX_ITER: (
        "stopped after {n_iter} iterations (max_iter), before it converged: the last iteration "
        "lowered the loss by {change:.1e} of its value. Increase max_iter or tol."
    ),
    engine.Status.MAX_FUN: (
        "stopped after max_fun={max_fun} evaluations of the loss. Increase max_fun or tol."
    ),
    engine.Status.DIVERGED: (
        "diverged after {n_iter} iterations: the loss was no longer finite. The best finite "
        "weights were kept. Lower learning_rate_init, or leave standardize=True."
    ),
}
