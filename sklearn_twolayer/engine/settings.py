"""Hyper-parameters: everything a person may choose, under the names the estimators use."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Settings:
    """The estimators' parameters that the engine reads; their docstrings explain each one."""

    hidden_size: Any = "auto"
    activation: str = "auto"
    skip: Any = "auto"
    initializer: str = "auto"
    standardize: bool = True
    encoding: str = "auto"
    n_knots: int | str = "auto"
    solver: str = "auto"
    alpha: Any = "auto"
    l1_ratio: float = 0.0
    group_lasso: bool = False
    batch_size: int | str = "auto"
    learning_rate: str = "auto"
    learning_rate_init: Any = "auto"
    power_t: float = 0.5
    decay_rate: float = 0.5
    decay_epochs: float = 100.0
    max_iter: Any = "auto"
    max_fun: int = 15000
    shuffle: bool = True
    tol: float = 1e-4
    n_iter_no_change: int = 10
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_init: int = 1
    n_members: Any = "auto"
    dtype: str = "auto"
    store_posterior: bool = True


def is_auto(value: object) -> bool:
    """Whether a choice is left open."""
    return isinstance(value, str) and value == "auto"
