"""Partitions of rows that stay on the workers of a Dask cluster, and tasks that run where they are.

A partition is the result of a task: should its worker die, the scheduler computes it anew from what
it was made of. Nothing is scattered, and there are no actors: these die with their worker.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, get_worker, wait
from distributed.client import FutureCancelledError

from .placement import runs
from .tree import Node, add_node, root

PART_OF_MEMORY = 0.1
"""Of a worker's memory, that the partitions of one task may take: all of them are there at once."""

MANY_BYTES = {"distributed.admin.large-graph-warning-threshold": "1TB"}
"""Weights go to the workers with their task, as nothing is quicker, however many there are."""


class Partitions:
    """Numbered partitions, a future each."""

    def __init__(self, client: Client, futures: Sequence[Future]):
        self.client, self.futures = client, list(futures)
        self._groups: list[tuple[str, list[int]]] | None = None

    @classmethod
    def compute(cls, client: Client, delayed: Sequence[Any]) -> "Partitions":
        """Partitions of what is delayed, one of each; they are there when it returns."""
        with dask.config.set(MANY_BYTES):
            return cls(client, client.compute(list(delayed)))._settled()

    def __len__(self) -> int:
        return len(self.futures)

    def transform(
        self, function: Callable, *arguments: Any, numbered: bool = False, in_runs: bool = False
    ) -> "Partitions":
        """New partitions, ``function(partition, *arguments)`` of each, where it is.

        With `in_runs` each worker is given neighbours, as many as the others.
        """
        workers = self._runs() if in_runs else None
        return self._submitted(function, arguments, numbered, workers)._settled()

    def replace(self, function: Callable, *arguments: Any) -> "Partitions":
        """The same as `transform`, but letting go of each partition once its new one is there."""
        new = self._submitted(function, arguments, False)
        try:
            for of_old, of_new in zip(self.futures, new.futures, strict=True):
                with self.client.as_current():
                    wait([of_new])
                of_old.release()
        except BaseException:
            new.release()
            raise
        finally:
            self.release()
        return new._settled()

    def reduce(
        self, function: Callable, merge: Callable, *arguments: Any, numbered: bool = False
    ) -> Any:
        """``function(partition, *arguments)`` of all partitions, merged two by two along a tree.

        None is what a partition returns that has nothing to tell. ``merge(a, b)`` may change a.
        Whoever asks for `numbered` partitions gets their numbers in front.
        """
        nodes: dict[Node, Any] = {}
        for _, found in self._by_groups(function, merge, arguments, numbered):
            for node, value in found.items():
                add_node(nodes, node, value, len(self), merge)
        return root(nodes)

    def map(self, function: Callable, *arguments: Any) -> list[Any]:
        """``function(partition, *arguments)`` of each, brought here."""
        return self.reduce(_listed, _joined, function, *arguments)

    def release(self) -> None:
        """Let go of the partitions, and of the work on them."""
        futures, self.futures = self.futures, []
        _let_go(self.client, futures)

    def _runs(self) -> list[str]:
        """The worker that each partition had best be on."""
        workers, (holders, sizes) = self.client.scheduler_info(n_workers=-1)["workers"], self._whereabouts()
        return runs(sizes, holders, {address: w["nthreads"] for address, w in workers.items()})

    def _whereabouts(self) -> tuple[list[str | None], list[float]]:
        """For each partition the worker that holds it, None if it is lost, and its bytes."""
        holders = self.client.who_has(self.futures)
        keys = [future.key for future in self.futures]
        sizes = self.client.nbytes(keys, summary=False)
        return [min(holders.get(k) or [None]) for k in keys], [sizes.get(k, 0) for k in keys]

    def _submitted(
        self,
        function: Callable,
        arguments: tuple,
        numbered: bool,
        workers: list[str] | None = None,
    ) -> "Partitions":
        each: list[tuple] = [(future, *arguments) for future in self.futures]
        each = [(number, *asked) for number, asked in enumerate(each)] if numbered else each
        with dask.config.set(MANY_BYTES):
            options: list[dict] = [{}] * len(each)
            if workers is not None:
                options = [{"workers": [w], "allow_other_workers": True} for w in workers]
            futures = [
                self.client.submit(function, *asked, pure=False, **option)
                for asked, option in zip(each, options, strict=True)
            ]
        return Partitions(self.client, futures)

    def _by_groups(
        self, function: Callable, merge: Callable, arguments: tuple, numbered: bool
    ) -> list:
        """What the task of each group found, with the worker that it ran on."""
        groups, n = self._groups or self._grouped(), len(self)
        with dask.config.set(MANY_BYTES):
            tasks = [
                self.client.submit(
                    _of_group,
                    function,
                    merge,
                    arguments,
                    numbered,
                    numbers,
                    n,
                    [self.futures[number] for number in numbers],
                    workers=[worker],
                    allow_other_workers=True,  # should this one be gone by then
                    pure=False,
                )
                for worker, numbers in groups
            ]
        try:
            found = self.client.gather(tasks)
        except (KilledWorker, FutureCancelledError) as error:
            raise lost(error) from error
        finally:
            _let_go(self.client, tasks)
        as_before = all(ran == asked for (ran, _), (asked, _) in zip(found, groups, strict=True))
        self._groups = groups if as_before else None
        return found

    def _grouped(self) -> list[tuple[str, list[int]]]:
        """The partitions of each task, and the worker that holds them: one task for each thread.

        There are more where memory is short, as all partitions of a task are in memory at once.
        """
        workers, (holders, sizes) = self.client.scheduler_info(n_workers=-1)["workers"], self._whereabouts()
        held: dict[str, list[int]] = {}
        for number, holder in enumerate(holders):
            held.setdefault(holder or min(workers), []).append(number)
        groups = []
        for holder, numbers in held.items():
            n_threads = workers[holder]["nthreads"]
            limit = PART_OF_MEMORY * (workers[holder]["memory_limit"] or float("inf")) / n_threads
            weights = [sizes[number] for number in numbers]
            share = sum(weights) / n_threads
            groups += [(holder, part) for part in _cut(numbers, weights, min(share, limit))]
        return groups

    def _settled(self) -> "Partitions":
        """Itself, once all are there; the error of the first that cannot be."""
        try:
            with self.client.as_current():  # it need not be the default
                wait(self.futures)
            for future in self.futures:
                if future.status != "finished":
                    future.result()
        except (KilledWorker, FutureCancelledError) as error:
            self.release()
            raise lost(error) from error
        except BaseException:
            self.release()
            raise
        return self


def lost(error: BaseException) -> RuntimeError:
    """What to say of rows that went with their worker."""
    return RuntimeError(
        "rows were lost with the worker that held them, and cannot be computed anew: pass "
        "collections that are read from files or computed, or their persist(), and nothing that "
        f"was scattered; and see that workers have memory enough ({error})"
    )


def _cut(numbers: list[int], sizes: list[float], most: float) -> list[list[int]]:
    """Neighbours in groups of about that size."""
    groups: list[list[int]] = [[]]
    size = 0.0
    for number, of_one in zip(numbers, sizes, strict=True):
        if groups[-1] and size + of_one / 2 > most:
            groups.append([])
            size = 0.0
        groups[-1].append(number)
        size += of_one
    return groups


def _of_group(
    function: Callable,
    merge: Callable,
    arguments: tuple,
    numbered: bool,
    numbers: list[int],
    n: int,
    partitions: list[Any],
) -> tuple[str, dict[Node, Any]]:
    """The worker, and what the partitions of a group tell, merged as far as the tree has it."""
    nodes: dict[Node, Any] = {}
    for number, partition in zip(numbers, partitions, strict=True):
        asked = (number, partition) if numbered else (partition,)
        add_node(nodes, (0, number), function(*asked, *arguments), n, merge)
    return get_worker().address, nodes


def _listed(partition: Any, function: Callable, *arguments: Any) -> list[Any]:
    return [function(partition, *arguments)]


def _joined(some: list[Any], others: list[Any]) -> list[Any]:
    return some + others


def _let_go(client: Client, futures: Sequence[Future]) -> None:
    """Cancel what has not ended and forget the rest, also where the cluster is gone."""
    with contextlib.suppress(Exception):
        unfinished = [future for future in futures if not future.done()]
        if unfinished:
            client.cancel(unfinished)
        for future in futures:
            future.release()
