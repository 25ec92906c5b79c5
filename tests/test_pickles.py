"""Pickles, copies, and files of skops: they carry the version, and give back what was fitted."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning

from exported import TARGETS, fitted
from kinds import IGNORE_CONVERGENCE
from sklearn_twolayer import (
    SKOPS_TRUSTED_TYPES,
    TwoLayerClassifier,
    TwoLayerRegressor,
    __version__,
)
from sklearn_twolayer._pickles import KEY

pytestmark = IGNORE_CONVERGENCE


def by_joblib(model, path):
    joblib.dump(model, path / "model.joblib", compress=3)
    return joblib.load(path / "model.joblib")


WAYS = {
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
    "joblib": by_joblib,
    "copy": lambda model, path: copy.copy(model),
    "deep copy": lambda model, path: copy.deepcopy(model),
}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@pytest.fixture(scope="module", params=["binary", "two targets"])
def model_and_rows(request):
    model, X, _ = fitted("mixed", request.param)
    return model, X


@every_way
def test_what_is_read_is_what_was_written(way, model_and_rows, tmp_path):
    model, X = model_and_rows
    again = way(model, tmp_path)
    assert vars(again).keys() == vars(model).keys()
    assert not any("version" in name for name in vars(again))
    assert_array_equal(again.predict(X), model.predict(X))


@pytest.mark.slow
def test_processes_of_loky_predict_the_same(model_and_rows):
    model, X = model_and_rows
    found = joblib.Parallel(2)(joblib.delayed(model.predict)(X) for _ in range(2))
    assert_array_equal(found, [model.predict(X)] * 2)


@every_way
@pytest.mark.parametrize("estimator", [TwoLayerClassifier, TwoLayerRegressor])
def test_before_the_fit(way, estimator, tmp_path):
    model = estimator(7, alpha=2.0)
    assert way(model, tmp_path).get_params() == clone(model).get_params() == model.get_params()


class Own(TwoLayerRegressor):
    """An estimator of another package."""

    def __init__(self, factor=2.0):
        super().__init__(2, max_iter=5, random_state=0)
        self.factor = factor


def test_a_subclass():
    X = np.random.RandomState(0).randn(40, 2)
    model = Own(3.0).fit(X, X[:, 0])
    again = pickle.loads(pickle.dumps(model))
    assert type(again) is Own and again.factor == 3.0
    assert_array_equal(again.predict(X), model.predict(X))


def test_the_version_is_in_the_pickle():
    state = TwoLayerRegressor().__getstate__()
    assert state[KEY] == __version__


@pytest.mark.parametrize(
    ("version", "named"),
    [("0.0.9", "by version 0.0.9"), ("99.0", "by version 99.0"), (None, "by an unknown version")],
)
def test_pickles_of_other_versions_warn(version, named):
    state = TwoLayerRegressor(5).__getstate__()
    del state[KEY]
    if version is not None:
        state[KEY] = version
    again = TwoLayerRegressor.__new__(TwoLayerRegressor)
    with pytest.warns(InconsistentVersionWarning, match=named) as caught:
        again.__setstate__(state)
    text = str(caught[0].message)
    assert f"read by version {__version__}" in text
    assert text.startswith("TwoLayerRegressor was pickled")
    assert again.get_params() == TwoLayerRegressor(5).get_params()


def test_reading_leaves_the_state_alone():
    state = TwoLayerRegressor(5).__getstate__()
    TwoLayerRegressor().__setstate__(state)
    assert state[KEY] == __version__


@pytest.mark.parametrize("target", TARGETS)
def test_skops_asks_to_trust_one_type(target, tmp_path):
    skops = pytest.importorskip("skops.io")
    model, X, _ = fitted("mixed", target)
    path = tmp_path / "model.skops"
    skops.dump(model, path)
    untrusted = skops.get_untrusted_types(file=path)
    assert untrusted == [f"sklearn_twolayer.{type(model).__name__}"]
    assert set(untrusted) < set(SKOPS_TRUSTED_TYPES)
    again = skops.load(path, trusted=SKOPS_TRUSTED_TYPES)
    assert vars(again).keys() == vars(model).keys()
    assert_array_equal(again.predict(X), model.predict(X))


def test_files_of_skops_of_other_versions_warn(monkeypatch):
    skops = pytest.importorskip("skops.io")
    data = skops.dumps(TwoLayerRegressor(5))
    monkeypatch.setattr("sklearn_twolayer._pickles.__version__", "99.0")
    with pytest.warns(InconsistentVersionWarning, match="read by version 99.0"):
        skops.loads(data, trusted=SKOPS_TRUSTED_TYPES)
