"""skops stores models without pickles; it asks which types beyond scikit-learn's it may make."""

import pytest
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_twolayer import SKOPS_TRUSTED_TYPES, TwoLayerClassifier, TwoLayerRegressor

pytestmark = pytest.mark.ecosystem


@pytest.fixture(scope="module")
def sio():
    return pytest.importorskip("skops.io")


@pytest.mark.parametrize("hidden_size", ["auto", 5])
def test_a_regressor_comes_back_with_all_it_knows(sio, frame, quantities, hidden_size):
    model = TwoLayerRegressor(hidden_size, random_state=0).fit(frame, quantities)
    stored = sio.dumps(model)
    # nothing but the estimator itself is to be trusted
    assert sio.get_untrusted_types(data=stored) == ["sklearn_twolayer.TwoLayerRegressor"]
    restored = sio.loads(stored, trusted=SKOPS_TRUSTED_TYPES)
    assert restored.get_params() == model.get_params()
    assert vars(restored).keys() == vars(model).keys()
    for ours, theirs in zip(
        model.predict(frame, return_std=True), restored.predict(frame, return_std=True), strict=True
    ):
        assert_array_equal(ours, theirs)
    assert_array_equal(restored.predict_interval(frame), model.predict_interval(frame))


def test_a_pipeline_comes_back_from_a_file(sio, rows, labels, tmp_path):
    model = make_pipeline(StandardScaler(), TwoLayerClassifier(5, random_state=0))
    model.fit(rows, labels)
    path = tmp_path / "model.skops"
    sio.dump(model, path)
    assert sio.get_untrusted_types(file=path) == ["sklearn_twolayer.TwoLayerClassifier"]
    restored = sio.load(path, trusted=SKOPS_TRUSTED_TYPES)
    assert_array_equal(restored.predict_proba(rows), model.predict_proba(rows))


def test_a_stream_goes_on_where_it_was(sio, rows, labels):
    model = TwoLayerClassifier(5, solver="adam", random_state=0)
    model.partial_fit(rows, labels, classes=[0, 1])
    restored = sio.loads(sio.dumps(model), trusted=SKOPS_TRUSTED_TYPES)
    for each in (model, restored):
        each.partial_fit(rows, labels)
    assert_array_equal(restored.predict_proba(rows), model.predict_proba(rows))


def test_what_is_not_trusted_is_refused(sio, rows, labels):
    """scikit-learn's own MLPClassifier, which skops knows, needs no list."""
    stored = sio.dumps(TwoLayerClassifier(5, random_state=0).fit(rows, labels))
    with pytest.raises(Exception, match=r"sklearn_twolayer\.TwoLayerClassifier"):
        sio.loads(stored)
