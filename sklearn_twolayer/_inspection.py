"""What a fitted network saw in its columns: gradients, hidden units, and a summary of both."""

import numpy as np
from numpy.typing import ArrayLike

from . import engine
from ._threads import one_blas_thread_if_small
from ._validation import MatrixLike, check_sample_weight, refuse_collections

MOST_ROWS, MOST_ROWS_OF_A_CHUNK, FEWEST_ROWS = 1000, 200, 100
"""Rows that `feature_importances_` is computed from: after a fit, after a chunk, and at least."""

MOST_PRODUCTS = 2**28
"""Multiplications that this may take, rows times weights of the first layer times outputs."""

GOLDEN_SECTION = (5**0.5 - 1) / 2


class InspectionMixin:
    """Looks into a fitted network; `_network_on` hands over its weights and checked rows."""

    def input_gradients(self, X: MatrixLike) -> np.ndarray:
        """Slopes of the raw outputs along each column, at each row: d output / d input, exactly.

        For a regressor the raw output is the prediction, in units of y per unit of the column;
        where its `noise` is not constant, outputs behind these are logarithms of variances. For a
        classifier it is the logit of the network, before the link and any moderation: one if
        there are two classes (in favour of the second), else one for each class, or for each label
        of multilabel y.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows in the units of those in training.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs, n_features)
            Dense, and float32 for float32 rows. A column that was constant in training has slope 0.
            NaN for categories and for missing values, which cannot move. At a knot of a
            piecewise-linear encoding the slope is that above it.

        Raises
        ------
        NotFittedError
            Before ``fit``.

        ValueError
            If X has an infinite number, or other columns than in training.

        See Also
        --------
        gradient_importances : One number for each column.

        Notes
        -----
        With z = x W1 + b1 for one row x, the slope of output k along column j is ::

            sum_h W1[j, h] * a'(z[h]) * W2[h, k] + W0[j, k]

        where a is the activation and W0 are the weights of the skip path, if there is one. Where
        a has a kink, as at zero with ``"relu"``, a' is the slope from the left. With ``"relu"`` and
        ``"leaky_relu"`` the slopes jump between rows; the other activations have smooth ones. A
        softmax is the same when a constant is added to all logits, so for three classes or more
        only differences of slopes between the classes tell anything.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_twolayer import TwoLayerRegressor
        >>> X = np.random.RandomState(0).uniform(-1, 1, size=(300, 2))
        >>> y = X[:, 0] ** 2 + 5 * X[:, 1]
        >>> regressor = TwoLayerRegressor(activation="tanh", alpha=0.01, random_state=0).fit(X, y)
        >>> gradients = regressor.input_gradients([[-0.5, 0], [0, 0], [0.5, 0]])
        >>> gradients.shape
        (3, 1, 2)
        >>> expected = [[[-1, 5]], [[0, 5]], [[1, 5]]]
        >>> bool(np.allclose(gradients, expected, atol=0.2))
        True
        """
        return engine.input_gradient(*self._network_on(X))

    def hidden_features(self, X: MatrixLike) -> np.ndarray:
        """Activations of the hidden units: what the output layer sees of each row.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows in the units of those in training.

        Returns
        -------
        ndarray of shape (n_samples, hidden_size)
            ``activation(X @ W1 + b1)``, dense, and float32 for float32 rows.

        Raises
        ------
        NotFittedError
            Before ``fit``.

        ValueError
            If X has an infinite number, or other columns than in training.

        Examples
        --------
        The raw outputs are linear in them (plus ``X @ skip_coef_``, where there is a skip path):

        >>> import numpy as np
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn_twolayer import TwoLayerRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> regressor = TwoLayerRegressor(20, skip=False, random_state=0).fit(X, y)
        >>> features = regressor.hidden_features(X)
        >>> features.shape
        (442, 20)
        >>> outputs = features @ regressor.coefs_[1] + regressor.intercepts_[1]
        >>> bool(np.allclose(outputs[:, 0], regressor.predict(X)))
        True
        """
        return engine.hidden_features(*self._network_on(X))

    def gradient_importances(
        self, X: MatrixLike, sample_weight: ArrayLike | None = None
    ) -> np.ndarray:
        """Share of each column in the movement of the outputs, in the manner of importances.

        How many units the outputs move when a column moves by one standard deviation: the root mean
        square over rows of its :meth:`input_gradients`, times its standard deviation in X, summed
        in quadrature over outputs; then all columns are divided by their sum.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows to average over, in the units of those in training: the training rows, or any whose
            distribution is of interest.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, at least 0; k counts as k copies, 0 as absence.

        Returns
        -------
        ndarray of shape (n_features,)
            One for each column of X, in their order, which is that of ``feature_names_in_`` where
            they have names: a category counts by the standard deviation of what its levels
            contribute, and a number that is missing does not move. At least 0, with sum 1; float64.
            All 0 if the outputs do not move at all, or if no column of X varies. They do not depend
            on the units of the columns.

        Raises
        ------
        NotFittedError
            Before ``fit``.

        ValueError
            If X has an infinite number, or other columns than in training, or if the weights are
            not one for each row, at least 0 and not all 0.

        See Also
        --------
        input_gradients : Slopes at each row, with their signs.
        feature_importances_ : These numbers for the training rows, an attribute of the class.
        sklearn.inspection.permutation_importance : What a score loses without a column.

        Notes
        -----
        This describes the fitted function, not the data: it knows no targets, so a network that
        fits badly has importances too. Correlated columns share what they have in common in
        whatever way the penalty and the initial weights left it, and each is moved alone, even to
        where no row is. What columns do only together (an interaction) is counted for each of them
        and cannot be told from what they do alone. Slopes are local: a step between rows, steep but
        seldom visited, is missed. :func:`sklearn.inspection.permutation_importance` on held-out
        rows measures what a score loses without a column, at the price of many predictions.

        Outputs count in their own units: of several targets, one in large units outweighs the
        others. For three classes or more (not for multilabel y), the part of the slopes that is the
        same for all classes is left out, since it changes no probability.

        Examples
        --------
        >>> from sklearn.datasets import make_friedman1
        >>> from sklearn_twolayer import TwoLayerRegressor
        >>> X, y = make_friedman1(n_samples=500, n_features=7, random_state=0)
        >>> regressor = TwoLayerRegressor(random_state=0).fit(X, y)
        >>> regressor.gradient_importances(X).round(1)
        array([0.2, 0.2, 0.2, 0.2, 0.1, 0. , 0. ])
        """
        network = self._network_on(X)
        refuse_collections(self, sample_weight=sample_weight)
        weights = check_sample_weight(sample_weight, network[-2].shape[0], "sample_weight")
        return self._importances(*network, weights)

    def _importances(self, coefs, intercepts, activation, X, _, weights):
        """Those of the columns of checked rows, by a network."""
        W1, *to_outputs = coefs
        if weights is not None:
            present = np.flatnonzero(weights)
            is_encoded = isinstance(X, engine.Encoded)
            X = X.part(present) if is_encoded else engine.subset(X, present)
            weights = weights[present]
        if self._loss_at_fit.knows_variance:
            # slopes of means and of logarithms are not in the same units
            n = self.n_outputs_ // 2
            to_outputs = [W[:, :n] for W in to_outputs]
            intercepts = [intercepts[0], intercepts[1][:n]]
        if self.out_activation_ == "softmax":
            to_outputs = [W - W.mean(axis=1, keepdims=True) for W in to_outputs]
        magnitude = engine.gradient_magnitude([W1, *to_outputs], intercepts, activation, X, weights)
        with np.errstate(all="ignore"):
            magnitude = magnitude / (magnitude.max() or 1.0)  # of the sum of all, finite as it is
            return magnitude / (magnitude.sum() or 1.0)

    def _keep_importances(self, plan, most):
        """Set `feature_importances_`, by at most so many of the rows of a plan."""
        X, weights = plan.task.X, plan.task.weights
        n_rows, enough = X.shape[0], most
        if self._encoding is not None:
            products = self.coefs_[0].size * self.n_outputs_
            enough = min(most, max(FEWEST_ROWS, MOST_PRODUCTS // products))
        if n_rows > enough:
            X, weights = X[evenly_spaced(enough, n_rows, weights)], None
        # the same bits for any number of threads
        with one_blas_thread_if_small(0):
            self.feature_importances_ = self._importances(*self._network_for(X[:]), weights)


def evenly_spaced(n, n_rows, weights):
    """The numbers of n rows, one from each of n parts of all rows that weigh the same.

    A row that weighs more than a part comes several times. Where in its part a row is taken from
    moves on by the golden section from part to part: a pattern that repeats, such as that of days
    in rows of hours, is met at all its places.
    """
    part = np.arange(n)
    place = (part + part * GOLDEN_SECTION % 1) / n
    if weights is None:
        return (place * n_rows).astype(np.intp)
    heights = np.cumsum(weights)
    return np.searchsorted(heights, place * heights[-1], side="right")
