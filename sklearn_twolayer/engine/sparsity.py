"""Sparsity: weights that are exactly zero, and what they do not go together with."""

from .recipe import is_auto
from .settings import Settings
from .solvers import SOLVERS


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
