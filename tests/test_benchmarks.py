"""The benchmark harness runs; what it measures is no business of a test."""

import gzip
import importlib
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sklearn_twolayer import TwoLayerClassifier, TwoLayerRegressor

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def harness(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    names = ("problems", "contenders", "jobs", "run", "compare", "plot")
    names += ("tables", "accuracy", "newcomer", "large", "scaling", "band", "quantiles")
    yield {name: importlib.import_module(name) for name in names}
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def one_network(harness, monkeypatch):
    """Ours is one network: what the recipe averages, and for how long, is no matter here."""
    for cls in (TwoLayerRegressor, TwoLayerClassifier):
        for name in ("newcomer", "large"):
            monkeypatch.setattr(harness[name], cls.__name__, partial(cls, n_members=1))
    for task, models in harness["accuracy"].MODELS.items():
        ours = partial(models["ours"], n_members=1)
        monkeypatch.setitem(harness["accuracy"].MODELS, task, models | {"ours": ours})


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
    pixels = np.arange(3 * 784, dtype=np.uint8)
    for name, header, content in (("images-idx3", 16, pixels), ("labels-idx1", 8, pixels[:3])):
        with gzip.open(tmp_path / f"train-{name}-ubyte.gz", "wb") as file:
            file.write(bytes(header) + content.tobytes())
    monkeypatch.setenv(harness["problems"].FASHION_MNIST, str(tmp_path))
    X, y = harness["problems"].PROBLEMS["10k x 784"].make()
    assert X.shape == (3, 784)
    assert y.tolist() == [0, 1, 2]


@pytest.fixture
def folder(tmp_path):
    """Two tiny tables, with missing cells, categories and a class too small to be used."""
    random_state = np.random.RandomState(0)
    rows = random_state.standard_normal((60, 2)).round(3).astype(str)
    slopes = random_state.standard_normal(60)
    makers = np.where(slopes > 0, "a", "b").astype(object)
    rows[3, 0] = makers[5] = ""
    targets = {"cars": slopes.round(3).astype(str), "coins": np.where(slopes > 0, "heads", "tails")}
    targets["coins"][:2] = "edges"
    (tmp_path / "data").mkdir()
    manifest = []
    for name, task in (("cars", "regression"), ("coins", "classification")):
        lines = [",".join(row) for row in zip(*rows.T, makers, targets[name], strict=True)]
        with gzip.open(tmp_path / "data" / f"{name}.csv.gz", "wt") as file:
            file.write("\n".join(["weight,power,maker,target", *lines]))
        columns = {"numeric": ["weight", "power"], "categorical": ["maker"]}
        manifest.append({"name": name, "task": task, **columns})
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def test_reads_a_folder_of_tables(harness, folder):
    cars, coins = harness["tables"].folder_tables(folder)
    assert cars.X.shape == (60, 3)
    assert len(coins.y) == 58
    assert set(coins.y) == {0, 1}
    encoded = cars.encoder(scale=False).fit_transform(cars.X).astype(float)
    assert encoded.shape == (60, 2 + 3)  # a, b and the rare one that is missing
    known = np.delete(cars.X[:, 0].astype(float), 3)
    assert encoded[3, 0] == np.median(known)
    assert [t.name for t in harness["tables"].folder_tables(folder, ["coins"])] == ["coins"]


def test_large_tables_are_cut(harness):
    X = np.arange(4000.0)[:, None]
    table = harness["tables"].prepared("long", "regression", X, X[:, 0])
    assert table.X.shape == (3000, 1)
    np.testing.assert_array_equal(table.X[:, 0], table.y)


def test_accuracy(harness, one_network, folder, monkeypatch, capsys):
    accuracy = harness["accuracy"]
    for task, models in accuracy.MODELS.items():
        some = {name: models[name] for name in (accuracy.OURS, next(reversed(models)))}
        monkeypatch.setitem(accuracy.MODELS, task, some)
    results = folder / "results.json"
    accuracy.main(["--data", str(folder), "--json", str(results)])
    whole = json.loads(results.read_text())
    cars = whole["tables"]["regression"]["cars"]
    assert set(cars) == {"ours", "MLP"}
    assert 0 < cars["ours"]["error"] < 1.5
    assert 0.5 < cars["ours"]["coverage"] <= 1
    assert 0 <= whole["tables"]["classification"]["coins"]["ours"]["calibration"] < 1
    assert whole["summary"]["classification"]["ours"]["ours / theirs"] == 1
    printed = capsys.readouterr().out
    assert "| cars | 60 x 3 |" in printed
    assert "| calibration error |" in printed


def test_calibration_error(harness):
    of = harness["accuracy"].calibration_error
    sure = np.tile([0.05, 0.95], (4, 1))
    assert of(np.ones(4), sure) == pytest.approx(0.05)
    assert of(np.array([1, 1, 0, 0]), sure) == pytest.approx(0.45)


@pytest.mark.parametrize("alpha", ["auto", 1.0])
@pytest.mark.parametrize("store_posterior", [True, False])
def test_only_a_posterior_gives_deviations(harness, alpha, store_posterior):
    X = np.linspace(-1, 1, 30)[:, None]
    model = TwoLayerRegressor(3, alpha=alpha, store_posterior=store_posterior)
    model.fit(X, X[:, 0] ** 2)
    assert harness["accuracy"].gives_deviations(model) is store_posterior


def test_others_give_none(harness):
    X = np.linspace(-1, 1, 30)[:, None]
    assert not harness["accuracy"].gives_deviations(Ridge().fit(X, X[:, 0]))


def test_means_pass_over_tables_without_deviations(harness):
    scores = {"error": 0.5, "null": 1.0, "seconds": 1.0, "warnings": 0}
    found = harness["accuracy"].summary(
        {"one": {"ours": scores | {"coverage": 0.9}}, "two": {"ours": scores}}
    )
    assert found["ours"]["coverage"] == 0.9


def test_newcomer(harness, one_network, capsys):
    found = harness["newcomer"].main(["--only", "iris", "--seeds", "1"])
    assert -1 < found["iris"]["ours, raw"] < 0
    assert "| iris | neg_log_loss |" in capsys.readouterr().out


def test_large(harness, one_network, capsys):
    found = harness["large"].main(["--rows", "200"])
    for problem in found.values():
        assert problem["best"]["error"] < min(problem[who]["error"] for who in ("ours", "MLP"))
        assert problem["ours"]["peak, MB"] > 0
    assert "| regression, nRMSE | best |" in capsys.readouterr().out


@pytest.fixture
def scaling(harness, one_network, monkeypatch):
    monkeypatch.setattr(harness["scaling"], "N_TEST", 100)
    return harness["scaling"]


def test_scaling_prints_writes_and_draws(scaling, tmp_path, capsys):
    results, picture = tmp_path / "results.json", tmp_path / "scaling.png"
    arguments = ["--rows", "40", "60", "--json", str(results), "--plot", str(picture)]
    found = scaling.main(arguments)
    assert json.loads(results.read_text()) == found
    assert list(found) == ["ours", "boosting", "MLP"]
    for of_contender in found.values():
        assert of_contender["machine"]["sklearn"]
        for scores in of_contender["problems"].values():
            assert list(scores) == ["40", "60"]
            assert all(each["error"] > 0 and each["seconds"] > 0 for each in scores.values())
    assert picture.stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert printed.count("| 40 |") == printed.count("| 60 |") == len(scaling.PROBLEMS) == 2


def test_scaling_reads_back_what_it_is_not_to_measure(scaling, tmp_path, capsys):
    results = tmp_path / "results.json"
    first = scaling.main(["--rows", "40", "--json", str(results), "--only", "ours", "boosting"])
    first["ours"]["problems"] = "stale"
    results.write_text(json.dumps(first))
    second = scaling.main(["--rows", "60", "--json", str(results), "--only", "ours"])
    assert second["boosting"] == first["boosting"]
    for problem in scaling.PROBLEMS:
        assert list(second["ours"]["problems"][problem]) == ["60"]
        by_rows = scaling.figures(second, problem)
        assert {n_rows: list(each) for n_rows, each in by_rows.items()} == {
            40: ["boosting"],
            60: ["ours"],
        }
    assert "| rows | ours | boosting | ours / best |" in capsys.readouterr().out
    assert scaling.main(["--json", str(results), "--only"]) == second


def test_scaling_divides_ours_by_the_best_of_the_others(scaling, capsys):
    def contender(error, seconds):
        scores = {"300": {"error": error, "seconds": seconds}}
        return {"problems": dict.fromkeys(scaling.PROBLEMS, scores)}

    results = {"ours": contender(1.2, 6.0), "boosting": contender(2.4, 1.0)}
    scaling.report(results | {"MLP": contender(1.5, 3.0)})
    row = "| 300 | 1.200 | 2.400 | 1.500 | 0.800 | 6.000 | 1.000 | 3.000 | 2.000 |"
    assert row in capsys.readouterr().out
    scaling.report(results)  # nothing to divide by
    assert "| 300 | 1.200 | 2.400 |  | 6.000 | 1.000 |  |" in capsys.readouterr().out


class Friedman:
    """The true function, which notes how many rows it was given."""

    def fit(self, X, y):
        self.n_rows = len(X)

    def predict(self, X):
        self.n_asked = len(X)
        curved = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2
        return curved + 10 * X[:, 3] + 5 * X[:, 4]


def test_scaling_asks_for_rows_that_were_not_learnt_from(scaling, monkeypatch):
    model = Friedman()
    monkeypatch.setattr(scaling, "contender", lambda who, task: model)
    regression = next(iter(scaling.PROBLEMS.values()))
    assert scaling.measure("truth", regression, 40)["error"] == pytest.approx(1, rel=1e-12)
    assert (model.n_rows, model.n_asked) == (40, 100)


def test_scaling_measures_quantities_by_the_truth(scaling):
    regression, classes = scaling.PROBLEMS.values()
    X, y, truth = regression.make(2000, 0)
    assert X.shape == (2000, 10)
    np.testing.assert_allclose(truth, Friedman().predict(X))
    assert np.std(y - truth) == pytest.approx(1, abs=0.05)
    assert regression.error(y, truth, truth) == 1
    assert regression.error(y, y + 3 * (truth - y), truth) == pytest.approx(3)
    X, y, truth = classes.make(300, 0)
    assert X.shape == (300, 20)
    np.testing.assert_array_equal(np.unique(y), [0, 1, 2])
    assert classes.error(y, np.full((300, 3), 1 / 3), truth) == pytest.approx(np.log(3))


def test_scaling_takes_geometric_means_of_draws_where_rows_are_few(scaling, monkeypatch):
    regression, classes = scaling.PROBLEMS.values()
    assert [len(classes.draws(n)) for n in (300, 1000, 3000)] == [4, 4, 1]
    assert len(regression.draws(300)) == 1
    monkeypatch.setattr(
        scaling, "_of_draw", lambda who, problem, n_rows, seed: {"error": 2.0 ** (seed + 1)}
    )
    assert scaling.measure("ours", classes, 300) == {"error": pytest.approx(2.0**2.5)}


def test_scaling_is_quick_up_to_3000_rows(scaling, monkeypatch):
    asked = []
    monkeypatch.setattr(scaling, "measure", lambda who, problem, n_rows: asked.append(n_rows))
    monkeypatch.setattr(scaling, "report", lambda results: None)
    scaling.main(["--quick", "--only", "ours"])
    assert asked == [300, 1000, 3000] * len(scaling.PROBLEMS)


def test_band(harness, tmp_path):
    harness["band"].main([str(tmp_path / "band.png")])
    assert (tmp_path / "band.png").stat().st_size > 10_000


@pytest.mark.slow
def test_quantiles(harness, tmp_path):
    harness["quantiles"].main([str(tmp_path / "quantiles.png")])
    assert (tmp_path / "quantiles.png").stat().st_size > 10_000
