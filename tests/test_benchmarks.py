"""The benchmark harness runs; what it measures is no business of a test."""

import importlib
import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def harness(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    names = ("problems", "contenders", "jobs", "run", "compare", "plot")
    yield {name: importlib.import_module(name) for name in names}
    for name in names:
        sys.modules.pop(name, None)


def test_run_compare_and_plot(harness, tmp_path, capsys):
    results = tmp_path / "results.json"
    harness["run"].main(["--only", "569 x 30", "--repeats", "1", "--json", str(results)])
    seconds = json.loads(results.read_text())["problems"]["569 x 30"]["seconds"]
    assert seconds["null"] < min(s for name, s in seconds.items() if name != "null")
    assert not harness["compare"].main([str(results), str(results)])
    harness["plot"].main([str(results), str(tmp_path / "picture.png")])
    assert (tmp_path / "picture.png").stat().st_size > 1000
    assert "scikit-learn / ours float64" in capsys.readouterr().out


def test_a_case_is_slower_only_past_both_thresholds(harness):
    def results(fast, slow):
        return {"problems": {"p": {"seconds": {"fast": fast, "slow": slow}}}}

    slower = harness["compare"].slower
    before = results(0.001, 1.0)
    assert slower(before, results(0.004, 1.05)) == []
    assert slower(before, results(0.004, 1.2)) == [("p", "slow", 1.0, 1.2)]
    assert slower(before, results(0.1, 1.05)) == [("p", "fast", 0.001, 0.1)]


def test_reads_fashion_mnist_from_a_folder(harness, tmp_path, monkeypatch):
    import gzip

    import numpy as np

    pixels = np.arange(3 * 784, dtype=np.uint8)
    for name, header, content in (("images-idx3", 16, pixels), ("labels-idx1", 8, pixels[:3])):
        with gzip.open(tmp_path / f"train-{name}-ubyte.gz", "wb") as file:
            file.write(bytes(header) + content.tobytes())
    monkeypatch.setenv(harness["problems"].FASHION_MNIST, str(tmp_path))
    X, y = harness["problems"].PROBLEMS["10k x 784"].make()
    assert X.shape == (3, 784)
    assert y.tolist() == [0, 1, 2]
