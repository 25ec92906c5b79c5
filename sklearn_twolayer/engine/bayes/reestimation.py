"""The evidence while a solver runs: precisions are re-estimated as weights are learnt.

MacKay's updates need the posterior around the weights; that of `kronecker` costs two small
eigendecompositions, so that a solver of any kind may be told new precisions after each epoch. The
rows that are asked are the same ones throughout, as many as it takes to tell.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.random import RandomState

from ..data.encoded import EncodedSource
from ..data.rows import ArrayRows
from ..data.sources import Index
from ..model.losses import with_noise
from ..model.network import Network
from ..numerics import Array
from ..settings import Settings
from ..solvers import SOLVERS
from ..solvers.monitor import Monitor
from ..solvers.objective import Objective
from ..solvers.penalty import Penalty
from ..solvers.solution import Posterior, Solution, State, Status
from ..solvers.stochastic import batch_size
from .evidence import LARGEST_PRECISION, MOST_ROWS, Prior, bounded, relevance_prior
from .kronecker import Factors, InputFactor, KroneckerLaplace, factors, input_factor

ROWS_TO_ESTIMATE = 2000
"""Of more rows so many are drawn: the noise is then known to three per cent."""

STEPS_BETWEEN, ESTIMATES = 40, 25
"""Mini-batches between two estimates, at least, and about how many there are in all."""


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
        earlier: Mapping[str, Array] | None = None,
    ):
        """`earlier` is what a stream has told before these rows, see `Factors.means`."""
        network, rows = objective.network, objective.rows
        super().__init__(network, rows, 0.0, objective.total_weight, objective.mean_weight)
        self.plain, self.prior, self.precision = network, prior, prior.precision
        noisy = network.loss.has_noise
        self.beta = np.ones(network.shape.n_outputs if noisy else 1) if beta is None else beta
        self.index = _sample(rows, random_state)
        self._inputs: InputFactor | None = None
        self.earlier, self.fraction = earlier, _fraction_of_stream(self)
        self.n_steps, self.steps_between, self.has_estimated = 0, STEPS_BETWEEN, False
        self._follow()

    def adapt(self, theta: Array, n_steps: int) -> bool:
        """Take in what theta tells of the precisions, once so many steps are enough for that."""
        self.n_steps += n_steps
        if self.n_steps < self.steps_between:
            return False
        self.n_steps = 0
        found = self.laplace(theta).estimate()
        precision = self.prior.update(found, self.precision)
        beta = bounded(found.beta, self.beta)
        if not (np.isfinite(precision).all() and np.isfinite(beta).all()):
            return False
        self.precision, self.beta, self.has_estimated = precision, beta, True
        self._follow()
        return True

    def factors(self, theta: Array) -> Factors:
        """What the rows say around theta."""
        n = min(self.total_weight, MOST_ROWS)
        found = factors(self.plain, theta, self.rows, self.index, n, self.inputs)
        return found.after(self.earlier, self.fraction) if self.earlier else found

    def laplace(self, theta: Array) -> KroneckerLaplace:
        """The posterior around theta."""
        found = self.factors(theta)
        return KroneckerLaplace(found, self.plain, self.prior, self.precision, self.beta)

    @property
    def inputs(self) -> InputFactor:
        """The factor of the inputs, measured once."""
        if self._inputs is None:
            source, n_columns = self.rows.source, self.plain.shape.n_features
            n_wide = source.expansion.n_wide if isinstance(source, EncodedSource) else 0
            self._inputs = input_factor(self.rows, self.index, n_columns, n_wide)
        return self._inputs

    @property
    def alpha(self) -> Array:
        """Precisions times the mean variance of the noise: what F is penalised by."""
        return self.precision * (1 / self.beta).mean()

    def _follow(self) -> None:
        self.penalty = Penalty(self.plain.shape, self.alpha)
        if self.plain.loss.has_noise and len(self.beta) > 1:
            relative = self.beta * (1 / self.beta).mean()
            self.network = Network(
                self.plain.shape, self.plain.activation, with_noise(self.plain.loss, relative)
            )
            self._narrow.clear()


def _fraction_of_stream(objective: Objective) -> float:
    """What these rows count beside earlier ones; those from before the last half are forgotten."""
    weight = objective.rows.sum_weights * objective.rows.copies
    return min(1.0, weight / min(0.5 * objective.total_weight, ROWS_TO_ESTIMATE))


def _sample(rows: ArrayRows, random_state: RandomState) -> Index:
    if rows.n_rows <= ROWS_TO_ESTIMATE:
        return slice(0, rows.n_rows)
    drawn = random_state.randint(rows.n_rows, size=ROWS_TO_ESTIMATE)
    return np.unique(drawn)


def solve(
    objective: Objective,
    theta: Array,
    settings: Settings,
    monitor: Monitor,
    random_state: RandomState,
    state: State | None = None,
) -> Solution:
    """Let the solver of the settings run, and the precisions follow it."""
    shape = objective.network.shape
    before = State() if state is None else state
    beta, precision = before.get("beta"), before.get("precision", np.ones(shape.n_groups))
    prior = relevance_prior(shape, precision)
    adaptive = EvidenceObjective(objective, prior, beta, random_state, before.get("factors"))
    if SOLVERS[settings.solver].incremental:
        n_rows = objective.rows.n_rows
        n_steps = settings.max_iter * n_rows / batch_size(settings, n_rows)
        adaptive.steps_between = max(STEPS_BETWEEN, int(n_steps / ESTIMATES))
    # chunks of a stream may be smaller than what lies between two estimates
    never = "since_estimate" not in before
    adaptive.n_steps = before.get("since_estimate", 0)
    # values under different precisions do not compare; where rows judge they choose the weights
    monitor.keep_best = monitor.keep_best and monitor.score is not None
    # of a first run the state tells the precisions, and nothing of the solver
    of_solver = state if state is not None and len(state) > 2 else None
    found = SOLVERS[settings.solver].solve(
        adaptive, theta, settings, monitor, random_state, of_solver
    )
    if never and not adaptive.has_estimated and found.status is not Status.DIVERGED:
        adaptive.adapt(found.theta, adaptive.steps_between)
    found.state["precision"], found.state["beta"] = adaptive.precision, adaptive.beta
    found.state["since_estimate"] = adaptive.n_steps
    if found.status is not Status.DIVERGED:
        laplace = adaptive.laplace(found.theta)
        found.posterior = _posterior(adaptive, laplace)
        if adaptive.fraction < 1 and found.posterior is not None:
            # a chunk alone may have fewer rows than columns
            found.state["factors"] = laplace.factors.means()
    if found.posterior is not None:
        found.value = -found.posterior.log_evidence
    return found


def _posterior(objective: EvidenceObjective, laplace: KroneckerLaplace) -> Posterior | None:
    """The posterior under the precisions so far; None where it is not finite."""
    gamma, value = laplace.gamma(), laplace.log_evidence
    if not math.isfinite(value):
        return None
    noise = 1 / objective.beta
    n_effective = float(gamma.sum()) + int(laplace.identified.sum())
    return Posterior(
        laplace.factors.theta, laplace.covariance, objective.alpha, noise, n_effective, value
    )


NOISE_STEPS = 10
"""Estimates of the noise that settle it where precisions are given."""


def posterior_of_given(
    objective: Objective, theta: Array, alpha: float | Array
) -> Posterior | None:
    """The posterior around theta where alpha was given; the noise alone is estimated."""
    shape = objective.network.shape
    given = np.broadcast_to(alpha, shape.n_groups).astype(np.float64)
    if np.ndim(alpha) == 0:
        given[shape.n_columns] = 0.0  # hidden biases are free
    # a flat prior is one that is as wide as can be
    given = np.maximum(given, 1 / LARGEST_PRECISION)
    prior = relevance_prior(shape, given)
    adaptive = EvidenceObjective(objective, prior, None, RandomState(0))
    found = adaptive.factors(theta)
    for _ in range(NOISE_STEPS if adaptive.plain.loss.has_noise else 0):
        laplace = KroneckerLaplace(found, adaptive.plain, prior, adaptive.precision, adaptive.beta)
        adaptive.beta = bounded(laplace.estimate().beta, adaptive.beta)
        adaptive.precision = given / (1 / adaptive.beta).mean()
    return _posterior(adaptive, adaptive.laplace(theta))
