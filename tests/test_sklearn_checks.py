"""scikit-learn's own common checks: whatever the settings, not a single exception.

By default every pair of settings is met once; ``-m slow`` runs all the rest of the product.
Where a check cannot hold by its nature, it is named here with the reason.
"""

from itertools import combinations, product

import pytest
from sklearn.utils import get_tags

from kinds import IGNORE_CONVERGENCE, with_checks
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.engine import LOSSES, SOLVERS

# hundreds of fits each: as few and as long steps as suffice for the checks that ask for a score
BUDGETS = {
    "lbfgs": {"max_iter": 50},
    "lm": {"max_iter": 50},
    # where X may have categories the checks round it to integers: few steps learn less from these
    "sgd": {"max_iter": 60, "learning_rate_init": 0.02, "n_iter_no_change": 20},
    "rmsprop": {"max_iter": 60, "learning_rate_init": 0.01},
    "adam": {"max_iter": 30, "learning_rate_init": 0.03},
}
ENCODINGS = {"linear": {}, "piecewise_linear": {"n_knots": 2}}
CATEGORIES = [None, "from_dtype"]
SMALL_BATCHES = {"batch_size": 7}

CANNOT_HOLD = {
    "batch_size": {
        "check_sample_weight_equivalence_on_dense_data": "copies of a row fill other batches",
        "check_sample_weight_equivalence_on_sparse_data": "copies of a row fill other batches",
    },
    "warm_start": {
        "check_supervised_y_2d": "compares two fits of one instance",
        "check_classifiers_multilabel_representation_invariance": "fits one instance several times",
    },
    "log": {
        "check_regressor_multioutput": "draws targets below 0, whatever the tags say of them",
    },
}


def estimators(settings, **others):
    """Small networks with the given (class, *values of GRID)."""
    for estimator, *values in settings:
        chosen = dict(zip(GRID, values, strict=True))
        solver, class_weight = chosen["solver"], chosen.pop("class_weight")
        options = {**chosen, **ENCODINGS[chosen["encoding"]], **BUDGETS.get(solver, {}), **others}
        if "batch_size" in others and SOLVERS[solver].incremental:
            options["max_iter"] = 12
        if estimator is TwoLayerClassifier:
            options["class_weight"] = class_weight
        yield estimator(10, **options)


GRID = {
    "solver": list(SOLVERS),
    "early_stopping": [False, True],
    "encoding": list(ENCODINGS),
    "categorical_features": CATEGORIES,
    "class_weight": [None, "balanced"],
}
CLASSIFIERS = list(product([TwoLayerClassifier], *GRID.values()))
REGRESSORS = [s for s in product([TwoLayerRegressor], *GRID.values()) if s[-1] is None]
EVERYTHING = CLASSIFIERS + REGRESSORS


def is_met_by_default(estimator, solver, early_stopping, encoding, categories, class_weight):
    """Each solver with and without early stopping, each time with the other value of all else."""
    number = list(SOLVERS).index(solver)
    by_solver = {"weight": number % 2, "encoding": number // 2 % 2}
    by_solver["categories"] = by_solver["weight"] ^ by_solver["encoding"]
    met = {name: number ^ early_stopping for name, number in by_solver.items()}
    is_weighted = [None, "balanced"][met["weight"]] == class_weight
    return (
        (is_weighted or estimator is TwoLayerRegressor)
        and encoding == list(ENCODINGS)[met["encoding"]]
        and categories == CATEGORIES[met["categories"]]
    )


def is_one_of_few(estimator, solver, early_stopping):
    """One classifier and one regressor of each kind of solver."""
    classifier = estimator is TwoLayerClassifier
    return (solver, early_stopping) in (("lbfgs", classifier), ("adam", not classifier))


BY_DEFAULT = [s for s in EVERYTHING if is_met_by_default(*s)]
FEW = [s for s in BY_DEFAULT if is_one_of_few(*s[:3])]


@pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])
def test_every_pair_of_settings_is_met_by_default(estimator):
    everything, by_default = (
        [s[1:] for s in settings if s[0] is estimator] for settings in (EVERYTHING, BY_DEFAULT)
    )
    for i, j in combinations(range(len(GRID)), 2):
        met = {(s[i], s[j]) for s in by_default}
        assert met == {(s[i], s[j]) for s in everything}
    assert len(by_default) == 2 * len(SOLVERS)


@pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])
@pytest.mark.parametrize("categorical_features", [None, "from_dtype", ["x"], [0], [True]])
@pytest.mark.parametrize("encoding", ["auto", *ENCODINGS])
def test_tags_of_X_say_what_a_fit_takes(estimator, categorical_features, encoding):
    asked = estimator(encoding=encoding, categorical_features=categorical_features)
    tags = get_tags(asked).input_tags
    assert tags.allow_nan
    assert not tags.string
    assert tags.categorical == (categorical_features is not None)
    listed = isinstance(categorical_features, list)
    assert tags.sparse == (encoding != "piecewise_linear" and not listed)


def rest(settings):
    return [s for s in EVERYTHING if s not in settings]


def run(estimator, check, cannot_hold=()):
    name = check.func.__name__
    try:
        check(estimator)
    except (AssertionError, ValueError):
        if name not in cannot_hold:
            raise
        pytest.xfail(cannot_hold[name])


pytestmark = IGNORE_CONVERGENCE


@with_checks([TwoLayerClassifier(), TwoLayerRegressor()], [])
def test_common_checks_by_default(estimator, check):
    run(estimator, check)


LM = {"hidden_size": 10, "solver": "lm", "max_iter": 50}
OF_SECOND_ORDER = {
    "fixed prior": {**LM, "alpha": 1.0},
    "fixed prior, skip": {**LM, "alpha": 1.0, "skip": True},
    "skip": {**LM, "skip": True},
    "no skip, no posterior": {**LM, "skip": False, "store_posterior": False},
    "single precision": {**LM, "dtype": "float32"},
    "restarts": {**LM, "n_init": 2},
    "raw columns": {**LM, "standardize": False},
}
IN_PIECES = {"encoding": "piecewise_linear", "n_knots": 2}
# one of each pair by default
ALWAYS = [
    TwoLayerClassifier(**OF_SECOND_ORDER["fixed prior"]),
    TwoLayerRegressor(**OF_SECOND_ORDER["fixed prior, skip"]),
    TwoLayerClassifier(**OF_SECOND_ORDER["skip"]),
    TwoLayerRegressor(**OF_SECOND_ORDER["skip"]),
    TwoLayerRegressor(**OF_SECOND_ORDER["no skip, no posterior"]),
    TwoLayerClassifier(**OF_SECOND_ORDER["single precision"]),
    TwoLayerRegressor(**OF_SECOND_ORDER["single precision"]),
    TwoLayerClassifier(**OF_SECOND_ORDER["fixed prior, skip"], **IN_PIECES),
    TwoLayerRegressor(**OF_SECOND_ORDER["raw columns"], **IN_PIECES, categorical_features=None),
]
ALL = product(
    [TwoLayerClassifier, TwoLayerRegressor],
    OF_SECOND_ORDER.values(),
    [{}, IN_PIECES],
    [{}, {"categorical_features": None}],
)
NOT_ALWAYS = [
    each
    for each in (
        estimator(**options, **encoding, **categories)
        for estimator, options, encoding, categories in ALL
    )
    if repr(each) not in map(repr, ALWAYS)
]


@pytest.mark.sampled(5)
@with_checks(ALWAYS, NOT_ALWAYS)
def test_common_checks_of_second_order(estimator, check):
    run(estimator, check)


SPARSE = {"alpha": 0.1, "l1_ratio": 0.5}
OF_FEW_COLUMNS = {"group_lasso": True, "solver": "lbfgs", **BUDGETS["lbfgs"]}


@with_checks(
    [TwoLayerRegressor(10, **SPARSE, **BUDGETS["lbfgs"])],
    [
        TwoLayerClassifier(10, solver="adam", **SPARSE, **BUDGETS["adam"]),
        TwoLayerClassifier(10, **OF_FEW_COLUMNS),
        TwoLayerRegressor(10, **OF_FEW_COLUMNS),
        TwoLayerClassifier(10, **SPARSE, **BUDGETS["lbfgs"]),
        TwoLayerRegressor(10, solver="adam", **SPARSE, **BUDGETS["adam"]),
    ],
)
def test_common_checks_of_weights_that_are_zero(estimator, check):
    run(estimator, check)


OTHER_LOSSES = ("absolute_error", "quantile", "huber", "poisson", "gamma", "tweedie")


@pytest.mark.sampled(3)
@with_checks(
    [TwoLayerRegressor(5, loss=loss, alpha=1.0, **BUDGETS["lbfgs"]) for loss in OTHER_LOSSES],
    [TwoLayerRegressor(5, loss=loss) for loss in OTHER_LOSSES],
)
def test_common_checks_of_losses(estimator, check):
    run(estimator, check, CANNOT_HOLD.get(LOSSES[estimator.loss].link, ()))


@pytest.mark.sampled(3)
@with_checks(estimators(BY_DEFAULT), estimators(rest(BY_DEFAULT)))
def test_common_checks(estimator, check):
    run(estimator, check)


@pytest.mark.sampled(3)
@with_checks(
    estimators(FEW, **SMALL_BATCHES),
    estimators(rest(FEW), **SMALL_BATCHES),
)
def test_common_checks_with_small_batches(estimator, check):
    incremental = SOLVERS[estimator.solver].incremental
    run(estimator, check, CANNOT_HOLD["batch_size"] if incremental else ())


@pytest.mark.sampled(3)
@with_checks(
    estimators(FEW, warm_start=True),
    estimators(rest(FEW), warm_start=True),
)
def test_common_checks_with_warm_starts(estimator, check):
    run(estimator, check, CANNOT_HOLD["warm_start"])
