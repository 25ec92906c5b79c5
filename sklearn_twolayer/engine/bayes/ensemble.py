"""Several networks from different starts, averaged: one network with all their hidden units.

Each start ends at a mode of its own. The average of their outputs predicts better than most of
them, and where they disagree it says so: the covariance of an output is the mean of the
members' own and the spread between them. A member's share is its evidence, tempered by the root
of the number of rows: Laplace's approximation is not to be trusted to the last nat, but a member
far worse than the others should not count.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.special import softmax

from ..data.inputs import Inputs
from ..model.network import Network
from ..model.parameters import Shape
from ..numerics import Array
from .predictive import OutputCovariance


def shares(log_evidence: Array, n: float) -> Array:
    """What each member counts in the average; they add up to one."""
    return softmax(log_evidence / n**0.5)


def side_by_side(shape: Shape, thetas: Array, shares: Array) -> tuple[Shape, Array]:
    """The network that computes sum_m shares_m f_m, its hidden units those of all members."""
    parts = [shape.views(theta) for theta in thetas]
    wide = replace(shape, n_hidden=len(parts) * shape.n_hidden)
    average = np.empty(wide.size)
    views = wide.views(average)
    np.concatenate([p.layer1 for p in parts], axis=1, out=views.layer1)
    np.concatenate([s * p.W2 for s, p in zip(shares, parts, strict=True)], out=views.W2)
    views.b2[:] = shares @ np.array([p.b2 for p in parts])
    if views.W0 is not None:
        views.W0[:] = np.tensordot(shares, np.array([p.W0 for p in parts]), 1)
    return wide, average


def combine(outputs: Iterator[tuple[Array, Array]], shares: Array) -> tuple[Array, Array]:
    """Mean and covariance (n_rows, n_outputs[, n_outputs]) of what the members say.

    Covariances of members are added up as they come, so that only one is held beside the sum.
    """
    means: list[Array] = []
    covariance = weighted = np.empty(0)
    for share, (Z2, of_member) in zip(shares, outputs, strict=True):
        weighted = share * of_member
        covariance = np.add(covariance, weighted, out=covariance) if means else weighted
        means.append(Z2)
    if len(means) == 1:
        return means[0], covariance
    mean = np.zeros_like(means[0])
    for share, Z2 in zip(shares, means, strict=True):
        mean += share * Z2
    for share, Z2 in zip(shares, means, strict=True):
        spread = share**0.5 * (Z2 - mean)
        covariance += np.multiply(spread[..., :, None], spread[..., None, :], out=weighted)
    return mean, covariance


class Predictive:
    """What several networks with a posterior each say together of standardised rows."""

    def __init__(self, network: Network, thetas: Array, covariances: Array, shares: Array):
        members = zip(thetas, covariances, strict=True)
        self.members = [OutputCovariance(network, *member) for member in members]
        self.shares = shares

    def of_rows(self, X: Inputs) -> tuple[Array, Array]:
        """Mean and covariance of Z2 in each row, in standardised units."""
        return combine(self.of_each(X), self.shares)

    def of_each(self, X: Inputs) -> Iterator[tuple[Array, Array]]:
        """The same of one member after the other."""
        return (member.of_rows(X) for member in self.members)


def member(network: Network, n_members: int) -> Network:
    """One of the networks that stand side by side in a wide one."""
    shape = network.shape
    return replace(network, shape=replace(shape, n_hidden=shape.n_hidden // n_members))
