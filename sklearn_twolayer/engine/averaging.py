"""The average of networks: one network with the hidden units of all, and how sure it is.

Members may see columns through encodings of their own. In raw units each is a network on the
encoded columns of the most detailed one, its weights being zero for those that it does not have.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .bayes.ensemble import Predictive, combine, outputs_of
from .bayes.predictive import blocks
from .data.encoded import Encoded
from .data.encoding import NUMBER, Encoding, plain
from .data.inputs import Inputs
from .data.moments import has_missing
from .data.sources import source
from .model.activations import ACTIVATIONS
from .model.losses import Loss
from .model.network import Network
from .model.parameters import Shape
from .numerics import Array
from .task import Continuation, Fit


def side_by_side(fits: list[Fit], weights: Array) -> Fit:
    """The fit of largest weight, with those of the wide network that computes the average."""
    # values of different kinds do not compare; they tell of those of one kind
    best = fits[min(range(len(fits)), key=lambda i: (-weights[i], fits[i].solution.value))]
    widest = widest_encoding([fitted.continuation for fitted in fits])
    placed = [_placed(fitted, widest) for fitted in fits]
    coefs = [
        np.concatenate([W[0] for W in placed], axis=1),
        np.concatenate([w * W[1] for w, W in zip(weights, placed, strict=True)]),
    ]
    if any(len(W) > 2 for W in placed):
        parts = [w * W[2] for w, W in zip(weights, placed, strict=True) if len(W) > 2]
        coefs.append(np.sum(parts, axis=0))
    b1 = np.concatenate([fitted.intercepts[0] for fitted in fits])
    b2 = np.sum([w * f.intercepts[1] for w, f in zip(weights, fits, strict=True)], axis=0)
    dtype = np.result_type(*(W.dtype for W in coefs))
    coefs = [W.astype(dtype, copy=False) for W in coefs]
    members = [fitted.continuation for fitted in fits]
    continuation = replace(best.continuation, state={}, members=members, member_weights=weights)
    return replace(best, coefs=coefs, intercepts=[b1, b2], continuation=continuation)


def widest_encoding(members: list[Continuation]) -> Encoding | None:
    """That of the member with most encoded columns, None if there are none."""
    found = [member.encoding for member in members if member.encoding is not None]
    return max(found, key=lambda encoding: int(encoding.sizes.sum()), default=None)


def widest_member(fitted: Continuation) -> Continuation:
    """The member on whose encoded columns the raw weights of an average act."""
    widest = widest_encoding(fitted.networks)
    return next(member for member in fitted.networks if member.encoding is widest)


def activation_of(fitted: Continuation) -> tuple[list[str], list[int]]:
    """The activation of each member's hidden units, and how many they are."""
    choices = [member.choices for member in fitted.networks]
    return [each.activation for each in choices], [each.hidden_size for each in choices]


def _placed(fitted: Fit, widest: Encoding | None) -> list[Array]:
    """[W1, W2] or [W1, W2, W0] on the columns of the widest encoding."""
    own = fitted.continuation.encoding
    W1, W2, *W0 = fitted.coefs
    if widest is None or own is widest:
        return fitted.coefs
    places = _places(own or plain(len(W1)), widest)
    n = int(widest.sizes.sum())
    return [_at(W1, places, n), W2, *(_at(W, places, n) for W in W0)]


def _at(W: Array, places: Array, n: int) -> Array:
    out = np.zeros((n, W.shape[1]), W.dtype)
    out[places] = W
    return out


def _places(own: Encoding, widest: Encoding) -> Array:
    """Where each encoded column of one encoding stands in the other."""
    places = np.empty(int(own.sizes.sum()), dtype=np.intp)
    columns = zip(own.starts, own.sizes, widest.starts, widest.sizes, own.n_levels, strict=True)
    for start, size, at, wide, n_levels in columns:
        of_column = at + np.arange(size)
        if n_levels == NUMBER and size < wide and size > 1:
            of_column[-1] = at + wide - 1  # the indicator stands behind the increments
        places[start : start + size] = of_column
    return places


def _table_for(member: Continuation, X: Any) -> Any:
    """Rows in raw units, or through the encoding of this member."""
    raw = X.X if isinstance(X, Encoded) else X
    if member.encoding is None and not isinstance(X, Encoded):
        return raw
    if member.encoding is None and not has_missing(raw):
        return raw
    return Encoded(raw, member.encoding or plain(raw.shape[1]), member.scaling.fill)


def _standardized(rows: Any, member: Continuation) -> Inputs:
    """All these rows in the units of a member."""
    return source(rows, member.scaling, np.dtype(np.float64)).take(slice(None))


def network_of(fitted: Continuation, loss: Loss, n_columns: int) -> Network:
    """The network of one member."""
    choices, encoding = fitted.choices, fitted.encoding
    n_outputs = loss.n_outputs(len(fitted.scaling.Y_scale))
    n_features = n_columns if encoding is None else int(encoding.sizes.sum())
    blocks = None if encoding is None else encoding.blocks
    shape = Shape(n_features, choices.hidden_size, n_outputs, choices.skip, blocks)
    return Network(shape, ACTIVATIONS[choices.activation], loss)


def outputs_and_covariance(
    fitted: Continuation, loss: Loss, predictive: Predictive, X: Any
) -> Iterator[tuple[slice, Array, Array]]:
    """Raw outputs for raw X and their covariance, of one block of rows after the other.

    Both are in standardised units and float64: (rows, Z2, (n_rows, n_outputs, n_outputs)).
    """
    members = fitted.networks
    tables = [_table_for(member, X) for member in members]
    networks = [network_of(m, loss, t.shape[1]) for m, t in zip(members, tables, strict=True)]
    posteriors = zip(predictive.thetas, predictive.covariances, strict=True)
    outputs = [outputs_of(n, *p) for n, p in zip(networks, posteriors, strict=True)]
    largest = max(networks, key=lambda network: network.shape.size)
    for rows in blocks(largest.shape, X.shape[0]):
        found = (
            output.of_rows(_standardized(table[rows], member))
            for output, table, member in zip(outputs, tables, members, strict=True)
        )
        yield rows, *combine(found, predictive.weights)
