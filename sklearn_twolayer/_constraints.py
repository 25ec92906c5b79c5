"""What each parameter may be. The names of choices come from the engine's tables."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf
from numbers import Integral, Real

import numpy as np
from sklearn.metrics import get_scorer_names

from .engine import ACTIVATIONS, INITIALIZERS, LOSSES, SCHEDULES, SOLVERS


@dataclass(frozen=True)
class Choice:
    """One of a few names."""

    names: tuple[str, ...]

    def accepts(self, value):
        return isinstance(value, str) and value in self.names

    def __str__(self):
        return "one of " + ", ".join(repr(name) for name in self.names)


@dataclass(frozen=True)
class Flag:
    """True or False."""

    def accepts(self, value):
        return isinstance(value, (bool, np.bool_))

    def __str__(self):
        return "True or False"


@dataclass(frozen=True)
class Interval:
    """A number of one kind in [low, high], ends included or not."""

    kind: type
    low: float
    high: float = inf
    open_low: bool = False
    open_high: bool = False

    def accepts(self, value):
        if not isinstance(value, self.kind) or isinstance(value, (bool, np.bool_)):
            return False
        if self.kind is Real and isinstance(value, int):
            value = _as_float(value)
        above = value > self.low if self.open_low else value >= self.low
        below = value <= self.high and value != inf and not (self.open_high and value == self.high)
        return above and below

    def __str__(self):
        if self.high == inf:
            kind = "an integer" if self.kind is Integral else "a finite number"
            return f"{kind} {'above' if self.open_low else 'of at least'} {self.low:g}"
        kind = "an integer" if self.kind is Integral else "a number"
        left, right = "(" if self.open_low else "[", ")" if self.open_high else "]"
        return f"{kind} in {left}{self.low:g}, {self.high:g}{right}"


def _as_float(number):
    """The number in double precision, infinity if it is beyond that."""
    try:
        return float(number)
    except OverflowError:
        return inf


@dataclass(frozen=True)
class Infinity:
    """Without end."""

    def accepts(self, value):
        return isinstance(value, Real) and not isinstance(value, Integral) and value == inf

    def __str__(self):
        return "numpy.inf"


@dataclass(frozen=True)
class FloatType:
    """Single or double precision, as NumPy names it."""

    def accepts(self, value):
        if isinstance(value, str):
            return value in ("float32", "float64")
        return isinstance(value, (type, np.dtype)) and value in (np.float32, np.float64)

    def __str__(self):
        return "'float32', 'float64', numpy.float32 or numpy.float64"


@dataclass(frozen=True)
class Precision:
    """A finite number of at least 0, or an array of such numbers."""

    def accepts(self, value):
        if isinstance(value, np.ndarray):
            finite = value.ndim == 1 and value.dtype.kind in "fiu" and np.isfinite(value).all()
            return bool(finite and (value >= 0).all())
        return Interval(Real, 0).accepts(value)

    def __str__(self):
        return "a finite number of at least 0, or a 1-d array of such numbers"


@dataclass(frozen=True)
class Function:
    """Something to call."""

    def accepts(self, value):
        return callable(value)

    def __str__(self):
        return "a callable(estimator, X, y)"


@dataclass(frozen=True)
class ClassWeight:
    """None, "balanced", a dict, or for several labels a list of dicts."""

    def accepts(self, value):
        if value is None or (isinstance(value, str) and value == "balanced"):
            return True
        weights = value if isinstance(value, list) else [value]
        return all(
            isinstance(w, dict) and all(map(Interval(Real, 0).accepts, w.values())) for w in weights
        )

    def __str__(self):
        return "None, 'balanced', a dict {label: weight of at least 0} or a list of such dicts"


@dataclass(frozen=True)
class Columns:
    """Columns of X: by their dtypes, none, or named, numbered or masked."""

    def accepts(self, value):
        if value is None or (isinstance(value, str) and value == "from_dtype"):
            return True
        # an iterator would be empty in the next fit
        return isinstance(value, Iterable) and not isinstance(value, (str, bytes, dict, Iterator))

    def __str__(self):
        return "'from_dtype', None, or an array of names, indices or a boolean for each column"


@dataclass(frozen=True)
class Directions:
    """Monotonic constraints: none, or -1, 0 or 1 for each column, in its place or by its name."""

    def accepts(self, value):
        # what stands there is judged when the columns are known
        is_number = isinstance(value, np.ndarray) and value.ndim == 0
        is_some = isinstance(value, Iterable) and not isinstance(value, (str, bytes, Iterator))
        return value is None or (is_some and not is_number)

    def __str__(self):
        return "None, an array with -1, 0 or 1 for each column, or a dict {column name: -1, 0 or 1}"


@dataclass(frozen=True)
class Loss:
    """A loss of quantities, by its name."""

    @property
    def names(self):
        return [name for name, loss in LOSSES.items() if not loss.is_moderated]

    def accepts(self, value):
        return isinstance(value, str) and value in self.names

    def __str__(self):
        return "one of " + ", ".join(map(repr, self.names))


@dataclass(frozen=True)
class Quantiles:
    """A number in (0, 1), or several that increase."""

    def accepts(self, value):
        one = Interval(Real, 0, 1, open_low=True, open_high=True)
        if np.ndim(value) == 0:
            return one.accepts(value)
        if np.ndim(value) != 1 or not len(value) or not all(map(one.accepts, value)):
            return False
        return bool((np.diff(value) > 0).all())

    def __str__(self):
        return "a number in (0, 1), or a list of such numbers that increase"


@dataclass(frozen=True)
class Jobs:
    """A number of jobs, as joblib counts them."""

    def accepts(self, value):
        is_number = isinstance(value, Integral) and not isinstance(value, (bool, np.bool_))
        return value is None or (is_number and value != 0)

    def __str__(self):
        return "None or an integer other than 0"


@dataclass(frozen=True)
class Either:
    """Whatever one of two constraints accepts."""

    first: object
    second: object

    def accepts(self, value):
        return self.first.accepts(value) or self.second.accepts(value)

    def __str__(self):
        return f"{self.first} or {self.second}"


_AUTO = Choice(("auto",))
_POSITIVE = Interval(Real, 0, open_low=True)
_FRACTION = Interval(Real, 0, 1, open_high=True)
_COUNT = Interval(Integral, 1)
_MOST_UNITS, _MOST_STARTS, _MOST_MEMBERS, _MOST_KNOTS = 10**9, 10**6, 10**4, 10**4

CONSTRAINTS = {
    "loss": Loss(),
    "quantile": Quantiles(),
    "power": Interval(Real, 1, 2, open_low=True, open_high=True),
    "huber_delta": Either(_AUTO, _POSITIVE),
    "noise": Choice(("constant", "varying", "mixture")),
    "hidden_size": Either(_AUTO, Interval(Integral, 1, _MOST_UNITS)),
    "activation": Choice(("auto", *ACTIVATIONS)),
    "skip": Either(_AUTO, Flag()),
    "store_posterior": Flag(),
    "moderate": Flag(),
    "solver": Choice(("auto", *SOLVERS)),
    "alpha": Either(_AUTO, Precision()),
    "l1_ratio": Interval(Real, 0, 1),
    "group_lasso": Flag(),
    "batch_size": Either(_AUTO, _COUNT),
    "learning_rate": Choice(("auto", *SCHEDULES)),
    "learning_rate_init": Either(_AUTO, _POSITIVE),
    "power_t": Interval(Real, 0),
    "decay_rate": Interval(Real, 0, 1, open_low=True),
    "decay_epochs": _POSITIVE,
    "max_iter": Either(_AUTO, _COUNT),
    "shuffle": Flag(),
    "tol": Interval(Real, 0),
    "momentum": Interval(Real, 0, 1),
    "nesterovs_momentum": Flag(),
    "beta_1": _FRACTION,
    "beta_2": _FRACTION,
    "epsilon": _POSITIVE,
    "n_iter_no_change": Either(_COUNT, Infinity()),
    "max_fun": _COUNT,
    "dtype": Either(_AUTO, FloatType()),
    "initializer": Choice(("auto", *INITIALIZERS)),
    "standardize": Flag(),
    "encoding": Choice(("auto", "linear", "piecewise_linear")),
    "n_knots": Either(_AUTO, Interval(Integral, 1, _MOST_KNOTS)),
    "categorical_features": Columns(),
    "monotonic_cst": Directions(),
    "n_init": Interval(Integral, 1, _MOST_STARTS),
    "n_members": Either(_AUTO, Interval(Integral, 1, _MOST_MEMBERS)),
    "n_jobs": Jobs(),
    "warm_start": Flag(),
    "verbose": Either(Flag(), Interval(Integral, 0)),
    "early_stopping": Flag(),
    "validation_fraction": Interval(Real, 0, 1, open_low=True, open_high=True),
    "scoring": Either(Choice(("loss", *get_scorer_names())), Function()),
    "class_weight": ClassWeight(),
}


def check_parameters(estimator):
    """Raise for the first parameter that is not what it may be.

    TypeError for a wrong kind of thing, ValueError for a wrong value. Parameters are attributes: a
    subclass may have set some that its own constructor does not take.
    """
    for name, constraint in CONSTRAINTS.items():
        value = getattr(estimator, name, _ABSENT)
        if value is not _ABSENT and not constraint.accepts(value):
            is_flag = isinstance(value, (bool, np.bool_))
            plain = isinstance(value, (str, Real, list, tuple)) and not is_flag
            error = ValueError if plain else TypeError
            raise error(f"{name} must be {constraint}, got {_shown(value)}")


_ABSENT = object()


def _shown(value):
    """Its repr, which Python refuses for integers of thousands of digits."""
    try:
        return repr(value)
    except ValueError:
        return f"{type(value).__name__} too long to print"
