"""What is public is listed, and said the same way everywhere."""

import inspect
from dataclasses import fields
from types import ModuleType

import pytest

import sklearn_twolayer
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor, engine


def public_members(module):
    return sorted(
        name
        for name, member in vars(module).items()
        if not name.startswith("_") and not isinstance(member, ModuleType)
    )


def test_all_lists_the_public_members():
    assert sorted(sklearn_twolayer.__all__) == public_members(sklearn_twolayer)


def test_skops_is_told_to_trust_the_estimators():
    estimators = (TwoLayerClassifier, TwoLayerRegressor)
    names = [f"{estimator.__module__}.{estimator.__qualname__}" for estimator in estimators]
    assert names == sklearn_twolayer.SKOPS_TRUSTED_TYPES


def test_the_door_lists_its_public_members():
    assert sorted(engine.__all__) == public_members(engine)


@pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])
def test_settings_have_the_defaults_of_the_estimators(estimator):
    parameters = inspect.signature(estimator).parameters
    shared = [field for field in fields(engine.Settings) if field.name in parameters]
    assert shared
    expected = {field.name: parameters[field.name].default for field in shared}
    assert {field.name: field.default for field in shared} == expected
