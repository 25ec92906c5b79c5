"""What the fuzzer passes: values of parameters, rows, targets, weights and classes of any kind."""

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from scipy import sparse

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer._constraints import CONSTRAINTS
from strategies import TARGETS, columns, weights

LARGEST = float(np.finfo(np.float64).max)
SMALLEST = float(np.finfo(np.float64).smallest_subnormal)


def one_of(options):
    """One of some values and strategies."""
    return st.sampled_from(options).flatmap(
        lambda option: option if isinstance(option, st.SearchStrategy) else st.just(option)
    )


def mostly(usual, odd):
    return one_of([*[usual] * 7, odd])


def middling(estimator, X, y):
    return 0.5


def undecided(estimator, X, y):
    return np.nan


def names_of(constraint):
    """All names that a constraint or its alternatives know."""
    alternatives = [getattr(constraint, part, None) for part in ("first", "second")]
    names = [name for part in alternatives if part is not None for name in names_of(part)]
    return [*getattr(constraint, "names", ()), *names]


NUMBERS = [0, 1, 2, 3, -1, 10**18, 10**400, -(10**400), np.int8(2), np.uint64(3), True, False]
NUMBERS += [
    0.0,
    -0.0,
    0.5,
    1.0,
    1.5,
    2.5,
    -2.5,
    1e30,
    np.nan,
    np.inf,
    -np.inf,
    LARGEST,
    SMALLEST,
    1j,
]
NUMBERS += [1j, 1 - 2e-16, np.float16(1), np.float32(0.5), np.float64(np.nan), np.longdouble(0.5)]
THINGS = [None, "", "auto", "nonsense", b"auto", np.str_("auto"), np.bool_(True), "0.5", object()]
THINGS += [np.float32, np.dtype("float64"), int, middling, undecided, [], [1], (1.0,), {}, {0: 1}]
THINGS += [{0: -1}, {1: 0.5, 7: 2}, {"a": 1}, {0: 10**400}, {0: np.nan}, [{0: 1, 1: 2}, {}]]
THINGS += [np.array(thing) for thing in (1.0, [], [0.5], [[1, 2]], ["auto"], [None], [np.nan])]
THINGS += [np.ones(n_groups) for n_groups in (5, 6, 7, 8)]
NAMES = sorted({name for constraint in CONSTRAINTS.values() for name in names_of(constraint)})


def is_accepted(name, value):
    try:
        return bool(CONSTRAINTS[name].accepts(value))
    except Exception:
        return False  # fit has to raise as well, and something better


def is_too_much(name, value):
    """Whether a fit accepts it and then takes more than a moment."""
    heavy = name in ("hidden_size", "max_iter", "n_init", "n_members")
    return heavy and is_accepted(name, value) and value != "auto" and value > 3


def is_someone_elses(name, value):
    """What the caller's own function raises is no business of ours."""
    return name == "scoring" and isinstance(value, type)


POOL = [*NUMBERS, *THINGS, *NAMES]
VALUES = {
    name: [value for value in POOL if not is_someone_elses(name, value)] for name in CONSTRAINTS
}
QUICK_VALUES = {
    name: [value for value in values if not is_too_much(name, value)]
    for name, values in VALUES.items()
}
GOOD_VALUES = {
    name: [value for value in values if is_accepted(name, value)]
    for name, values in QUICK_VALUES.items()
}


X_SMALL = np.random.RandomState(0).randn(12, 2)
Y_SMALL = {TwoLayerClassifier: np.arange(12) % 2, TwoLayerRegressor: X_SMALL @ [1.0, -2.0]}


def frame(X):
    return pd.DataFrame(X, columns=["a", "b"])


CONTAINERS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=0)[::2],
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "int": lambda X: X.astype(np.int64),
    "bool": lambda X: X.astype(bool),
    "object": lambda X: X.astype(object),
    "list": lambda X: X.tolist(),
    "frame": frame,
    "frame of float32": lambda X: frame(X.astype(np.float32)),
    "nullable frame": lambda X: frame(X).astype("Float64"),
    "csr": sparse.csr_array,
    "csc": sparse.csc_matrix,
    "coo": sparse.coo_array,
    "lil": sparse.lil_matrix,
    "csr of float32": lambda X: sparse.csr_array(X.astype(np.float32)),
}


def contained(X, name):
    with np.errstate(all="ignore"):
        return CONTAINERS[name](X)


def odd_rows(n_rows):
    """What no X may be, and what only some X may be."""
    text = np.full((n_rows, 2), "text")
    odd = [None, "text", 3.0, {}, np.float32, [[1.0, 2.0], [3.0]], text, text.astype(object)]
    odd += [
        np.ones(shape) for shape in ((n_rows,), (n_rows, 2, 1), (n_rows, 0), (0, 2), (n_rows, 3))
    ]
    odd += [np.full((n_rows, 2), value) for value in (np.nan, np.inf, -np.inf, 1j, None)]
    odd += [sparse.csr_array(np.full((n_rows, 2), np.nan)), sparse.csr_array((0, 2)), 10**400]
    odd += [
        np.full((n_rows, 2), 10**400, dtype=object),
        np.full((n_rows, 2), "2020-01-01", "M8[s]"),
    ]
    odd += [frame(text), frame(np.ones((n_rows, 2))).rename(columns={"b": "c"})]
    return st.sampled_from(odd)


def usual_columns(n_rows):
    unusual = columns(n_rows) | columns(n_rows, SMALLEST, LARGEST)
    normal = st.integers(0, 99).map(lambda seed: np.random.RandomState(seed).randn(n_rows))
    return normal | normal | unusual


@st.composite
def usual_rows(draw, n_rows):
    X = np.column_stack([draw(usual_columns(n_rows)), draw(usual_columns(n_rows))])
    if draw(st.booleans()):
        X = X[draw(st.lists(st.integers(0, n_rows - 1), min_size=n_rows, max_size=n_rows))]
    return contained(X, draw(st.sampled_from(sorted(CONTAINERS))))


def any_rows(n_rows):
    return mostly(usual_rows(n_rows), odd_rows(n_rows))


NAMED = np.array(["no", "yes", "perhaps"])
KINDS = {
    **TARGETS,
    "two targets": (
        TwoLayerRegressor,
        lambda n: st.tuples(*[usual_columns(n)] * 2).map(np.column_stack),
    ),
    "strings": (
        TwoLayerClassifier,
        lambda n: TARGETS["multiclass"][1](n).map(lambda y: NAMED[y % 3]),
    ),
}
del KINDS["several targets"]
CLASSES = {"strings": list(NAMED), "multilabel": None, "binary": [0, 1], "multiclass": range(4)}

SHAPES = {
    "as it is": lambda y: y,
    "list": lambda y: y.tolist(),
    "series": lambda y: pd.Series(y) if y.ndim == 1 else pd.DataFrame(y),
    "objects": lambda y: y.astype(object),
    "column": lambda y: y.reshape(len(y), -1),
    "sparse": lambda y: y if y.dtype.kind == "U" or y.ndim == 1 else sparse.csr_array(y),
}


def usual_targets(kind, n_rows):
    y = KINDS[kind][1](n_rows)
    return st.tuples(y, one_of(["as it is", st.sampled_from(sorted(SHAPES))])).map(
        lambda drawn: SHAPES[drawn[1]](drawn[0])
    )


def odd_targets(kind, n_rows):
    odd = [None, "text", 3.0, {}, [], np.zeros(0), np.zeros(n_rows + 1), np.zeros((n_rows, 2, 2))]
    odd += [
        np.full(n_rows, value) for value in (0, True, 0.5, np.nan, np.inf, 1j, "a", None, LARGEST)
    ]
    odd += [np.full(n_rows, value, dtype=object) for value in (10**400, "a", 1, np.nan)]
    odd += [
        np.linspace(-1, 1, n_rows),
        LARGEST * np.linspace(-1, 0.5, n_rows),
        np.zeros((n_rows, 0)),
    ]
    odd += [np.array(["a", 1, None, np.nan] * n_rows, dtype=object)[:n_rows]]
    odd += [
        np.array([0.0, 1.0, np.nan] * n_rows)[:n_rows],
        np.eye(n_rows),
        pd.Categorical(["a"] * n_rows),
    ]
    return st.sampled_from(odd) | one_of(sorted(KINDS)).flatmap(
        lambda other: KINDS[other][1](n_rows)
    )


def any_targets(kind, n_rows):
    return mostly(usual_targets(kind, n_rows), odd_targets(kind, n_rows))


def any_weights(n_rows):
    odd = [
        np.full(n_rows, value) for value in (0, 1, -1, True, np.nan, np.inf, 1e308, SMALLEST, 1j)
    ]
    odd += [np.full(n_rows, value) for value in ("heavy", None)] + [
        1.0,
        "heavy",
        [],
        {},
        [1] * n_rows,
    ]
    odd += [np.ones(n_rows + 1), np.ones((n_rows, 1)), [10**400] * n_rows]
    return one_of([None, None, None, weights(n_rows), weights(n_rows), st.sampled_from(odd)])


def any_classes(kind):
    odd = [
        [],
        [0],
        [0, 0, 1, 1],
        ["a", "b"],
        ["a", 1],
        [0.5, np.nan],
        [None],
        [[0, 1]],
        2,
        "ab",
        {0, 1},
    ]
    return mostly(
        st.just(CLASSES.get(kind)), st.sampled_from([None, *odd, np.array([1, 0]), [0, 10**400]])
    )


def any_settings(estimator, accepted):
    names = sorted(CONSTRAINTS.keys() & estimator().get_params().keys())
    pool = GOOD_VALUES if accepted else QUICK_VALUES
    return st.sampled_from(names).flatmap(
        lambda name: st.tuples(st.just(name), st.sampled_from(pool[name]))
    )


SCORED = {
    "binary": np.arange(12) % 2,
    "multiclass": np.arange(12) % 4,
    "strings": NAMED[np.arange(12) % 3],
    "multilabel": np.eye(12, 2, dtype=int),
    "one target": X_SMALL[:, 0],
    "two targets": X_SMALL,
}
row_counts = one_of([st.integers(1, 12), 25])
