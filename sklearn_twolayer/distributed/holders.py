"""Which worker holds which partition, how tasks go by that, and what is to move."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distributed import Client, Future

PART_OF_MEMORY = 0.1
"""Of a worker's memory, that the partitions of one task may take: all of them are there at once."""

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

    def moves(self) -> list[tuple[int, str]]:
        """Partitions that idle workers should have instead: those that run and hold nothing.

        Such are workers that came late, or anew after a loss. Whoever holds most gives, as long as
        that makes it more even.
        """
        idle = {
            worker
            for worker, numbers in self.held.items()
            if not numbers and self.workers[worker].get("status", "running") == "running"
        }
        if not idle or sum(self.sizes) < LEAST_BYTES:
            return []
        held = {worker: list(numbers) for worker, numbers in self.held.items()}
        loads = {worker: self._load(worker, sum(map(self._size, held[worker]))) for worker in held}
        place: dict[int, str] = {}
        while True:
            giver, taker = max(held, key=loads.__getitem__), min(idle, key=loads.__getitem__)
            given = [
                number
                for number in held[giver]
                if self.sizes[number]
                and loads[taker] + self._load(taker, self.sizes[number]) < loads[giver]
            ]
            if not given:
                return list(place.items())
            number = max(given, key=self._size)
            held[giver].remove(number)
            held[taker].append(number)
            loads[giver] -= self._load(giver, self.sizes[number])
            loads[taker] += self._load(taker, self.sizes[number])
            place[number] = taker

    def _size(self, number: int) -> int:
        return self.sizes[number]

    def _load(self, worker: str, size: int) -> float:
        return size / self.workers[worker]["nthreads"]


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
