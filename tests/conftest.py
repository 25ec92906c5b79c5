"""What every test may lean on: one BLAS thread, one seed, and targets for any loss."""

import re
from collections import Counter
from importlib.metadata import PackageNotFoundError, requires, version

import numpy as np
import pytest
from threadpoolctl import threadpool_limits


def pytest_report_header(config):
    """Versions of the tools of the extra `ecosystem`, where it is them that are asked for."""
    if config.option.markexpr != "ecosystem":
        return None
    extra = [each for each in requires("sklearn-twolayer") if "ecosystem" in each]
    return "ecosystem: " + ", ".join(map(_name_and_version, extra))


def _name_and_version(requirement):
    name = re.match(r"[\w.-]+", requirement)[0]
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} is missing"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of a test marked ``sampled(k)`` each k-th case runs by default, all others with ``-m slow``.

    Where k has no factor in common with the lengths of the lists that make the product, each value
    of each list is met, and nearly every pair of them. What asks for a cluster is marked as such.
    """
    counts = Counter()
    for item in items:
        if {"cluster", "client"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("cluster")
        sampled = item.get_closest_marker("sampled")
        if sampled is not None:
            test = item.nodeid.partition("[")[0]
            if counts[test] % sampled.args[0]:
                item.add_marker("slow")
            counts[test] += 1


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture
def rng():
    return np.random.RandomState(0)


@pytest.fixture
def draw_targets(rng):
    """Targets that suit a loss, told from what it declares alone."""

    def draw(loss, n_rows, n_outputs):
        if loss.labels:
            return rng.randint(n_outputs, size=n_rows)
        if loss.link == "log":
            return rng.gamma(2, size=(n_rows, n_outputs))
        if loss.standardizes_target:
            return rng.randn(n_rows, n_outputs)
        return rng.randint(2, size=(n_rows, n_outputs)).astype(np.float64)

    return draw
