"""Dask runs the fits of a search on its workers, by joblib."""

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

pytestmark = pytest.mark.ecosystem


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("dask.distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.Client(processes=False, **options) as client:
        yield client


def test_a_search_on_workers(client, rows, labels):
    grid = {"hidden_size": [1, 5], "alpha": [1.0, 1e6]}
    search = GridSearchCV(TwoLayerClassifier(random_state=0), grid, cv=3)
    expected = search.fit(rows, labels).cv_results_["mean_test_score"]
    with joblib.parallel_config("dask"):
        search.fit(rows, labels)
    assert_array_equal(search.cv_results_["mean_test_score"], expected)
    assert search.best_params_["alpha"] == 1.0


def test_members_on_workers(client, rows, quantities):
    """`n_jobs` of the estimator itself asks joblib, too."""
    model = TwoLayerRegressor(5, n_members=2, random_state=0)
    expected = model.fit(rows, quantities).predict(rows)
    model.set_params(n_jobs=2)
    with joblib.parallel_config("dask"):
        found = model.fit(rows, quantities).predict(rows)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_models_are_sent_and_called(client, rows, quantities):
    model = TwoLayerRegressor(5, random_state=0).fit(rows, quantities)
    assert_array_equal(client.submit(model, rows).result(), model.predict(rows))
    assert_array_equal(client.submit(model.predict, rows).result(), model.predict(rows))
    # models travel in tuples, too, behind a name: a tuple that begins with what can be called is a
    # task to dask.bag and to graphs written by hand, as with any function
    bag = pytest.importorskip("dask.bag").from_sequence([("net", model)])
    found = bag.map(lambda pair: pair[1].predict(rows)).compute(scheduler="threads")
    assert_array_equal(found[0], model.predict(rows))
