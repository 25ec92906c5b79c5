"""What fits leave in the memory of workers, and tables that are larger than all of it together."""

import numpy as np
import pytest
from mortal import SOLVERS, graphs, is_as_before

from sklearn_twolayer.distributed import DaskTwoLayerRegressor

psutil = pytest.importorskip("psutil")
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

MB = 1e6


def resident(client):
    """The largest resident memory of a worker, in MB."""
    return max(client.run(lambda: psutil.Process().memory_info().rss / MB).values())


def fit_and_predict(client, options):
    A, b = graphs()
    model = DaskTwoLayerRegressor(**options, random_state=0, client=client).fit(A, b)
    assert np.isfinite(client.compute(model.predict(A)).result()).all()
    assert np.isfinite(model.score(A, b))


@pytest.mark.parametrize("solver", SOLVERS)
def test_ten_fits_leave_nothing(solver, client):
    options = SOLVERS[solver] | {"max_iter": 3}
    fit_and_predict(client, options)
    assert is_as_before(client)
    before = resident(client)
    for _ in range(10):
        fit_and_predict(client, options)
        assert is_as_before(client)
    assert resident(client) < before + 20
