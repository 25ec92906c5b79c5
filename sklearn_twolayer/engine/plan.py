"""What ``"auto"`` means, given the size of the table. Everything that is chosen is chosen here.

A table small enough for the curvature of the network is trained by Levenberg-Marquardt, its prior
chosen by the evidence: few tanh units, started at the linear model where there is one output. A
larger one gets many relu units and L-BFGS or, for many rows, Adam; held-out rows choose its prior.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from .model.parameters import Shape
from .settings import Settings
from .solvers import SOLVERS
from .solvers.levenberg_marquardt import LARGEST

FEW_ROWS = 10_000
"""Up to this many rows a solver looks at all of them at once; beyond, mini-batches learn sooner."""

CHEAP = 1e9
"""Multiplications for a step by curvature, n P^2 + P^3, that are worth it: about 50 ms."""

FEW_UNITS, MORE_UNITS, MANY_UNITS = 10, 20, 100
"""Hidden units under the evidence, the same from `ROWS_FOR_MORE` rows on, and without it."""

ROWS_FOR_MORE = 3000

SEVERAL_MEMBERS, CHEAP_TO_REPEAT = 3, 5e7
"""Networks to average where a step costs no more multiplications than this: milliseconds."""

MOST_PARAMETERS = 10**9
"""Of a network: 8 GB in double precision, and as much again several times over to train it."""

USUAL_ALPHA = 1.0
"""The prior's precision where nothing chooses it."""

ALPHAS_TO_TRY = (1.0, 10.0, 100.0)
"""Precisions among which held-out rows choose: for little noise, for some and for much."""


def resolve(
    settings: Settings,
    n_rows: int,
    n_features: int,
    n_outputs: int,
    dtype: np.dtype,
    validating: bool = False,
) -> Settings:
    """The settings with every ``"auto"`` made definite.

    ``alpha="auto"`` stays where the evidence is to find it; a tuple of precisions stands where
    held-out rows are to choose.
    """
    by_evidence = not why_no_evidence(settings, n_rows, n_features, n_outputs, validating)
    solver = settings.solver
    if solver == "auto":
        solver = "lm" if by_evidence else "lbfgs" if n_rows <= FEW_ROWS else "adam"
    by_trial = settings.solver == "auto" and not validating
    in_single = SOLVERS[solver].incremental and n_rows > FEW_ROWS
    definite: dict[str, Any] = {
        "solver": solver,
        "hidden_size": _hidden_size(solver, n_rows),
        "activation": "tanh" if solver == "lm" else "relu",
        "skip": by_evidence and n_outputs == 1,
        "alpha": "auto" if by_evidence else ALPHAS_TO_TRY if by_trial else USUAL_ALPHA,
        "n_members": 1,
        "dtype": "float32" if in_single else dtype.name,
    }
    open_choices = {k: v for k, v in definite.items() if is_auto(getattr(settings, k))}
    resolved = replace(settings, **open_choices)
    _check_size(Shape(n_features, int(resolved.hidden_size), n_outputs, resolved.skip))
    if not by_evidence:
        return replace(resolved, n_members=1)
    if {"n_members", "hidden_size"} <= open_choices.keys():
        shape = Shape(n_features, resolved.hidden_size, n_outputs, resolved.skip)
        if _cost(n_rows, shape.size) <= CHEAP_TO_REPEAT:
            resolved = replace(resolved, n_members=SEVERAL_MEMBERS)
    return resolved


def _check_size(shape: Shape) -> None:
    """ValueError for a network that no memory would hold."""
    if shape.size > MOST_PARAMETERS:
        raise ValueError(
            f"hidden_size={shape.n_hidden} makes {shape.size} parameters, X having "
            f"{shape.n_features} columns: they must be at most {MOST_PARAMETERS:.0e}"
        )


def is_auto(value: object) -> bool:
    """Whether a choice is left to this module."""
    return isinstance(value, str) and value == "auto"


def _hidden_size(solver: str, n_rows: int) -> int:
    if solver != "lm":
        return MANY_UNITS
    return FEW_UNITS if n_rows < ROWS_FOR_MORE else MORE_UNITS


def why_no_evidence(
    settings: Settings, n_rows: int, n_features: int, n_outputs: int, validating: bool = False
) -> str:
    """Why the evidence is not to choose alpha, or "" where it is.

    It must be asked for, alone, and not take too long.
    """
    solver, n_hidden = settings.solver, settings.hidden_size
    if not is_auto(settings.alpha):
        is_array = isinstance(settings.alpha, np.ndarray)
        return "the fit was given " + ("an array alpha" if is_array else f"alpha={settings.alpha}")
    if solver not in ("auto", "lm"):
        return f"the fit was by solver={solver!r}, which finds none"
    if validating:
        return "the fit was judged by validation rows (X_val, or those of early_stopping=True)"
    if is_auto(n_hidden):
        n_hidden = _hidden_size("lm", n_rows)
    skip = n_outputs == 1 if is_auto(settings.skip) else settings.skip
    n_parameters = Shape(n_features, int(n_hidden), n_outputs, skip).size
    cost = _cost(n_rows, n_parameters)
    if solver == "auto" and n_rows > FEW_ROWS:
        return f"{n_rows} rows are more than {FEW_ROWS}, the most for solver='auto': try 'lm'"
    if n_parameters > LARGEST:
        return f"{n_parameters} parameters are more than {LARGEST}: try fewer hidden units"
    if solver == "auto" and cost > CHEAP:
        return (
            f"{n_rows} rows and P = {n_parameters} parameters make n_rows * P ** 2 + P ** 3 = "
            f"{cost:.2e}, more than {CHEAP:.0e}, the most for solver='auto': try 'lm'"
        )
    return ""


def _cost(n_rows: int, n_parameters: int) -> float:
    """Multiplications of a step by curvature."""
    return float(n_rows * n_parameters**2 + n_parameters**3)
