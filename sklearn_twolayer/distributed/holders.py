"""Which worker holds which partition, how tasks go by that, and what is to move."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distributed import Client, Future

from .placement import runs

PART_OF_MEMORY = 0.1
"""Of a worker's memory, that the partitions of one task may take: all of them are there at once."""

PART_AT_ONCE = 0.25
"""Of the memory of all workers, that partitions may take which are needed again and again.

Beside them a worker has what it is itself, what it computes, and what it keeps of other kinds.
"""

PART_IN_TURN = 0.1
"""The same of those in a turn, where they are more: then all of that is pressed for room."""

LEAST_BYTES = 100_000
"""Of all partitions together, below which it does not matter where they are."""


@dataclass(frozen=True)
class Holders:
    """Numbers of the partitions that each worker holds, by its address.

    `workers` has what the scheduler knows of each, `sizes` the bytes of each partition.
    """

    workers: dict[str, dict[str, Any]]
    held: dict[str, list[int]]
    sizes: list[int]

    def groups(self) -> list[tuple[str, list[int]]]:
        """The partitions of each task, and the worker that holds them: one task for each thread.

        There are more where memory is short, as all partitions of a task are in memory at once.
        """
        found = []
        for worker, numbers in self.held.items():
            n_threads = self.workers[worker]["nthreads"]
            memory = self.workers[worker]["memory_limit"] or float("inf")
            sizes = [self.sizes[number] for number in numbers]
            most = min(sum(sizes), PART_OF_MEMORY * memory) / n_threads
            found += [(worker, part) for part in _cut(numbers, sizes, most) if part]
        return found

    def runs(self) -> list[str]:
        """A worker for each partition, see `placement.runs`."""
        holders: list[str | None] = [None] * len(self.sizes)
        for worker, numbers in self.held.items():
            for number in numbers:
                holders[number] = worker
        running = [worker for worker in self.workers if self._is_running(worker)]
        threads = {worker: self.workers[worker]["nthreads"] for worker in running or self.workers}
        return runs(self.sizes, holders, threads)

    def moves(self) -> list[tuple[int, str]]:
        """Partitions that are to go to other workers, where there are some that hold nothing.

        Such have come late, or anew after a loss.
        """
        has_idle = any(not self.held[worker] and self._is_running(worker) for worker in self.held)
        if not has_idle or sum(self.sizes) < LEAST_BYTES:
            return []
        wanted, n_holders = self.runs(), sum(map(bool, self.held.values()))
        if len(set(wanted)) <= n_holders:
            return []  # as many would hold nothing, and what moves now would move again
        held = {number: worker for worker, numbers in self.held.items() for number in numbers}
        return [(k, worker) for k, worker in enumerate(wanted) if worker != held[k]]

    def n_turns(self) -> int:
        """In how many turns the partitions come into memory; 1 where it holds them all."""
        memory = sum(worker["memory_limit"] or math.inf for worker in self.workers.values())
        n_threads = sum(worker["nthreads"] for worker in self.workers.values())
        if sum(self.sizes) <= PART_AT_ONCE * memory:
            return 1
        n_turns = math.ceil(sum(self.sizes) / (PART_IN_TURN * memory))
        # no thread is to be idle in a turn
        return max(1, min(n_turns, len(self.sizes) // n_threads))

    def _is_running(self, worker: str) -> bool:
        return self.workers[worker].get("status", "running") == "running"


def look(client: Client, futures: Sequence[Future]) -> Holders:
    """Ask the scheduler, which takes some milliseconds."""
    has = client.who_has(futures)
    bytes_of = client.nbytes([future.key for future in futures], summary=False)
    workers = client.scheduler_info(n_workers=-1)["workers"]
    held: dict[str, list[int]] = {worker: [] for worker in workers}
    for number, future in enumerate(futures):
        # workers may have gone since, and what they held is computed anew somewhere
        known = [worker for worker in has.get(future.key, ()) if worker in held]
        if known or held:
            held[min(known) if known else min(held, key=lambda w: len(held[w]))].append(number)
    return Holders(workers, held, [bytes_of.get(future.key, 0) for future in futures])


def _cut(numbers: list[int], sizes: list[int], most: float) -> list[list[int]]:
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
