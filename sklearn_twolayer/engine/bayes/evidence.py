"""The evidence, or marginal likelihood, of the precisions of prior and noise (MacKay 1992).

Parameters are cut into groups, each under a Gaussian prior of its own precision; those of group -1
are free, under a flat prior of density one. With E_k the sum of w_i loss_i of output k and noise
precisions beta_k (one, fixed at 1, unless the loss is the squared error), the posterior around its
mode is Gaussian of precision A = H + diag(precision), H = sum_k beta_k H_k, and

    log p(Y) = - sum_k beta_k E_k - 1/2 sum_j precision_j theta_j^2 + 1/2 sum_g P_g log precision_g
               - 1/2 log det A + n_free/2 log 2 pi + [ sum_k n/2 log (beta_k / (2 pi)) ]

the bracket only where there is a noise; n is the sum of weights, and the units are those of
standardised Y. It is largest where

    precision_g = gamma_g / |theta_g|^2     gamma_g = P_g - precision_g tr_g A^-1
    beta_k = (n - gamma_k) / (2 E_k)        gamma_k = beta_k tr(A^-1 H_k)

gamma counts the parameters that the data determine. Under a log link half the deviance stands for
a squared error, of which the bracket is the saddle-point approximation (Jorgensen 1987), and twice
E_k in the last rule is Pearson's sum of (Y - mu)^2 / V(mu): deviances of small counts mislead.

These rules and steps to the mode are taken in turn (Foresee and Hagan 1997). Where two layers have
priors of their own, units in the linear part of their activation leave the ratio of the two almost
open, and it settles slowly.
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack

from ..model.parameters import Shape
from ..numerics import Array
from ..solvers.penalty import per_parameter

LARGEST_PRECISION = 1e6
"""A group held this tightly, in standardised units, is pruned; more would be no different."""

LARGEST_BETA = 1e8
"""Noise of a ten-thousandth of the target's deviation is none."""

POOLING = 0.5
"""The assumption that precisions of a pool are alike counts as twice so many observations."""

FEWEST_LEFT = 0.1
"""Fraction of the rows that tells of the noise, however many parameters there are."""

LEAST_JITTER = 1e-14
"""Fraction of its diagonal that is added to a matrix which rounding has made indefinite."""

MOST_ROWS = 1e12
"""With more of them, or more weight, a prior would have no say in float64 anyway."""

TINY = 1e-10
"""What counts of parameters and of rows left over are kept above, so that their ratios exist."""


@dataclass(frozen=True)
class Quadratic:
    """What the data say around theta, in a row for each noise precision, taken at beta = 1.

    `n` is the sum of weights, or None where there is no noise to estimate. `squares` is half the
    sum of squared residuals, whose mean is the noise; the errors themselves if not given.
    """

    theta: Array
    errors: Array
    gradients: Array
    curvatures: Array
    n: float | None
    squares: Array | None = None


@dataclass(frozen=True)
class Estimate:
    """How many parameters some precisions leave to the data, A^-1, and better precisions."""

    gamma: Array
    precision: Array
    beta: Array
    covariance: Array


class Laplace:
    """The Gaussian that stands for the posterior around theta, under given precisions.

    `unidentified` is a direction of length one among the free parameters that the data tell
    nothing about: determinant and inverse are those of A on its complement.
    """

    def __init__(
        self,
        quadratic: Quadratic,
        group: Array,
        precision: Array,
        beta: Array,
        unidentified: Array | None = None,
    ):
        self.quadratic, self.precision, self.beta = quadratic, precision, beta
        self.group, self.held = group, group >= 0
        self.sizes = np.bincount(group[self.held], minlength=len(precision))
        squares = quadratic.theta[self.held] ** 2
        self.squares = np.bincount(group[self.held], squares, minlength=len(precision))
        A = np.tensordot(beta, quadratic.curvatures, 1)
        np.fill_diagonal(A, A.diagonal() + per_parameter(precision, group))
        self.factor = Factor(A, unidentified)
        # a flat prior has no normaliser; what remains of its Gaussian integral is a constant
        n_free = len(group) - self.sizes.sum() - (unidentified is not None)
        self.log_evidence = self._log_evidence(n_free)

    def _log_evidence(self, n_free: int) -> float:
        beta, precision, n = self.beta, self.precision, self.quadratic.n
        found = (
            -float(beta @ self.quadratic.errors)
            - 0.5 * float(precision @ self.squares)
            + 0.5 * float(self.sizes @ np.log(precision))
            - 0.5 * self.factor.log_det
            + 0.5 * n_free * np.log(2 * np.pi)
        )
        if n is not None:
            found += 0.5 * n * float(np.log(beta / (2 * np.pi)).sum())
        return float(found)

    def estimate(self) -> Estimate:
        """Gamma for each group, and MacKay's new precisions, where theta is the mode."""
        n, inverse, errors = self.quadratic.n, self.factor.inverse(), self.quadratic.squares
        errors = self.quadratic.errors if errors is None else errors
        # the posterior variance of a parameter, in units of its prior variance, is what the data
        # have not determined of it: gamma counts the rest
        variances = inverse.diagonal()[self.held]
        traces = np.bincount(self.group[self.held], variances, minlength=len(self.precision))
        gamma = np.clip(self.sizes - self.precision * traces, TINY, None)
        precision = gamma / np.maximum(self.squares, gamma / LARGEST_PRECISION)
        if n is None:
            return Estimate(gamma, precision, self.beta, inverse)
        gamma_noise = self.beta * np.einsum("kij,ij->k", self.quadratic.curvatures, inverse)
        # an interpolating fit of many parameters would leave no row to tell of the noise
        left = np.maximum(n - gamma_noise, FEWEST_LEFT * n)
        beta = left / np.maximum(2 * errors, left / LARGEST_BETA)
        return Estimate(gamma, precision, beta, inverse)


@dataclass(frozen=True)
class Prior:
    """Gaussian priors for groups of parameters, and how their precisions follow the data.

    `group` numbers the group of each parameter, -1 the free ones; `precision` is where each group
    begins. `fixed` groups stay there. Those in `pooled` are alike: each one's precision has a
    Gamma prior of shape 1 + POOLING around their common (geometric) mean, so that a few
    parameters can neither be pruned by chance nor be let loose.
    """

    group: Array
    precision: Array
    fixed: Array
    pooled: Array

    @classmethod
    def plain(cls, group: Array, precision: Array | None = None) -> "Prior":
        """Every precision by MacKay's rule alone, beginning at 1 if none are given."""
        n_groups = int(group.max()) + 1
        none = np.zeros(n_groups, dtype=bool)
        return cls(group, np.ones(n_groups) if precision is None else precision, none, none)

    def update(self, found: "Estimate", old: Array) -> Array:
        """New precisions: (gamma + 2 s) / (|theta|^2 + 2 s / centre) where pooled."""
        new = found.precision.copy()
        if self.pooled.any():
            gamma, pooled = found.gamma[self.pooled], new[self.pooled]
            centre = np.exp(np.log(old[self.pooled]).mean())
            new[self.pooled] = (gamma + 2 * POOLING) / (gamma / pooled + 2 * POOLING / centre)
        new = np.clip(bounded(new, old), 1 / LARGEST_PRECISION, LARGEST_PRECISION)
        return np.where(self.fixed, old, new)


def relevance_prior(shape: Shape, precision: Array) -> Prior:
    """A pooled prior for each column and the hidden biases; W2 has precision 1, W0 its own."""
    fixed, pooled = np.zeros((2, len(precision)), dtype=bool)
    pooled[: shape.n_columns + 1] = True
    fixed[shape.n_columns + 1] = True
    return Prior(shape.groups(), precision, fixed, pooled)


def bounded(new: Array, old: Array) -> Array:
    """No estimate moves by more than a factor of ten at once."""
    return np.clip(new, old / 10, old * 10)


class Factor:
    """A by Cholesky, on the complement of a direction if one is given: log-determinant, inverse."""

    def __init__(self, A: Array, unidentified: Array | None = None):
        self.unidentified, self.strength = unidentified, float(A.diagonal().mean())
        if unidentified is not None:
            A = A + self.strength * np.outer(unidentified, unidentified)
        self.lower, info = lapack.dpotrf(A, lower=1)
        jitter = LEAST_JITTER
        while info != 0 and jitter < 1:
            # rounding has left a direction without curvature: none is weaker than rounding
            ridge = jitter * (self.strength + A.diagonal())
            self.lower, info = lapack.dpotrf(A + np.diag(ridge), lower=1)
            jitter *= 10
        if info != 0:
            raise np.linalg.LinAlgError("the posterior has a direction of no curvature")
        self.log_det = 2 * float(np.log(self.lower.diagonal()).sum())
        if unidentified is not None:
            self.log_det -= np.log(self.strength)

    def inverse(self) -> Array:
        """A^-1."""
        inverse, _ = lapack.dpotri(self.lower, lower=1)
        inverse = np.where(np.tri(len(inverse), dtype=bool), inverse, inverse.T)
        if self.unidentified is not None:
            inverse -= np.outer(self.unidentified, self.unidentified) / self.strength
        return inverse
