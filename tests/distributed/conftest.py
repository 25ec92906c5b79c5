"""A cluster of two workers, started once by each process that has a test of it."""

import warnings

import pytest

try:
    import dask.dataframe  # noqa: F401
    import distributed  # noqa: F401
except ImportError:
    collect_ignore_glob = ["*.py"]


@pytest.fixture(scope="session")
def cluster():
    """Two processes of one thread each, and of one BLAS thread, as Dask sets it, at any port."""
    from distributed import LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with warnings.catch_warnings():
        # of sockets that Dask closes when it likes
        warnings.simplefilter("ignore", ResourceWarning)
        with LocalCluster(processes=True, **options) as cluster:
            yield cluster


@pytest.fixture(scope="session")
def client(cluster):
    """A client of it, which is not the one that Dask asks where none is named."""
    from distributed import Client

    with Client(cluster, set_as_default=False) as client:
        yield client
