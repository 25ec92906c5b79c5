"""Quick sums are asked of the workers themselves, past the scheduler's book of tasks.

From the order to the answer a task takes some twenty milliseconds, a call of a worker four: a
mini-batch is worth it. But the scheduler does not see such calls. It would take a cluster that does
nothing else for idle, and cannot repeat them: so there is a task now and then, and whatever a call
fails for, the same is asked for by tasks.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from distributed import Client

QUICK = 0.2
"""Seconds of an answer that is worth a call: longer ones are no quicker by it."""


def call(
    client: Client, held: dict[str, list[tuple[list[int], list]]], of_group: Callable, *asked: Any
) -> list[Any] | None:
    """``of_group(*asked, numbers, partitions)`` of all groups, None if that cannot be.

    `held` has the groups of each worker: the numbers of partitions, and their keys.
    """
    try:
        # of all workers: to connect to one of these that has gone would be tried for half a minute
        found = client.run(_of_worker, of_group, asked, held)
    except Exception:  # a worker goes, or its partitions: a task finds out
        return None
    if any(found.get(worker) is None for worker in held):
        return None
    return [of_one for worker in held for of_one in found[worker]]


async def _of_worker(of_group: Callable, asked: tuple, held: dict, dask_worker: Any) -> Any:
    """What the groups of a worker tell, None if it does not hold them any more."""
    groups = held.get(dask_worker.address, [])
    if any(key not in dask_worker.data for _, keys in groups for key in keys):
        return None
    # it goes on listening meanwhile
    calls = [
        asyncio.to_thread(of_group, *asked, numbers, [dask_worker.data[key] for key in keys])
        for numbers, keys in groups
    ]
    # none goes on while the same rows are asked for by a task
    found = await asyncio.gather(*calls, return_exceptions=True)
    return None if any(isinstance(each, BaseException) for each in found) else found
