"""An ensemble: networks from different starts, averaged into one with all their hidden units.

Each start ends at a mode of its own. The average of their outputs predicts better than most of
them, and where they disagree it says so: the covariance of an output is the mean of the
members' own and that of their means. A member's weight is its evidence, tempered by the root of
the number of rows: Laplace's approximation is not to be trusted to the last nat, but a member far
worse than the others should not count.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from ..data.inputs import Inputs
from ..model.network import Network
from ..numerics import Array
from .kronecker import KroneckerCovariance
from .kronecker_outputs import KroneckerOutputs
from .predictive import OutputCovariance


def member_weights(log_evidence: Array, n: float) -> Array:
    """Weights of the members in the average; they add up to one."""
    return softmax(log_evidence / n**0.5)


def combine(outputs: Iterator[tuple[Array, Array]], weights: Array) -> tuple[Array, Array]:
    """Mean and covariance (n_rows, n_outputs[, n_outputs]) of what the members say.

    Covariances of members are added up as they come, so that only one is held beside the sum.
    """
    means: list[Array] = []
    covariance = weighted = np.empty(0)
    for weight, (Z2, of_member) in zip(weights, outputs, strict=True):
        weighted = weight * of_member
        covariance = np.add(covariance, weighted, out=covariance) if means else weighted
        means.append(Z2)
    # the means differ, too: the covariance of a mixture is the mean of those within, and theirs
    if len(means) == 1:
        return means[0], covariance
    mean = np.zeros_like(means[0])
    for weight, Z2 in zip(weights, means, strict=True):
        mean += weight * Z2
    for weight, Z2 in zip(weights, means, strict=True):
        apart = weight**0.5 * (Z2 - mean)
        covariance += np.multiply(apart[..., :, None], apart[..., None, :], out=weighted)
    return mean, covariance


def combine_variances(
    outputs: Iterable[tuple[Array, Array]], weights: Array
) -> tuple[Array, Array]:
    """The same for variances (n_rows, n_outputs), the diagonals of such covariances."""
    Z2, variances = (np.array(each) for each in zip(*outputs, strict=True))
    mean = np.tensordot(weights, Z2, 1)
    return mean, np.tensordot(weights, variances + np.square(Z2 - mean), 1)


@dataclass(frozen=True)
class Predictive:
    """What prediction needs to say how sure an average of networks is, in standardised units.

    thetas (n_members, n_parameters) with their covariances, the weight of each member, and how
    logits are moderated (`Moderation`).
    """

    thetas: list[Array]
    covariances: list[Array | KroneckerCovariance]
    weights: Array
    temperature: float = 1.0
    variance_fraction: float = 1.0


class Certain:
    """Outputs of weights of which nothing says how sure they are: their covariance is none."""

    def __init__(self, network: Network, theta: Array):
        self.network, self.theta = network, theta.astype(np.float64)

    def of_rows(self, X: Inputs) -> tuple[Array, Array]:
        """Z2, and zeros (n_rows, n_outputs, n_outputs)."""
        Z2 = self.network.outputs(self.theta, X).copy(order="K")
        return Z2, np.broadcast_to(0.0, (*Z2.shape, Z2.shape[1]))


def outputs_of(
    network: Network, theta: Array, covariance: Array | KroneckerCovariance | None
) -> OutputCovariance | KroneckerOutputs | Certain:
    """What asks a network for its outputs and their covariance."""
    if covariance is None:
        return Certain(network, theta)
    if isinstance(covariance, KroneckerCovariance):
        return KroneckerOutputs(network, theta, covariance)
    return OutputCovariance(network, theta, covariance)
