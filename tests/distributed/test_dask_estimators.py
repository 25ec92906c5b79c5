"""The Dask estimators are scikit-learn estimators, and plain ones underneath."""

import copy
import inspect
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks as checks
from trained import CLASSES, QUANTITIES, X, as_dask

from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, distributed
from sklearn_twolayer.distributed import DaskTwoLayerClassifier, DaskTwoLayerRegressor
from sklearn_twolayer.export import from_json, to_json

PAIRS = pytest.mark.parametrize(("plain", "ours"), list(CLASSES.items()))
OURS = pytest.mark.parametrize("ours", list(CLASSES.values()))
OF_THE_CONSTRUCTOR = [
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_repr",
    "check_estimator_cloneable",
    "check_mixin_order",
    "check_valid_tag_types",
    "check_estimators_unfitted",
]


class NotCopied:
    """A client, as far as copies go."""

    def __reduce__(self):
        raise TypeError("it belongs to its process")


def fitted(plain, **own):
    y = QUANTITIES > 1 if plain is TwoLayerClassifier else QUANTITIES
    return as_dask(plain(3, alpha=1.0, n_init=2, random_state=0).fit(X, y), **own)


@OURS
@pytest.mark.parametrize("check", OF_THE_CONSTRUCTOR)
def test_common_checks_of_the_constructor(check, ours):
    getattr(checks, check)(ours.__name__, ours())


@PAIRS
def test_parameters_are_those_of_the_plain_one_and_two_more(plain, ours):
    parameters = inspect.signature(ours).parameters
    expected = list(inspect.signature(plain).parameters.values())
    assert list(parameters.values())[:-2] == expected
    for name in ("client", "checkpoint"):
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[name].default is None
    assert list(parameters)[-2:] == ["client", "checkpoint"]
    assert ours().get_params() == plain().get_params() | {"client": None, "checkpoint": None}


@OURS
def test_parameters_are_set_and_shown(ours):
    estimator = ours(7, alpha=3.0, checkpoint="here").set_params(tol=0.1)
    with config_context(print_changed_only=True):
        shown = repr(estimator)
    assert shown == f"{ours.__name__}(alpha=3.0, checkpoint='here', hidden_size=7, tol=0.1)"
    assert clone(estimator).get_params() == estimator.get_params()
    assert "checkpoint" in estimator._repr_html_()


@OURS
def test_unknown_parameters(ours):
    with pytest.raises(TypeError, match="unexpected keyword argument 'hidden_layer_sizes'"):
        ours(hidden_layer_sizes=3)
    with pytest.raises(ValueError, match="Invalid parameter 'hidden_layer_sizes'"):
        ours().set_params(hidden_layer_sizes=3)


@OURS
def test_clones_share_the_client(ours):
    client = NotCopied()
    found = clone(ours(3, client=client, verbose=1))
    assert type(found) is ours
    assert found.client is client
    assert (found.hidden_size, found.verbose) == (3, 1)


@pytest.mark.parametrize("plain", CLASSES)
def test_clones_are_not_fitted(plain):
    with pytest.raises(NotFittedError):
        clone(fitted(plain, client=NotCopied())).predict(X)


@pytest.mark.parametrize("plain", CLASSES)
def test_pickles_hold_no_client(plain):
    estimator = fitted(plain, client=NotCopied(), checkpoint="here")
    for found in (pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator)):
        assert found.client is None
        assert found.checkpoint == "here"
        assert_array_equal(found.predict(X), estimator.predict(X))
    assert isinstance(estimator.client, NotCopied)


@pytest.mark.parametrize("plain", CLASSES)
def test_to_local(plain):
    estimator = fitted(plain, client=NotCopied(), checkpoint="here")
    local = estimator.to_local()
    assert type(local) is plain
    own = {"client", "checkpoint"}
    assert vars(local).keys() == vars(estimator).keys() - own
    assert all(value is vars(estimator)[name] for name, value in vars(local).items())
    assert local.get_params() == {
        name: value for name, value in estimator.get_params().items() if name not in own
    }
    assert_array_equal(pickle.loads(pickle.dumps(local)).predict(X), estimator.predict(X))


@IGNORE_CONVERGENCE
@PAIRS
def test_to_local_goes_on_by_itself(plain, ours):
    estimator = fitted(plain)
    before = estimator.predict(X)
    local = estimator.to_local().set_params(warm_start=True, solver="adam", max_iter=1)
    local.fit(X, local.predict(X))
    assert_array_equal(estimator.predict(X), before)
    assert estimator.solver == "auto"


class OfFewParameters(DaskTwoLayerRegressor):
    def __init__(self, alpha=1.0, size=3):
        super().__init__(size, alpha=alpha)
        self.size = size


def test_subclasses_with_a_constructor_of_their_own():
    estimator = OfFewParameters(alpha=2.0)
    vars(estimator).update(vars(fitted(TwoLayerRegressor)))
    assert type(estimator.to_local()) is TwoLayerRegressor
    assert clone(OfFewParameters(alpha=2.0)).get_params() == {"alpha": 2.0, "size": 3}


@OURS
def test_before_fit(ours):
    with pytest.raises(NotFittedError):
        ours().to_local()


@OURS
def test_there_is_no_partial_fit(ours):
    estimator = ours(solver="adam")
    assert not hasattr(estimator, "partial_fit")
    with pytest.raises(AttributeError) as error:
        estimator.partial_fit(X, QUANTITIES)
    assert "to_local" in str(error.value.__cause__)


@PAIRS
def test_fit_takes_what_the_plain_one_takes(plain, ours):
    ours, theirs = (inspect.signature(each.fit).parameters.values() for each in (ours, plain))
    assert [(p.name, p.kind, p.default) for p in ours] == [
        (p.name, p.kind, p.default) for p in theirs
    ]


@PAIRS
def test_methods_take_what_those_of_the_plain_one_take(plain, ours):
    for name, method in inspect.getmembers(plain, inspect.isfunction):
        if name.startswith(("_", "set_")) or name in ("fit", "partial_fit"):
            continue
        found = inspect.signature(getattr(ours, name)).parameters
        expected = inspect.signature(method).parameters
        assert {n: p.default for n, p in found.items()} == {
            n: p.default for n, p in expected.items()
        }, name


@OURS
def test_public_methods_are_annotated(ours):
    for name, method in inspect.getmembers(ours(), inspect.ismethod):
        if not name.startswith("_") and "sklearn_twolayer" in method.__func__.__module__:
            assert inspect.signature(method).return_annotation is not inspect.Signature.empty, name
            for parameter in inspect.signature(method).parameters.values():
                assert parameter.annotation is not parameter.empty, (name, parameter.name)


@pytest.mark.parametrize("plain", CLASSES)
def test_exports_name_the_way_out(plain):
    with pytest.raises(TypeError, match=r"got DaskTwoLayer.* its to_local\(\)"):
        to_json(fitted(plain))
    assert type(from_json(to_json(fitted(plain).to_local()))) is plain


def test_what_is_public():
    assert sorted(distributed.__all__) == ["DaskTwoLayerClassifier", "DaskTwoLayerRegressor"]
    for name in distributed.__all__:
        estimator = getattr(distributed, name)
        assert estimator.__module__ == "sklearn_twolayer.distributed"
        assert pickle.loads(pickle.dumps(estimator())).get_params() == estimator().get_params()


def test_classes_are_told_apart():
    assert issubclass(DaskTwoLayerClassifier, TwoLayerClassifier)
    assert not isinstance(np.array(0), TwoLayerRegressor)
