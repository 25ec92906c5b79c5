"""Who does not use Dask never imports it, and who lacks it is told what to install."""

import subprocess
import sys

import pytest

FIT = """
import sys
import numpy as np
from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor
X = np.random.RandomState(0).randn(200, 2)
for model in (TwoLayerClassifier(3, random_state=0), TwoLayerRegressor(3, random_state=0)):
    model.fit(X, X[:, 0] > 0).score(X, X[:, 0] > 0)
print([name for name in sys.modules if name.partition(".")[0] in ("dask", "distributed")])
"""
LACKING = """
import sys
import sklearn_twolayer
for missing in ("distributed", "dask"):
    sys.modules[missing] = None
    try:
        import sklearn_twolayer.distributed
    except ImportError as error:
        print(error)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("dask", missing)]:
        del sys.modules[name]
"""


def said_by(program):
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_nothing_else_imports_dask():
    assert said_by(FIT) == "[]\n"


def test_a_missing_package_is_named_with_what_to_install():
    pytest.importorskip("dask")
    pytest.importorskip("distributed")
    for missing, found in zip(("distributed", "dask"), said_by(LACKING).splitlines(), strict=True):
        assert 'pip install "sklearn-twolayer[dask]"' in found
        assert missing in found.rpartition("(")[2]
