"""Sums that are asked of the workers themselves, past the scheduler's book of tasks.

A task takes the scheduler some ten milliseconds from the order to the answer, a call of a worker
four. A mini-batch takes less than either, so that it is worth it. The scheduler does not see such
calls: it would take a cluster that does nothing else for idle, and it could not repeat them. So now
and then there is a task, and where a call fails, for whatever reason, it is done as one.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

QUICK = 0.2
"""Seconds of an answer that is worth a call: in the meantime the worker tells the scheduler less of
itself."""

TASK_EVERY = 10.0
"""Seconds after which there is a task again."""


class Pace:
    """How long answers take, and when the last one came by a task."""

    def __init__(self) -> None:
        self.seconds, self.last_task = float("inf"), -float("inf")

    def allows_call(self) -> bool:
        """Whether the next answer is worth a call."""
        return self.seconds < QUICK and time.monotonic() - self.last_task < TASK_EVERY

    def timed(self, ask: Callable[[], Any], is_task: bool) -> Any:
        """The answer, of which note is taken."""
        began = time.monotonic()
        found = ask()
        ended = time.monotonic()
        self.seconds = ended - began
        if is_task:
            self.last_task = ended
        return found


async def of_worker(
    of_group: Callable, arguments: tuple, groups: dict[str, list], n: int, dask_worker: Any
) -> list:
    """What the groups of partitions that this worker holds tell; KeyError where it does not."""
    # each group is a list of numbers and one of keys
    asked = [
        (numbers, [dask_worker.data[key] for key in keys])
        for numbers, keys in groups[dask_worker.address]
    ]
    calls = [asyncio.to_thread(of_group, *arguments, numbers, n, held) for numbers, held in asked]
    return list(await asyncio.gather(*calls))
