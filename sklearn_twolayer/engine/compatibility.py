"""What goes together: solvers and losses, rows, monotonic predictions, weights that are zero."""

from dataclasses import replace
from typing import Any

from .model.losses import Loss
from .model.monotonic import MONOTONIC_ACTIVATIONS
from .settings import Settings, is_auto
from .solvers import SOLVERS

FEW_ROWS = 10_000
"""Up to this many rows equal ones are merged, and mini-batches are in the precision of X."""


def merges_rows(solver: str, n_rows: int) -> bool:
    """Whether equal rows become one: where there are few, and the solver takes all at once."""
    return n_rows <= FEW_ROWS and (is_auto(solver) or not SOLVERS[solver].incremental)


def check_pair(loss: Loss, asked: Settings) -> None:
    """ValueError where the solver, or the evidence, needs what the loss does not have."""
    if loss.has_curvature:
        return  # the evidence of its own, or of another loss
    lacks = f"the curvature of the loss, which {type(loss).__name__} does not have"
    able = [name for name, solver in SOLVERS.items() if not solver.needs_curvature]
    if not is_auto(asked.solver) and SOLVERS[asked.solver].needs_curvature:
        raise ValueError(
            f"solver={asked.solver!r} needs {lacks}: take one of {', '.join(map(repr, able))}"
        )
    if is_auto(asked.alpha) and not loss.borrows_prior:
        raise ValueError(f"alpha='auto' needs {lacks}: give alpha a number")


def check_noise(loss: Loss, is_monotonic: bool) -> None:
    """ValueError where predictions are to be monotonic, and noise would have to be, too."""
    if is_monotonic and loss.knows_variance:
        noise = "mixture" if loss.beside_constant else "varying"
        raise ValueError(
            f"monotonic_cst would make the noise monotonic too, got noise={noise!r}: take "
            "noise='constant'"
        )


def keeping_signs(asked: Settings) -> Settings:
    """What is left open, as a network takes it that keeps to signs of its weights.

    ValueError for a solver, or an activation, under which nothing would be monotonic.
    """
    able = {
        "solver": [name for name, solver in SOLVERS.items() if solver.projects],
        "activation": MONOTONIC_ACTIVATIONS,
    }
    for name, names in able.items():
        value = getattr(asked, name)
        if not is_auto(value) and value not in names:
            raise ValueError(
                f"{name}={value!r} cannot keep to monotonic_cst: take one of "
                + ", ".join(map(repr, names))
            )
    usual = {"solver": "adam", "activation": "tanh", "encoding": "piecewise_linear"}
    left_open: dict[str, Any] = {k: v for k, v in usual.items() if is_auto(getattr(asked, k))}
    return replace(asked, **left_open)


def check_sparsity(asked: Settings, streaming: bool = False) -> None:
    """ValueError where weights cannot be made zero as is asked."""
    if asked.l1_ratio:
        _check_l1(asked)
    if asked.group_lasso and streaming:
        raise ValueError(
            "group_lasso=True holds rows out to choose columns, which partial_fit, with one chunk "
            "of a stream at a time, cannot do: take fit, or group_lasso=False"
        )


def _check_l1(asked: Settings) -> None:
    given = f"l1_ratio={asked.l1_ratio!r}"
    if is_auto(asked.alpha):
        raise ValueError(
            f"{given} needs an alpha that is given, got alpha='auto', whose evidence is that of "
            "squared weights: give alpha a number, such as 1.0, or take l1_ratio=0"
        )
    if not is_auto(asked.solver) and SOLVERS[asked.solver].needs_curvature:
        able = [name for name, solver in SOLVERS.items() if not solver.needs_curvature]
        raise ValueError(
            f"{given} has no curvature at zero, which solver={asked.solver!r} needs: take one of "
            f"{', '.join(map(repr, ('auto', *able)))}, or l1_ratio=0"
        )
    if asked.solver == "sgd" and asked.momentum == 1:
        raise ValueError(
            f"{given} needs momentum below 1, got momentum=1: a velocity that never falls would "
            "carry weights past zero for ever"
        )


def why_no_posterior(settings: Settings) -> str:
    """Nothing where squared weights alone are penalised."""
    if not settings.l1_ratio:
        return ""
    return (
        f"l1_ratio={settings.l1_ratio!r} makes a prior with a kink at zero, where weights lie and "
        "where no Gaussian is like it"
    )
