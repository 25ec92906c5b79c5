"""Partitions in this process, for tests of what is done with them: no cluster needs to start."""

import dask

from sklearn_twolayer.distributed.tree import add_node, root


class PartitionsHere:
    """What `Partitions` offers, without a client."""

    def __init__(self, parts):
        self.parts = parts

    @classmethod
    def compute(cls, client, delayed):
        return cls(list(dask.compute(*delayed, scheduler="sync")))

    def __len__(self):
        return len(self.parts)

    def transform(self, function, *arguments, numbered=False):
        asked = [(part,) for part in self.parts]
        asked = [(number, *each) for number, each in enumerate(asked)] if numbered else asked
        return PartitionsHere([function(*each, *arguments) for each in asked])

    def replace(self, function, *arguments):
        new = self.transform(function, *arguments)
        self.release()
        return new

    def reduce(self, function, merge, *arguments):
        nodes = {}
        for number, part in enumerate(self.parts):
            add_node(nodes, (0, number), function(part, *arguments), len(self), merge)
        return root(nodes)

    def map(self, function, *arguments):
        return [function(part, *arguments) for part in self.parts]

    def release(self):
        self.parts = []
