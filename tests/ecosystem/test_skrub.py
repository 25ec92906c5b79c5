"""skrub makes columns of numbers of a table with dates and texts.

For what it does not know, MLPRegressor among them, `tabular_pipeline` encodes each category into
columns of its own, fills in what is missing and scales. Here categories and missing values may
stay, as for HistGradientBoosting: a `TableVectorizer` that says so is enough.
"""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = pytest.mark.ecosystem


@pytest.fixture(scope="module")
def skrub():
    return pytest.importorskip("skrub")


@pytest.fixture
def texts(skrub):
    """What makes numbers of the notes: as skrub's own choice, but with a seed."""
    return skrub.StringEncoder(n_components=3, random_state=0)


@pytest.fixture(scope="module")
def table(frame):
    days = pd.date_range("2024-01-01", periods=len(frame), freq="D")
    notes = [f"order {number % 7} of customer {number % 50}" for number in range(len(frame))]
    a = frame["a"].where(np.arange(len(frame)) % 9 > 0)
    return frame.assign(a=a, day=days, note=notes)


@pytest.fixture(scope="module")
def target(table, quantities):
    return quantities + 2 * (table["city"] == "Ulm") + table["a"].isna()


def test_a_pipeline_for_any_table(skrub, texts, table, target):
    model = skrub.tabular_pipeline(TwoLayerRegressor(5, random_state=0))
    model.set_params(tablevectorizer__high_cardinality=texts)
    assert model.fit(table[:150], target[:150]).score(table[150:], target[150:]) > 0.6
    classifier = skrub.tabular_pipeline(TwoLayerClassifier(5, random_state=0))
    classifier.set_params(tablevectorizer__high_cardinality=texts)
    is_large = target > target.median()
    assert classifier.fit(table[:150], is_large[:150]).score(table[150:], is_large[150:]) > 0.7


def test_categories_and_missing_values_may_stay(skrub, texts, table, target):
    vectorizer = skrub.TableVectorizer(
        low_cardinality=skrub.ToCategorical(), high_cardinality=texts
    )
    model = make_pipeline(vectorizer, TwoLayerRegressor(5, random_state=0))
    assert model.fit(table[:150], target[:150]).score(table[150:], target[150:]) > 0.6
    net = model[-1]
    assert net.feature_names_in_[net.is_categorical_].tolist() == ["city"]
    assert "missingindicator_a" in net.encoded_feature_names_


def test_a_step_of_a_plan(skrub, texts, table, target):
    """A callable that has parameters is an estimator to it, not a function."""
    plan = skrub.X(table).skb.apply(skrub.TableVectorizer(high_cardinality=texts))
    net = TwoLayerRegressor(5, random_state=0)
    learner = plan.skb.apply(net, y=skrub.y(target)).skb.make_learner(fitted=True)
    found = learner.predict({"X": table})
    assert np.corrcoef(np.ravel(found), target)[0, 1] > 0.8
