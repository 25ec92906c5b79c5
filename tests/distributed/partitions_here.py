"""Partitions in this process, for tests of what is done with them: no cluster needs to start."""

import pickle

import dask
from held_partitions import reduced

from sklearn_twolayer.distributed import conversion, fitting


class PartitionsHere:
    """What `Partitions` offers, without a client; what would travel to a worker is a copy.

    They are summed as if each second one were on one worker and all others on another.
    """

    def __init__(self, parts):
        self.parts = parts

    @classmethod
    def compute(cls, client, delayed):
        return cls(list(dask.compute(*delayed, scheduler="sync")))

    def __len__(self):
        return len(self.parts)

    def transform(self, function, *arguments, numbered=False, in_runs=False):
        return PartitionsHere(self._each(function, arguments, numbered))

    def replace(self, function, *arguments):
        new = self.transform(function, *arguments)
        self.release()
        return new

    def reduce(self, function, merge, *arguments, numbered=False):
        leaves = self._each(function, arguments, numbered)
        return reduced(leaves, merge, [range(0, len(self), 2), range(1, len(self), 2)])

    def map(self, function, *arguments):
        return self._each(function, arguments)

    def n_turns(self):
        return 1

    def release(self):
        self.parts = []

    def _each(self, function, arguments, numbered=False):
        function, arguments = pickle.loads(pickle.dumps((function, arguments)))
        asked = [(number, part) if numbered else (part,) for number, part in enumerate(self.parts)]
        return [function(*each, *arguments) for each in asked]


def partitions_here(monkeypatch):
    """Dask estimators ask for no client, and have their partitions in this process."""
    monkeypatch.setattr(conversion, "Partitions", PartitionsHere)
    monkeypatch.setattr(fitting, "get_client", lambda client: None)
