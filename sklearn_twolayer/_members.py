"""The networks of an average: what kind each one is, and what it counts."""

from typing import Any

from . import engine


class MembersMixin:
    """The attribute that tells of them."""

    @property
    def members_(self) -> list[dict[str, Any]]:
        """A record of each network that is averaged; see the attributes of the class."""
        fitted = engine.restore(self._state)
        members = fitted.networks
        weights = [1.0] if fitted.member_weights is None else fitted.member_weights
        covariances = [None] * len(members)
        if self._predictive is not None:
            covariances = self._predictive["covariances"]
        return [
            {
                "solver": member.solver,
                "encoding": "piecewise_linear" if _has_knots(member) else "linear",
                **vars(member.choices),
                **self._noise_of(member),
                "posterior": _name_of(covariance),
                "weight": float(weight),
            }
            for member, weight, covariance in zip(members, weights, covariances, strict=True)
        ]

    def _noise_of(self, member):
        """Whether it varies, of those that know."""
        if not self._loss_at_fit.knows_variance:
            return {}
        return {"noise": "constant" if member.has_constant_noise else "varying"}


def _has_knots(member):
    return member.encoding is not None and bool(member.encoding.n_increments.any())


def _name_of(covariance):
    """A dict has the factors of a Kronecker product, an array the whole matrix."""
    if covariance is None:
        return None
    return "kronecker" if isinstance(covariance, dict) else "full"
