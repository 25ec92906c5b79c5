"""Predictive intervals and quantiles of a regressor, after split conformal prediction."""

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from . import engine
from ._constraints import Interval
from ._validation import MatrixLike, check_y

INSIDE = Interval(Real, 0, 1, open_low=True, open_high=True)
"""What coverages and levels are."""


class IntervalsMixin:
    """Where new targets will be, by what residuals say of the posterior predictive."""

    def predict_interval(self, X: MatrixLike, coverage: float = 0.9) -> np.ndarray:
        """Lower and upper bounds between which a new y lies with a given probability.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Rows in the units of those in training.

        coverage : float, default=0.9
            The probability, a number in (0, 1).

        Returns
        -------
        interval : ndarray of shape (n_samples, 2) or (n_samples, n_targets, 2)
            The bounds in units of y, each target's on its own; in the precision of ``predict``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError, TypeError
            If `coverage` is not a number in (0, 1), or there are no residuals to tell intervals
            by, as training has diverged.

        See Also
        --------
        predict_quantiles : Any quantiles, that need not be symmetric.

        Notes
        -----
        The interval is ``predict(X)`` plus and minus q deviations, those that ``predict(X,
        return_std=True)`` returns; but q is no number of the normal distribution: of residuals
        that the networks had not learnt, in units of their deviations, a part of `coverage` is no
        larger [1]_. So widths follow the posterior, row by row, and how often they hold follows
        what has been seen. Of losses whose targets scatter differently above and below the
        prediction (a log link, a quantile) both tails have quantiles of their own.

        Over all rows like those in training the coverage is about as asked; among rows of some
        sort it may be another one. There is no guarantee for finitely many rows: the networks that
        predict have been fitted to all of them, those that told the residuals had not.

        Which residuals these are:

        - where several kinds of networks are averaged, those of the rows held out to weigh them:
          all rows up to 1,000, a fifth beyond, at most 5,000. Where fewer networks of a kind have
          told them than are averaged in the end, they are made smaller by what an average of more
          gains, the variance of its members around it [2]_;
        - of a network with validation rows, the residuals of these (unless a scorer rates them);
        - else, of one network alone, or below 20 rows, those of training rows, at most 1,000. From
          the exact posterior of ``"lm"`` with ``alpha="auto"`` each is left out by a Newton step
          [3]_. Other posteriors do not know single rows: residuals are those of generalised
          cross-validation, with half the parameters that the posterior finds determined [4]_.
          Without any posterior (a given `alpha` with ``store_posterior=False``, more than 50
          outputs) they are residuals as they are, which a network that has learnt its rows by
          heart, as under a weak prior, makes far too small.

        Fits that go on, warm or by ``partial_fit``, keep the residuals of rows that an earlier one
        held out. Else a warm start has those of its own rows, a stream those of the chunk with
        which its rows last doubled. A row of weight k is k rows.
        Without error bars, as with ``store_posterior=False``, deviations are those of the noise
        alone, as wide in all rows. Of a coverage so near one that less than one row would be
        outside, bounds are those of the normal distribution, or as far out as the largest residual
        if that is further.

        References
        ----------
        .. [1] J. Lei et al., "Distribution-free predictive inference for regression", Journal of
           the American Statistical Association 113, 2018.
        .. [2] A. Krogh, J. Vedelsby, "Neural network ensembles, cross validation, and active
           learning", NIPS 1995.
        .. [3] R. Cook, S. Weisberg, "Residuals and influence in regression", 1982.
        .. [4] G. Golub, M. Heath, G. Wahba, "Generalized cross-validation as a method for choosing
           a good ridge parameter", Technometrics 21, 1979.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_twolayer import TwoLayerRegressor
        >>> rng = np.random.RandomState(0)
        >>> X = rng.uniform(-3, 3, size=(4000, 1))
        >>> y = np.sin(X[:, 0]) + 0.1 * rng.standard_t(2, size=4000)
        >>> model = TwoLayerRegressor(random_state=0).fit(X[:1000], y[:1000])
        >>> low, high = model.predict_interval(X[1000:], coverage=0.8).T
        >>> round(float(np.mean((low <= y[1000:]) & (y[1000:] <= high))), 1)
        0.8
        """
        if not INSIDE.accepts(coverage):
            error = ValueError if isinstance(coverage, Real) else TypeError
            raise error(f"coverage must be {INSIDE}, got {coverage!r}")
        residuals, loss = self._residuals_for("predict_interval")
        if loss.is_skewed:
            tail = (1 - coverage) / 2
            factors = residuals.quantiles(np.array([tail, 1 - tail]))
        else:
            factors = residuals.magnitudes(float(coverage))[:, None] * [-1, 1]
        return self._bounds(X, factors, residuals.noise)

    def predict_quantiles(
        self, X: MatrixLike, quantiles: ArrayLike = (0.05, 0.5, 0.95)
    ) -> np.ndarray:
        """Quantiles of a new y: what it is below with that probability.

        They are the prediction and so many deviations as :meth:`predict_interval` takes, whose
        Notes hold here, too; but residuals keep their signs, so that one tail may be longer.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Rows in the units of those in training.

        quantiles : array-like of shape (n_quantiles,), default=(0.05, 0.5, 0.95)
            Their levels, numbers in (0, 1) in any order.

        Returns
        -------
        prediction : ndarray of shape (n_samples, n_quantiles)
            In units of y, in the order of `quantiles`; a higher level never has a lower quantile.
            Of several targets (n_samples, n_targets, n_quantiles), of each one on its own. The
            precision is that of ``predict``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError, TypeError
            If `quantiles` are not numbers in (0, 1), or there are no residuals to tell them by, as
            training has diverged.

        See Also
        --------
        predict_interval : Symmetric intervals, whose one level the residuals tell better.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_twolayer import TwoLayerRegressor
        >>> rng = np.random.RandomState(0)
        >>> X = rng.uniform(-3, 3, size=(4000, 1))
        >>> y = np.sin(X[:, 0]) + rng.exponential(size=4000)
        >>> model = TwoLayerRegressor(random_state=0).fit(X[:1000], y[:1000])
        >>> found = model.predict_quantiles(X[1000:], quantiles=[0.1, 0.5, 0.9])
        >>> np.mean(y[1000:, None] <= found, axis=0).round(1)
        array([0.1, 0.5, 0.9])
        """
        levels = _checked_levels(quantiles)
        residuals, _ = self._residuals_for("predict_quantiles")
        return self._bounds(X, residuals.quantiles(levels), residuals.noise)

    def log_predictive_density(self, X: MatrixLike, y: ArrayLike) -> np.ndarray:
        """Logarithm of the predictive density of targets, in units of y: the logarithmic score.

        It is Gaussian, for ``noise="constant"`` around ``predict`` with the deviation of
        ``return_std=True``. For ``noise="mixture"`` it is the mixture of two Gaussians, whose tails
        are heavier. Its mean over rows that had no part in training compares what regressors say of
        noise, greater being better.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Rows in the units of those in training.

        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.

        Returns
        -------
        density : ndarray of shape (n_samples,) or (n_samples, n_targets)
            In nats, of each target on its own.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        ValueError
            For another loss than ``"squared_error"``, without a posterior, or if y is not what it
            was in training.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_twolayer import TwoLayerRegressor
        >>> rng = np.random.RandomState(0)
        >>> X = rng.uniform(-1, 1, size=(1000, 1))
        >>> y = X[:, 0] + np.exp(X[:, 0]) * rng.standard_normal(1000)
        >>> for noise in ("constant", "mixture", "varying"):
        ...     model = TwoLayerRegressor(noise=noise, random_state=0).fit(X[:500], y[:500])
        ...     print(noise, model.log_predictive_density(X[500:], y[500:]).mean().round(1))
        constant -1.7
        mixture -1.4
        varying -1.4
        """
        check_is_fitted(self)
        if self._loss != "squared_error":
            raise ValueError(
                f"log_predictive_density needs loss='squared_error', got {self._loss!r}"
            )
        self._check_posterior("log_predictive_density")
        units = engine.restore(self._state).scaling
        weights = np.ones(1)

        def compute(raw, block):
            nonlocal weights
            locations, scales, (_, weights) = self._located(raw, block)
            return np.stack([locations, scales], axis=-1).swapaxes(0, 1)

        (found,) = self._by_blocks(X, compute)
        Y = self._encode(check_y(self, self._columns_of(X), y))
        standardized = (Y - units.Y_offset) / units.Y_scale
        locations, scales = np.moveaxis(found, (0, -1), (2, 0))
        density = engine.log_density(standardized, locations, scales, weights)
        return self._decode(density - np.log(units.Y_scale))

    def _residuals_for(self, method):
        """The residuals and the loss; ValueError where they do not tell what the method asks."""
        check_is_fitted(self)
        loss = self._loss_at_fit
        if not isinstance(loss, engine.LocatedLoss):
            raise ValueError(
                f"{method} needs a loss that tells how targets scatter, got {self._loss!r}"
            )
        residuals = engine.restore_residuals(self._state)
        if residuals is None or (residuals.with_variance and self._predictive is None):
            raise ValueError(
                f"{method} needs residuals under a posterior, and there are none: "
                + (self._no_posterior or "the last fit has diverged")
            )
        return residuals, loss

    def _bounds(self, X, factors, noise):
        """Locations and so many scales, (n_rows[, n_targets], n_levels).

        With a noise, scales are those of a function of no variance.
        """
        loss, units = self._loss_at_fit, engine.restore(self._state).scaling
        factor, offset = units.outputs(self.n_outputs_)

        def bounds(raw, block):
            Z2 = (raw - offset) / factor
            if noise is not None:
                location, scale = loss.location_scale(Z2, np.zeros(Z2.shape), noise)
            elif loss.knows_variance:
                locations, scales, (in_mean, weights) = self._located(raw, block)
                location, scale = engine.moments(locations, scales, weights, in_mean)
            else:
                location, scale = loss.location_scale(Z2, self._variance(block), self._noise)
            if loss.link != "increments":
                location = self._mean(raw, block)  # which far outside is not what it is nearby
            else:
                location = engine.within_range(location * units.Y_scale + units.Y_offset, raw.dtype)
            scale = scale * units.Y_scale
            # what is finite stays so times zero
            scale = engine.within_range(scale, np.float64)[:, :, None]
            found = np.clip(location[:, :, None] + scale * factors, *loss.support)
            return engine.within_range(found, location.dtype)

        (found,) = self._by_blocks(X, bounds)
        return self._decode(found)


def _checked_levels(quantiles):
    """As an array; ValueError or TypeError if they are not what they may be."""
    try:
        levels = np.asarray(quantiles)
    except ValueError:
        levels = np.empty(0, object)
    if levels.ndim != 1 or levels.dtype.kind not in "fiu":
        raise TypeError(f"quantiles must be a 1-d array of numbers in (0, 1), got {quantiles!r}")
    outside = levels[~((levels > 0) & (levels < 1))]
    if not len(levels) or len(outside):
        got = f"got {outside[0]}" if len(outside) else "got none"
        raise ValueError(f"quantiles must be numbers in (0, 1), at least one, {got}")
    return levels.astype(np.float64)
