"""What both estimators share is documented in the same words."""

import inspect
import re

import pytest

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

BOTH = (TwoLayerClassifier, TwoLayerRegressor)
OF_THEIR_OWN = {
    # parameters and attributes that mean something else for labels than for quantities
    "Parameters": {"standardize", "early_stopping", "store_posterior"},
    "Attributes": {"coefs_", "loss_curve_", "out_activation_"},
}


def section(docstring, name):
    """The entries of a numpydoc section: {"name : type": text}."""
    parts = re.split(r"\n([A-Z][A-Za-z ]+)\n-+\n", inspect.cleandoc(docstring))
    body = dict(zip(parts[1::2], parts[2::2], strict=True)).get(name, "")
    entries = re.split(r"^(?=\S)", body, flags=re.MULTILINE)
    return {e.partition("\n")[0]: e.partition("\n")[2].strip() for e in entries if e.strip()}


def by_name(docstring, name):
    return {key.partition(" : ")[0]: (key, text) for key, text in section(docstring, name).items()}


@pytest.mark.parametrize("name", OF_THEIR_OWN)
def test_shared_entries_of_the_classes_say_the_same(name):
    ours, theirs = (by_name(estimator.__doc__, name) for estimator in BOTH)
    shared = (ours.keys() & theirs.keys()) - OF_THEIR_OWN[name]
    assert len(shared) > 10
    differing = {key for key in shared if ours[key] != theirs[key]}
    assert not differing
    own = OF_THEIR_OWN[name] & ours.keys() & theirs.keys()
    assert not {key for key in own if ours[key] == theirs[key]}, "no exceptions without need"


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_shared_arguments_of_methods_say_the_same(method):
    docstrings = (getattr(estimator(solver="adam"), method).__doc__ for estimator in BOTH)
    ours, theirs = (by_name(docstring, "Parameters") for docstring in docstrings)
    shared = (ours.keys() & theirs.keys()) - {"y"}
    assert shared
    assert not {key for key in shared if ours[key] != theirs[key]}


@pytest.mark.parametrize("estimator", BOTH)
def test_every_parameter_is_documented_and_no_other(estimator):
    documented = [key.partition(" : ")[0] for key in section(estimator.__doc__, "Parameters")]
    assert documented == list(inspect.signature(estimator).parameters)


@pytest.mark.parametrize("estimator", BOTH)
def test_public_methods_are_annotated(estimator):
    for name, method in inspect.getmembers(estimator(solver="adam"), inspect.ismethod):
        if name.startswith("_") or not method.__func__.__module__.startswith("sklearn_twolayer"):
            continue
        signature = inspect.signature(method)
        assert signature.return_annotation is not signature.empty, name
        for parameter in signature.parameters.values():
            assert parameter.annotation is not parameter.empty, (name, parameter.name)
