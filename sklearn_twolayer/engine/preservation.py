"""Serialisation of records as plain dicts, which a pickle of any version can hold."""

from typing import Any

from .bayes.ensemble import Predictive
from .bayes.extrapolation import Ranges
from .bayes.kronecker import KroneckerCovariance
from .bayes.residuals import Residuals
from .data.encoding import Encoding
from .data.moments import Moments
from .data.scaling import Scaling
from .task import Choices, Continuation


def preserve(continuation: Continuation) -> dict[str, Any]:
    """The same as a dict of arrays, numbers, strings, lists and dicts; arrays are not copied."""
    state, scaling = dict(vars(continuation)), dict(vars(continuation.scaling))
    scaling["X"], scaling["Y"] = dict(vars(scaling["X"])), dict(vars(scaling["Y"]))
    histories = {name: list(state[name]) for name in ("loss_curve", "scores")}
    members = [preserve(member) for member in continuation.members]
    names = ("choices", "encoding", "ranges", "residuals")
    records = {name: dict(vars(state[name])) for name in names if state[name]}
    return state | histories | records | {"scaling": scaling, "members": members}


def restore(state: dict[str, Any]) -> Continuation:
    """What `preserve` was given."""
    scaling = dict(state["scaling"])
    scaling["X"], scaling["Y"] = Moments(**scaling["X"]), Moments(**scaling["Y"])
    members = [restore(member) for member in state["members"]]
    typed = {
        "scaling": Scaling(**scaling),
        "choices": Choices(**state["choices"]),
        "encoding": Encoding(**state["encoding"]) if state.get("encoding") else None,
        "ranges": restore_ranges(state),
        "residuals": restore_residuals(state),
        "members": members,
    }
    return Continuation(**{**state, **typed})


def restore_ranges(state: dict[str, Any]) -> Ranges | None:
    """The ranges of what `preserve` was given; None where it is older than they are."""
    return Ranges(**state["ranges"]) if state.get("ranges") else None


def restore_residuals(state: dict[str, Any]) -> Residuals | None:
    """The residuals of what `preserve` was given; None where there are none."""
    return Residuals(**state["residuals"]) if state.get("residuals") else None


def preserve_predictive(predictive: Predictive) -> dict[str, Any]:
    """The same as a dict of arrays, numbers, lists and dicts; arrays are not copied."""
    covariances = [
        dict(vars(each)) if isinstance(each, KroneckerCovariance) else each
        for each in predictive.covariances
    ]
    return dict(vars(predictive)) | {"covariances": covariances}


def restore_predictive(state: dict[str, Any]) -> Predictive:
    """What `preserve_predictive` was given."""
    covariances = [
        KroneckerCovariance(**each) if isinstance(each, dict) else each
        for each in state["covariances"]
    ]
    return Predictive(**{**state, "covariances": covariances})
