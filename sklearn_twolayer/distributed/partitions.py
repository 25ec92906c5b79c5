"""Partitions of rows that stay on the workers of a Dask cluster, and tasks that run where they are.

A partition is the result of a task: should its worker die, the scheduler computes it anew from what
it was made of. Nothing is scattered, and there are no actors: these die with their worker.
"""

import contextlib
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import CancelledError
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, get_worker, wait

from .direct import QUICK, call
from .holders import Holders, look
from .travel import packed, unpacked
from .tree import Node, add_node, root

GONE = (KilledWorker, CancelledError)
"""How Dask tells that something is lost with what it was made of."""

LOOK_EVERY = 10.0
"""Seconds, after which to see whether there is a worker that holds nothing: one that came late."""

PAUSE = 0.1
"""Seconds, for which to wait where there is no worker."""

MANY_BYTES = {"distributed.admin.large-graph-warning-threshold": "1TB"}
"""Weights go to the workers with their task, as nothing is quicker, however many there are."""


class Partitions:
    """Numbered partitions, a future each."""

    def __init__(self, client: Client, futures: Sequence[Future]):
        self.client, self.futures = client, list(futures)
        self._groups: list[tuple[str, list[int]]] | None = None
        self._looked, self._seconds = 0.0, float("inf")

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
        workers = self._holders().runs() if in_runs else None
        return self._submitted(function, arguments, numbered, workers)._settled()

    def replace(self, function: Callable, *arguments: Any) -> "Partitions":
        """The same as `transform`, but letting go of each partition once its new one is there."""
        new = self._submitted(function, arguments, False)
        try:
            for of_old, of_new in zip(self.futures, new.futures, strict=True):
                with self.client.as_current():
                    wait([of_new])
                of_old.release()
        except GONE as error:
            new.release()
            raise lost(error) from error
        except BaseException:
            new.release()
            raise
        finally:
            self.release()
        return new._settled()

    def reduce(
        self,
        function: Callable,
        merge: Callable,
        *arguments: Any,
        numbered: bool = False,
        those: Collection[int] | None = None,
    ) -> Any:
        """``function(partition, *arguments)`` of all partitions, merged two by two along a tree.

        None is what a partition returns that has nothing to tell. ``merge(a, b)`` may change a.
        Whoever asks for `numbered` partitions gets their numbers in front. Where `those` are given
        the others are not touched, and tell nothing.
        """
        nodes: dict[Node, Any] = {}
        asked, n = None if those is None else set(those), len(self)
        for number in () if asked is None else set(range(n)) - asked:
            add_node(nodes, (0, number), None, n, merge)
        for found in self._of_groups(asked, function, merge, packed(arguments), numbered, n):
            for node, value in unpacked(found).items():
                add_node(nodes, node, value, n, merge)
        return root(nodes)

    def map(self, function: Callable, *arguments: Any) -> list[Any]:
        """``function(partition, *arguments)`` of each, brought here."""
        return self.reduce(_listed, _joined, function, *arguments)

    def release(self) -> None:
        """Let go of the partitions, and of the work on them."""
        futures, self.futures = self.futures, []
        _let_go(self.client, futures)

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

    def n_turns(self) -> int:
        """In how many turns they come into memory, where it does not hold them all."""
        return self._holders().n_turns()

    def _of_groups(self, those: set[int] | None, *asked: Any) -> list[bytes]:
        """What each group tells, packed: by a call where that is quick, else by a task."""
        began = time.monotonic()
        if began > self._looked + LOOK_EVERY:
            self._groups = None
        is_new, found = self._groups is None, None
        groups = self._groups = self._groups or self._grouped()
        if those is not None:
            some = ((worker, [k for k in numbers if k in those]) for worker, numbers in groups)
            groups = [(worker, numbers) for worker, numbers in some if numbers]
        if not is_new and self._seconds < QUICK:
            held: dict[str, list[tuple[list[int], list]]] = {}
            for worker, numbers in groups:
                keys = [self.futures[number].key for number in numbers]
                held.setdefault(worker, []).append((numbers, keys))
            found = call(self.client, held, _of_group, *asked)
        if found is None:
            found = self._by_tasks(groups, *asked)
        self._seconds = time.monotonic() - began
        return found

    def _by_tasks(self, groups: list[tuple[str, list[int]]], *asked: Any) -> list[bytes]:
        """The same by a task for each group."""
        with dask.config.set(MANY_BYTES):
            tasks = [
                self.client.submit(
                    _of_group_and_where,
                    *asked,
                    numbers,
                    [self.futures[number] for number in numbers],
                    workers=[worker],
                    allow_other_workers=True,  # should this one be gone by then
                    pure=False,
                )
                for worker, numbers in groups
            ]
        try:
            found = self.client.gather(tasks)
        except GONE as error:
            raise lost(error) from error
        finally:
            _let_go(self.client, tasks)
        if any(ran != where for (_, ran), (where, _) in zip(found, groups, strict=True)):
            self._groups = None
        return [nodes for nodes, _ in found]

    def _grouped(self) -> list[tuple[str, list[int]]]:
        """The partitions of each task, and the worker to run it, once they lie as they should."""
        holders = self._holders()
        moves = holders.moves()
        if moves:
            self._move(moves)
            holders = self._holders()
        self._looked = time.monotonic()
        return holders.groups()

    def _holders(self) -> Holders:
        """Who holds what, once all is there and there are workers."""
        while True:
            self._settled()
            holders = look(self.client, self.futures)
            if holders.workers:
                return holders
            time.sleep(PAUSE)  # all of them have gone meanwhile

    def _move(self, moves: list[tuple[int, str]]) -> None:
        """Partitions to workers, one by one, as those that wait may be stolen by others.

        They are what they were; their worker may be gone by then.
        """
        for number, worker in moves:
            future, where = self.futures[number], {"workers": [worker], "allow_other_workers": True}
            moved = self.client.submit(_itself, future, **where, pure=False)
            Partitions(self.client, [moved])._settled()
            self.futures[number] = moved
            future.release()

    def _settled(self) -> "Partitions":
        """Itself, once all are there; the error of the first that cannot be."""
        try:
            with self.client.as_current():  # it need not be the default
                wait(self.futures)
            for future in self.futures:
                if future.status != "finished":
                    future.result()
        except GONE as error:
            self.release()
            raise lost(error) from error
        except BaseException:
            self.release()
            raise
        return self


def lost(error: BaseException) -> RuntimeError:
    """What to say of rows that went with their worker, or with all of the cluster."""
    if any(reason in str(error) for reason in ("scheduler-connection-lost", "scheduler-restart")):
        return RuntimeError(f"the cluster has gone before the fit had ended: {error}")
    return RuntimeError(
        "rows were lost with the worker that held them, and cannot be computed anew: pass "
        "collections that are read from files or computed, or their persist(), and nothing that "
        f"was scattered; and see that workers have memory enough ({error})"
    )


def _of_group(
    function: Callable,
    merge: Callable,
    arguments: bytes,
    numbered: bool,
    n: int,
    numbers: list[int],
    partitions: list[Any],
) -> bytes:
    """What the partitions of a group tell, merged as far as a tree over n partitions has it."""
    nodes: dict[Node, Any] = {}
    own = unpacked(arguments)
    for number, partition in zip(numbers, partitions, strict=True):
        asked = (number, partition) if numbered else (partition,)
        add_node(nodes, (0, number), function(*asked, *own), n, merge)
    return packed(nodes)


def _of_group_and_where(*asked: Any) -> tuple[bytes, str]:
    """The same, and the worker it was found on."""
    return _of_group(*asked), get_worker().address


def _itself(partition: Any) -> Any:
    return partition


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
