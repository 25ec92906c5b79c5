"""Quantities as targets: which loss they have, what raw outputs say of them, and how surely."""

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from . import engine
from ._threads import one_blas_thread_if_small
from ._validation import numbers_fit_a_float


class QuantitiesMixin:
    """The targets of a regressor, and the predictive distribution of new ones."""

    _loss_asked = None
    """What was asked of the loss when the targets were met."""

    def _continuation(self):
        start = super()._continuation()
        if start is not None and self._loss_asked not in (None, self._asked_of_loss()):
            changed = [k for k, v in self._asked_of_loss().items() if v != self._loss_asked[k]]
            name = changed[0]
            raise ValueError(
                f"{name}={getattr(self, name)!r} differs from the fitted network's "
                f"{self._loss_asked[name]!r}: keep it, or fit with warm_start=False"
            )
        return start

    def _keep_loss(self, fitted):
        definite = fitted.loss.in_units_of(1 / fitted.continuation.scaling.Y_scale)
        threshold = getattr(definite, "huber_delta", None)
        if threshold is not None:
            threshold = np.broadcast_to(threshold, self._n_targets).copy()
            self._loss_parameters = self._loss_parameters | {"huber_delta": threshold}

    def _asked_of_loss(self):
        quantile = self.quantile
        quantile = tuple(np.ravel(quantile).tolist()) if np.ndim(quantile) else quantile
        names = {"loss": self.loss, "quantile": quantile}
        names |= {"power": self.power, "huber_delta": self.huber_delta}
        return names | {"noise": self.noise}

    def _learn_targets(self, y, streaming=False):
        if self.noise != "constant" and self.loss != "squared_error":
            raise ValueError(
                f"noise={self.noise!r} needs loss='squared_error', got loss={self.loss!r}"
            )
        self._loss_asked = self._asked_of_loss()
        self._loss_parameters = {k: v for k, v in self._loss_asked.items() if k != "loss"}
        self._loss = self.loss
        self._single_target = np.ndim(y) == 1
        self._n_targets = 1 if self._single_target else y.shape[1]
        loss = self._loss_at_fit
        if loss.link == "increments" and self._n_targets > 1:
            raise ValueError(
                f"a list for quantile needs a single target, got {self._n_targets}: fit an "
                "estimator for each of them"
            )
        self.n_outputs_ = loss.n_outputs(self._n_targets)

    def _encode(self, y):
        with numbers_fit_a_float("y"):
            Y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        Y = Y.reshape(len(Y), -1)
        if Y.shape[1] != self._n_targets:
            raise ValueError(f"y must have {self._n_targets} columns, got {Y.shape[1]}")
        return Y

    def _decode(self, Y):
        # of several quantiles of one target all are told
        return Y[:, 0] if self._single_target and Y.shape[1] == 1 else Y

    def _mean(self, raw, X):
        """What the raw outputs stand for, in the units of y; far out, what is known nearby."""
        prediction = self._inverse_link(raw)
        # without a posterior nothing tells how far it is to be trusted
        ranges = None if self._predictive is None else engine.restore_ranges(self._state)
        if ranges is None:
            return prediction
        return engine.draw_in(prediction, X, ranges, self._as_it_is, self._relative_variance)

    def _inverse_link(self, raw):
        """What raw outputs say of targets, in their units."""
        return self._loss_at_fit.for_raw_outputs(self._unit_of_y).inverse_link(raw)

    def _as_it_is(self, X):
        """The prediction of the network for a block of rows, wherever they are."""
        raw = engine.raw_prediction(*self._network(), X, self._origin)
        return self._inverse_link(raw)

    def _deviation(self, raw, X):
        """Of a new y in each row, in its units and in the precision of X."""
        loss = self._loss_at_fit
        if loss.knows_variance:
            locations, scales, (in_mean, weights) = self._located(raw, X)
            _, deviation = engine.moments(locations, scales, weights, in_mean)
        else:
            mean = self._standardized_mean(raw)
            variance = loss.variance_of_mean(mean, self._variance(X))
            deviation = np.sqrt(variance + engine.noise_variance(loss, mean, self._noise))
        # the root is taken first: a variance may leave the range where a deviation does not
        return engine.within_range(deviation * self._unit_of_y, raw.dtype)

    def _check_posterior(self, what):
        """ValueError where there is none."""
        if self._predictive is None:
            raise ValueError(
                f"{what} needs the posterior that alpha='auto' finds, and there is none: "
                + self._no_posterior
            )

    def _located(self, raw, X):
        """Locations and scales (n_densities, n_rows, n_targets) of what is mixed in each row.

        Of a block of rows, in standardised units; and its weights in means and densities.
        """
        if not self._loss_at_fit.knows_variance:
            raw, units = raw.astype(np.float64), engine.restore(self._state).scaling
            mean = (self._mean(raw, X) - units.Y_offset) / units.Y_scale
            deviation = self._deviation(raw, X) / units.Y_scale
            return mean[None], deviation[None], np.ones((2, 1))
        fitted = engine.restore(self._state)
        predictive = engine.restore_predictive(self._predictive)
        with np.errstate(all="ignore"), one_blas_thread_if_small(0):
            return engine.located(fitted, self._loss_at_fit, predictive, X)

    def _standardized_mean(self, raw):
        """What raw outputs say of targets, in standardised units and double precision."""
        scaling = engine.restore(self._state).scaling
        return (self._inverse_link(raw.astype(np.float64)) - scaling.Y_offset) / scaling.Y_scale

    def _relative_variance(self, X):
        """Of the function in each row of a block, in units of the variance that y had."""
        raw = engine.raw_prediction(*self._network(), X, self._origin)
        of_mean = self._loss_at_fit.variance_of_mean(
            self._standardized_mean(raw), self._variance(X)
        )
        return of_mean / engine.restore(self._state).scaling.Y_variance

    def _variance(self, X):
        """Of the function in each row of a block, (n_rows, n_outputs), in standardised units."""
        variance = np.empty((X.shape[0], self.n_outputs_))

        def keep(rows, covariance):
            variance[rows] = np.einsum("ikk->ik", covariance)

        self._uncertainty(X, keep)
        return variance

    @property
    def dispersion_(self) -> float | np.ndarray | None:
        """What the variance of y is divided by; see the attributes of the class."""
        loss = self._loss_at_fit
        if self._noise is None or loss.link != "log":
            return None
        dispersion = self._noise * self._unit_of_y ** (2 - loss.power)
        return float(dispersion[0]) if self._single_target else dispersion

    @property
    def huber_delta_(self) -> np.ndarray | None:
        """The threshold in units of y; see the attributes of the class."""
        check_is_fitted(self)
        return self._loss_parameters["huber_delta"] if self._loss == "huber" else None

    @property
    def noise_variance_(self) -> float | np.ndarray | None:
        """Variance of the noise of y, or None; see the attributes of the class."""
        loss = self._loss_at_fit
        if self._noise is None or not loss.has_noise or loss.link != "identity":
            return None
        with np.errstate(all="ignore"):
            variance = np.square(np.sqrt(self._noise) * self._unit_of_y)
        variance = np.minimum(variance, np.finfo(np.float64).max)
        return float(variance[0]) if self._single_target else variance
