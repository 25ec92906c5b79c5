"""The kinds of targets that estimators learn, small tables of each, and marks of many files."""

from copy import deepcopy
from functools import cache

import pytest
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
from sklearn_twolayer.engine import ACTIVATIONS, LOSSES, SOLVERS

IGNORE_CONVERGENCE = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
INCREMENTAL = [name for name, solver in SOLVERS.items() if solver.incremental]
every_solver = pytest.mark.parametrize("solver", SOLVERS)


def slow(values):
    """Values of a parameter, or of several, that are met with ``-m slow`` only."""
    several = [value if isinstance(value, tuple) else (value,) for value in values]
    return [pytest.param(*each, marks=pytest.mark.slow) for each in several]


def fitted_once(model, X, y):
    """A copy of the model fitted to (X, y), which only the first that asks waits for."""
    key = type(model), repr(model.get_params()), id(X), id(y)
    if key not in _FITTED:
        _FITTED[key] = model.fit(X, y), X, y  # while these live, no others have their ids
    return deepcopy(_FITTED[key][0])


_FITTED: dict = {}


def labels(n_classes, n_rows, n_features=5, **options):
    """Rows and labels of so many classes."""
    options = {"n_informative": 3, "n_redundant": 0, "random_state": 0, **options}
    return make_classification(n_rows, n_features, n_classes=n_classes, **options)


def several_labels(n_rows, n_features=5):
    """Rows with three labels each, a matrix of 0 and 1."""
    return make_multilabel_classification(n_rows, n_features, n_classes=3, random_state=0)


def five_kinds(labels, several_labels, quantities):
    """{kind: (estimator, X, y)} of what makes (X, y) for n classes, labels and n targets."""
    return {
        "binary": (TwoLayerClassifier, *labels(2)),
        "multiclass": (TwoLayerClassifier, *labels(3)),
        "multilabel": (TwoLayerClassifier, *several_labels()),
        "one target": (TwoLayerRegressor, *quantities(1)),
        "two targets": (TwoLayerRegressor, *quantities(2)),
    }


def every(kinds):
    """A mark that runs a test with (estimator, X, y) of every kind."""
    return pytest.mark.parametrize(("estimator", "X", "y"), kinds.values(), ids=kinds)


def with_checks(quick, slow):
    """Mark a test to run with the checks of some estimators, and of others when asked to."""
    quick, slow = (parametrize_with_checks(list(each)) for each in (quick, slow))
    # scikit-learn 1.6 hands pytest a generator, which pytest no longer likes
    parameters = list(quick.args[1])
    parameters += [pytest.param(*pair, marks=pytest.mark.slow) for pair in slow.args[1]]
    # the name of an estimator takes milliseconds, and it is met with every check
    ids = cache(quick.kwargs["ids"])
    return pytest.mark.parametrize(quick.args[0], parameters, **{**quick.kwargs, "ids": ids})


TARGETS = {
    "one target": ("squared_error", 1),
    "two targets": ("squared_error", 2),
    "two classes": ("binary_log_loss", 1),
    "two labels": ("binary_log_loss", 2),
    "three classes": ("log_loss", 3),
}
"""The kinds of targets as the engine knows them: a loss and a number of outputs."""

every_target = pytest.mark.parametrize(("loss", "n_outputs"), TARGETS.values(), ids=TARGETS)


def losses_and_activations(losses=LOSSES):
    """A mark for (activation, loss): all activations with what everyone uses, tanh with the rest.

    A derivative passes through the activation alike, whatever the loss that it comes from.
    """
    usual = ("squared_error", "binary_log_loss", "log_loss")
    pairs = [(a, loss) for a in ACTIVATIONS for loss in losses if loss in usual or a == "tanh"]
    return pytest.mark.parametrize(("activation", "loss"), pairs)
