"""SHAP takes the model itself for a function of rows.

For scikit-learn's MLPClassifier `shap.Explainer(model, X)` raises TypeError, "The passed model is
not callable": there `predict_proba` has to be named. Masks are for numbers, so categories go in by
their codes.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.neural_network import MLPRegressor

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = [
    pytest.mark.ecosystem,
    # SHAP mends Matplotlib's colour maps when it is imported
    pytest.mark.filterwarnings("ignore:The set_.* function will be deprecated"),
]


@pytest.fixture(scope="module")
def shap():
    with pytest.MonkeyPatch.context() as patch:
        # numba takes half a minute to compile what runs for milliseconds here
        patch.setenv("NUMBA_DISABLE_JIT", "1")
        return pytest.importorskip("shap")


def test_shares_of_a_regressor_add_up_to_its_prediction(shap, frame, quantities):
    X = frame[["a", "b", "c"]]
    model = TwoLayerRegressor(5, random_state=0).fit(X, quantities)
    explanation = shap.Explainer(model, X[:50])(X[:5])
    assert explanation.feature_names == ["a", "b", "c"]
    sums = explanation.base_values + explanation.values.sum(axis=1)
    assert_allclose(sums, model.predict(X[:5]))
    assert np.abs(explanation.values[:, 2]).max() < 0.1 * np.abs(explanation.values).max()


def test_shares_of_a_classifier_add_up_to_its_probabilities(shap, rows, labels):
    model = TwoLayerClassifier(5, random_state=0).fit(rows, labels)
    explanation = shap.Explainer(model, rows[:50])(rows[:5])
    assert explanation.values.shape == (5, 4, 2)
    sums = explanation.base_values + explanation.values.sum(axis=1)
    assert_allclose(sums, model.predict_proba(rows[:5]))


def test_categories_are_masked_by_their_codes(shap, frame, quantities):
    model = TwoLayerRegressor(5, random_state=0)
    model.fit(frame, quantities + 2 * (frame["city"] == "Ulm"))
    codes = frame.assign(city=frame["city"].cat.codes.astype(float))

    def predict(codes):
        cities = frame["city"].cat.categories[codes["city"].astype(int)]
        return model(codes.assign(city=cities))

    explanation = shap.Explainer(predict, codes[:50])(codes[:5])
    assert_allclose(
        explanation.base_values + explanation.values.sum(axis=1), model.predict(frame[:5])
    )
    at_ulm = (frame["city"] == "Ulm")[:5]
    assert ((explanation[:, "city"].values > 0.5) == at_ulm).all()


def test_what_scikit_learns_network_does(shap, rows, quantities):
    model = MLPRegressor(solver="lbfgs", max_iter=9999).fit(rows, quantities)
    with pytest.raises(TypeError, match="not callable"):
        shap.Explainer(model, rows)
