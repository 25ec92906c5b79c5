"""The evidence while a solver runs: precisions are re-estimated as weights are learnt.

MacKay's updates need the posterior around the weights; that of `kronecker` costs two small
eigendecompositions, so that a solver of any kind may be told new precisions after each epoch. The
rows that are asked are the same ones throughout, as many as it takes to tell.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.random import RandomState

from ..data.rows import ArrayRows, Rows
from ..model.loss import with_noise
from ..numerics import Array, draw_rows
from ..settings import Settings
from ..solvers import SOLVERS
from ..solvers.monitor import Monitor
from ..solvers.objective import Objective
from ..solvers.penalty import Penalty
from ..solvers.solution import Posterior, Solution, State, Status
from ..solvers.stochastic import batch_size
from .evidence import (
    LARGEST_PRECISION,
    MOST_ROWS,
    Estimate,
    Prior,
    bounded,
    relevance_prior,
)
from .kronecker import KroneckerLaplace
from .kronecker_factors import Factors, InputFactor, factors, input_factor
from .search import all_noise

ROWS_TO_ESTIMATE = 2000
"""Of more rows so many are drawn: the noise is then known to three per cent."""

STEPS_BETWEEN, ESTIMATES = 40, 25
"""Steps of the solver between two estimates, at least, and about how many of mini-batches."""

SETTLED = 0.02
"""A change of the logarithm of a precision that is none."""

NOISE_STEPS = 10
"""Estimates of the noise that settle it where precisions are given."""

OF_EVIDENCE = {"precision", "beta", "since_estimate"}
"""What of a state is not the solver's."""


class EvidenceObjective(Objective):
    """F under precisions that follow the weights.

    F is divided by the noise precision, as that of a given alpha is: one penalty for all outputs.
    """

    def __init__(
        self,
        objective: Objective,
        prior: Prior,
        beta: Array | None,
        random_state: RandomState,
        steps_between: int = STEPS_BETWEEN,
        earlier: Mapping[str, Array] | None = None,
    ):
        """`earlier` is what a stream has told before these rows, see `Factors.means`."""
        network, rows = objective.network, objective.rows
        weights = objective.total_weight, objective.mean_weight
        super().__init__(network, rows, 0.0, *weights, objective.bounds)
        self.plain, self.prior, self.precision = network, prior, prior.precision
        self.beta = all_noise(network, rows) if beta is None else beta
        self.asked = _sample(rows, random_state)
        self._inputs: InputFactor | None = None
        self.earlier, self.fraction = earlier, _fraction_of_stream(self)
        self.n_steps, self.steps_between, self.has_estimated = 0.0, steps_between, False
        self._follow()

    def adapt(self, theta: Array, n_steps: float) -> bool:
        """Take in what theta tells of the precisions, once so many steps are enough for that."""
        self.n_steps += n_steps
        if self.n_steps < self.steps_between:
            return False
        self.n_steps = 0.0
        laplace = self.laplace(theta)
        if laplace is None:
            return False
        self.has_estimated, found = True, laplace.estimate()
        precision, beta = self.prior.update(found, self.precision), bounded(found.beta, self.beta)
        if self.bounds is not None:
            # weights at their bounds do not follow: a little noise and much would take turns
            beta = np.sqrt(beta * self.beta)
        if not self._differ(found, precision, beta):
            return False
        self.precision, self.beta = precision, beta
        self._follow()
        return True

    def _differ(self, found: Estimate, precision: Array, beta: Array) -> bool:
        """Whether new precisions are finite, and others; a group counts by what is known of it."""
        moved = found.gamma @ np.abs(np.log(precision / self.precision)) / found.gamma.sum()
        most = float(np.append(np.abs(np.log(beta / self.beta)), moved).max())
        return most > SETTLED  # NaN is not

    def laplace(self, theta: Array) -> KroneckerLaplace | None:
        """The posterior around theta, None where nothing is finite."""
        # n is the weight of all rows, be it that of copies or of a stream
        n = min(self.total_weight, MOST_ROWS)
        everyone = slice(0, self.asked.n_rows)
        found = factors(self.plain, theta, self.asked, everyone, n, self.inputs)
        return self.around(found.after(self.earlier, self.fraction) if self.earlier else found)

    def around(self, found: Factors) -> KroneckerLaplace | None:
        """The same where the factors are known."""
        if not found.are_finite:
            return None
        try:
            return KroneckerLaplace(found, self.plain, self.prior, self.precision, self.beta)
        except np.linalg.LinAlgError:
            return None

    @property
    def inputs(self) -> InputFactor:
        """The factor of the inputs, measured once."""
        if self._inputs is None:
            n_columns = self.plain.shape.n_features
            n_wide = n_columns if self.rows.are_uncorrelated else self.rows.n_wide
            everyone = slice(0, self.asked.n_rows)
            self._inputs = input_factor(self.asked, everyone, n_columns, n_wide)
        return self._inputs

    @property
    def alpha(self) -> Array:
        """Precisions times the mean variance of the noise: what F is penalised by."""
        return self.precision * (1 / self.beta).mean()

    def _follow(self) -> None:
        self.penalty = Penalty(self.plain.shape, self.alpha)
        if len(self.beta) > 1:
            relative = self.beta * (1 / self.beta).mean()
            self.network = replace(self.plain, loss=with_noise(self.plain.loss, relative))
            self._narrow.clear()


def _fraction_of_stream(objective: Objective) -> float:
    """What these rows count beside earlier ones; those from before the last half are forgotten."""
    weight = objective.rows.sum_weights * objective.rows.copies
    return min(1.0, weight / min(0.5 * objective.total_weight, ROWS_TO_ESTIMATE))


def _sample(rows: Rows, random_state: RandomState) -> ArrayRows:
    """The rows that are asked: all of them, or some."""
    if rows.n_rows <= ROWS_TO_ESTIMATE:
        return rows if isinstance(rows, ArrayRows) else rows.part(np.arange(rows.n_rows))
    return rows.part(np.sort(draw_rows(rows.n_rows, ROWS_TO_ESTIMATE, random_state)))


def _steps_between(settings: Settings, n_rows: int, n_outputs: int) -> int:
    """How many steps weights are given to follow the precisions: more, where there are many."""
    if not SOLVERS[settings.solver].incremental:
        return STEPS_BETWEEN
    n_steps = settings.max_iter * n_rows / batch_size(settings, n_rows)
    # an estimate takes a product for each output
    n_estimates = min(max(500 // n_outputs, 4), ESTIMATES)
    return max(STEPS_BETWEEN, int(n_steps / n_estimates))


def solve(
    objective: Objective,
    theta: Array,
    settings: Settings,
    monitor: Monitor,
    random_state: RandomState,
    state: State | None = None,
) -> Solution:
    """Let the solver of the settings run, and the precisions follow it."""
    before = State() if state is None else state
    adaptive = _going_on(objective, settings, before, random_state)
    # values under different precisions do not compare; where rows judge they choose the weights
    monitor.keep_best = monitor.keep_best and monitor.score is not None
    # of a first run the state tells the precisions, and nothing of the solver
    of_solver = before if set(before) - OF_EVIDENCE else None
    found = SOLVERS[settings.solver].solve(
        adaptive, theta, settings, monitor, random_state, of_solver
    )
    failed = found.status is Status.DIVERGED
    if not (failed or adaptive.has_estimated or "since_estimate" in before):
        adaptive.adapt(found.theta, math.inf)
    found.state["precision"], found.state["beta"] = adaptive.precision, adaptive.beta
    found.state["since_estimate"] = adaptive.n_steps
    laplace = None if failed else adaptive.laplace(found.theta)
    if laplace is not None:
        found.posterior = _posterior(adaptive, laplace)
        if adaptive.fraction < 1 and found.posterior is not None:
            # a chunk alone may have fewer rows than columns
            found.state["factors"] = laplace.factors.means()
    if found.posterior is not None:
        found.value = -found.posterior.log_evidence
    return found


def _going_on(
    objective: Objective, settings: Settings, before: State, random_state: RandomState
) -> EvidenceObjective:
    """The objective under the precisions of an earlier run, or from where all are one."""
    shape, precision, beta = objective.network.shape, before.get("precision"), before.get("beta")
    if precision is None:
        precision = np.ones(shape.n_groups)
    # a state is in the precision of the weights, estimates are not
    prior = relevance_prior(shape, precision.astype(np.float64))
    beta = None if beta is None else beta.astype(np.float64)
    steps = _steps_between(settings, objective.rows.n_rows, shape.n_outputs)
    earlier = before.get("factors")
    adaptive = EvidenceObjective(objective, prior, beta, random_state, steps, earlier)
    # chunks of a stream may be smaller than what lies between two estimates
    adaptive.n_steps = before.get("since_estimate", 0.0)
    return adaptive


def posterior_of_given(
    objective: Objective, theta: Array, alpha: float | Array
) -> Posterior | None:
    """The posterior around theta where alpha was given; the noise alone is estimated."""
    shape = objective.network.shape
    given = np.full(shape.n_groups, alpha, dtype=np.float64)
    if np.ndim(alpha) == 0:
        given[shape.n_columns] = 0.0  # hidden biases are free
    # a flat prior is one that is as wide as can be
    given = np.maximum(given, 1 / LARGEST_PRECISION)
    prior = relevance_prior(shape, given)
    adaptive = EvidenceObjective(objective, prior, None, RandomState(0))
    laplace = adaptive.laplace(theta)
    for _ in range(NOISE_STEPS if objective.network.loss.has_noise else 0):
        if laplace is None:
            return None
        adaptive.beta = bounded(laplace.noise(), adaptive.beta)
        adaptive.precision = given / (1 / adaptive.beta).mean()
        laplace = adaptive.around(laplace.factors)
    return None if laplace is None else _posterior(adaptive, laplace)


def _posterior(objective: EvidenceObjective, laplace: KroneckerLaplace) -> Posterior | None:
    """As a record, or None where the evidence is not finite."""
    if not math.isfinite(laplace.log_evidence):
        return None
    n_effective = float(laplace.gamma().sum()) + int(laplace.identified.sum())
    return Posterior(
        laplace.factors.theta,
        laplace.covariance,
        objective.alpha,
        1 / objective.beta,
        n_effective,
        laplace.log_evidence,
    )
