"""What goes together: which solvers serve a loss, and what keeps predictions monotonic."""

from dataclasses import replace
from typing import Any

from .model.losses import Loss
from .model.monotonic import MONOTONIC_ACTIVATIONS
from .settings import Settings, is_auto
from .solvers import SOLVERS


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
