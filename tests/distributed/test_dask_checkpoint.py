"""Fits that go on where their client has died: a journal of sums, and what it refuses."""

import os
import subprocess
import sys

import numpy as np
import pytest
from mortal import SOLVERS, Evaluations, graphs, is_as_before
from numpy.testing import assert_array_equal

from sklearn_twolayer.distributed import DaskTwoLayerClassifier, DaskTwoLayerRegressor
from sklearn_twolayer.distributed.journal import MARK, Journal

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FITS = {
    "lbfgs": SOLVERS["lbfgs"] | {"alpha": 1.0},
    "kronecker": SOLVERS["lbfgs"],
    "lm": SOLVERS["lm"],
    "adam": SOLVERS["adam"],
    "two starts": SOLVERS["lbfgs"] | {"n_init": 2, "max_iter": 6},
    "early stopping": SOLVERS["adam"] | {"early_stopping": True},
}
MIDDLE = 12


class Interrupted(Exception):
    """Stands for the end of a client."""


def interrupt(kernel):
    raise Interrupted


def learnt(model):
    parts = [*model.coefs_, *model.intercepts_, model.loss_curve_, model.alpha_]
    return np.concatenate([np.ravel(part) for part in parts])


def estimator(client, path=None, **options):
    return DaskTwoLayerRegressor(**{"random_state": 0} | options, client=client, checkpoint=path)


def stopped_in_the_middle(model, rows, monkeypatch, number=MIDDLE, **held_out):
    with monkeypatch.context() as patch:
        evaluations = Evaluations(patch, number, interrupt)
        with pytest.raises(Interrupted):
            model.fit(*rows, **held_out)
    return evaluations.n


@pytest.fixture
def computed(monkeypatch):
    """Counts the sums that are not read from a journal."""
    from sklearn_twolayer.distributed.partitions import Partitions
    from sklearn_twolayer.distributed.rows import _sums, _sums_of_batch

    found = []
    reduce = Partitions.reduce

    def counted(partitions, function, *arguments, **options):
        if function in (_sums, _sums_of_batch):
            found.append(function)
        return reduce(partitions, function, *arguments, **options)

    monkeypatch.setattr(Partitions, "reduce", counted)
    return found


@pytest.mark.parametrize("name", FITS)
def test_a_fit_that_was_stopped_goes_on(name, client, tmp_path, monkeypatch, computed):
    rows, path = graphs(), tmp_path / "journal"
    whole = estimator(client, **FITS[name]).fit(*rows)
    n = len(computed)
    stopped_in_the_middle(estimator(client, path, **FITS[name]), rows, monkeypatch)
    assert path.exists()
    computed.clear()
    found = estimator(client, path, **FITS[name]).fit(*rows)
    assert_array_equal(learnt(found), learnt(whole))
    assert found.n_iter_ == whole.n_iter_
    # those before the middle were written down
    assert len(computed) == n - (MIDDLE - 1)
    assert not path.exists()
    assert is_as_before(client)


def test_validation_rows_are_part_of_a_fit(client, tmp_path, monkeypatch):
    rows, path = graphs(), tmp_path / "journal"
    held_out = {"X_val": rows[0][:90], "y_val": rows[1][:90]}
    options = SOLVERS["adam"] | {"early_stopping": True}
    whole = estimator(client, **options).fit(*rows, **held_out)
    stopped_in_the_middle(estimator(client, path, **options), rows, monkeypatch, **held_out)
    others = {"X_val": rows[0][:90], "y_val": rows[1][:90] + 1.0}
    with pytest.raises(ValueError, match="differs in the validation rows themselves: go on"):
        estimator(client, path, **options).fit(*rows, **others)
    with pytest.raises(ValueError, match="differs in the validation rows: go on"):
        estimator(client, path, **options).fit(*rows)
    found = estimator(client, path, **options).fit(*rows, **held_out)
    assert_array_equal(learnt(found), learnt(whole))
    assert found.validation_scores_ == whole.validation_scores_


def test_warm_starts_go_on(client, tmp_path, monkeypatch):
    rows, path = graphs(), tmp_path / "journal"
    options = FITS["lbfgs"] | {"warm_start": True}
    whole, found = (estimator(client, **options).fit(*rows) for _ in range(2))
    whole.fit(*rows)
    found.set_params(checkpoint=path)
    before = learnt(found)
    stopped_in_the_middle(found, rows, monkeypatch)
    assert_array_equal(learnt(found), before)
    with pytest.raises(ValueError, match="differs in earlier weights: go on"):
        estimator(client, path, **options).fit(*rows)
    assert_array_equal(learnt(found.fit(*rows)), learnt(whole))


@pytest.mark.parametrize("make", [lambda: None, lambda: np.random.RandomState(7)])
def test_the_stream_of_random_numbers_is_that_of_the_fit_that_was_stopped(
    make, client, tmp_path, monkeypatch
):
    rows, path = graphs(), tmp_path / "journal"
    seen = []

    class Watched(DaskTwoLayerRegressor):
        def _random_stream(self, start):
            stream = super()._random_stream(start)
            seen.append(stream.get_state()[1].copy())
            return stream

    def made(random_state):
        options = SOLVERS["lbfgs"] | {"random_state": random_state}
        return Watched(**options, client=client, checkpoint=path)

    stopped_in_the_middle(made(make()), rows, monkeypatch)
    # one that is elsewhere in its stream
    other = None if make() is None else np.random.RandomState(8)
    made(other).fit(*rows)
    first, second = seen
    assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"alpha": 2.0}, "alpha"),
        ({"hidden_size": 3, "tol": 0.1}, "hidden_size, tol"),
        ({"random_state": 1}, "random_state"),
        ({"random_state": None}, "random_state"),
    ],
)
def test_another_fit_is_refused(changed, named, client, tmp_path, monkeypatch):
    rows, path = graphs(), tmp_path / "journal"
    stopped_in_the_middle(estimator(client, path, **FITS["lbfgs"]), rows, monkeypatch, 3)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"another fit, which differs in {named}: go on with"):
        estimator(client, path, **FITS["lbfgs"] | changed).fit(*rows)
    assert path.read_bytes() == before


def test_other_rows_and_classes_are_refused(client, tmp_path, monkeypatch):
    (A, b), path = graphs(), tmp_path / "journal"
    stopped_in_the_middle(estimator(client, path, **FITS["lbfgs"]), (A, b), monkeypatch, 3)
    with pytest.raises(ValueError, match="differs in the rows themselves: go on with"):
        estimator(client, path, **FITS["lbfgs"]).fit(A, b * (1 + 1e-15))
    with pytest.raises(
        ValueError, match="differs in the rows of the partitions, the rows themselves:"
    ):
        estimator(client, path, **FITS["lbfgs"]).fit(A.rechunk((200, 4)), b.rechunk(200))
    classifier = DaskTwoLayerClassifier(client=client, checkpoint=path)
    with pytest.raises(ValueError, match=r"differs in .*the class"):
        classifier.fit(A, b > 0)


def never(*arguments, **options):
    raise AssertionError("nothing should be computed")


@pytest.fixture
def unasked(monkeypatch):
    from sklearn_twolayer.distributed.partitions import Partitions

    monkeypatch.setattr(Partitions, "compute", never)


@pytest.mark.parametrize(
    "content", [b"x", b"my notes, which are longer than a mark is", MARK[:-1] + b"2"]
)
def test_files_of_others_are_left_alone(content, client, tmp_path, unasked):
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"checkpoint='.*notes' is not a checkpoint of such a fit"):
        estimator(client, path).fit(*graphs())
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("place", "error"), [("", IsADirectoryError), ("nowhere/journal", FileNotFoundError)]
)
def test_paths_that_cannot_be_written(place, error, client, tmp_path, unasked):
    with pytest.raises(error, match="checkpoint cannot be written"):
        estimator(client, tmp_path / place).fit(*graphs())


def test_what_is_no_path(client, unasked):
    with pytest.raises(TypeError, match="checkpoint must be a path or None, got 3"):
        estimator(client, 3).fit(*graphs())


def test_a_fit_that_never_began_leaves_no_file(client, tmp_path):
    A, b = graphs()
    with pytest.raises(ValueError, match="max_iter"):
        estimator(client, tmp_path / "journal", max_iter=-1).fit(A, b)
    with pytest.raises(ValueError, match="must not be zero for all rows"):
        estimator(client, tmp_path / "journal").fit(A, b, b * 0)
    assert not list(tmp_path.iterdir())


TOLD = {"the class": "A", "alpha": "1.0"}
STATE = {"pos": 3}
THETA = np.arange(3.0)


def sums(k):
    return [np.float64(k), np.full(2, k, np.float32)]


def ask(path, n=4):
    """All that a fit asks a journal for, and which sums were computed."""
    journal, computed = Journal(path), []

    def evaluate(k):
        computed.append(k)
        return sums(k)

    try:
        state = journal.begin(TOLD, STATE)
        journal.tell({"validation": 1})
        for k in range(n):
            value, gradient = journal("rows", THETA + k, lambda k=k: evaluate(k))
            assert (value, gradient.dtype) == (k, np.float32)
            assert_array_equal(gradient, sums(k)[1])
    finally:
        journal.close()
    assert state == STATE
    return computed


def test_a_tail_that_is_cut_is_computed_anew_wherever_it_is(tmp_path):
    path = tmp_path / "journal"
    assert ask(path, 2) == [0, 1]
    whole = path.read_bytes()
    numbers = []
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        numbers.append(2 - len(ask(path, 2)))
        assert path.read_bytes() == whole
    assert numbers == sorted(numbers)
    assert set(numbers) == {0, 1, 2}


def test_a_journal_that_went_another_way_goes_on_from_there(tmp_path):
    path = tmp_path / "journal"
    assert ask(path) == [0, 1, 2, 3]
    journal = Journal(path)
    journal.begin(TOLD, STATE)
    journal.tell({"validation": 1})
    assert_array_equal(journal("rows", THETA, never)[1], sums(0)[1])
    assert journal("rows", THETA + 9, lambda: sums(9))[0] == 9
    assert journal("rows", THETA + 1, lambda: sums(8))[0] == 8
    journal.close()
    assert ask(path) == [1, 2, 3]


def test_one_fit_at_a_time(tmp_path):
    pytest.importorskip("fcntl")
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.begin(TOLD, STATE)
    with pytest.raises(ValueError, match="is that of another fit, which is running"):
        Journal(path)
    journal.close()
    Journal(path).close()
    assert path.exists()


CLIENT = """
import os, sys, warnings
sys.path[:0] = [{folder!r}]
from mortal import SOLVERS, Evaluations, graphs
from distributed import Client
import pytest
from sklearn_twolayer.distributed import DaskTwoLayerRegressor

if __name__ == "__main__":
    address, path, name, number = sys.argv[1:]
    warnings.simplefilter("ignore")
    def die(kernel):
        os._exit(9)
    Evaluations(pytest.MonkeyPatch(), int(number), die)
    with Client(address) as client:
        model = DaskTwoLayerRegressor(**SOLVERS[name], client=client, checkpoint=path)
        model.set_params(random_state=0).fit(*graphs())
"""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name != "lm")) for name in SOLVERS],
)
def test_a_client_that_dies(name, client, tmp_path, computed):
    rows, path = graphs(), tmp_path / "journal"
    whole = estimator(client, **SOLVERS[name]).fit(*rows)
    n = len(computed)
    computed.clear()
    script = tmp_path / "client.py"
    script.write_text(CLIENT.format(folder=os.path.dirname(__file__)))
    address = client.scheduler.address
    died = subprocess.run([sys.executable, script, address, path, name, str(MIDDLE)], timeout=300)
    assert died.returncode == 9
    found = estimator(client, path, **SOLVERS[name]).fit(*rows)
    assert_array_equal(learnt(found), learnt(whole))
    assert len(computed) == n - (MIDDLE - 1)
    assert is_as_before(client)
