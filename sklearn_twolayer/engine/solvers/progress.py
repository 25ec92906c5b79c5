"""Progress: what whoever watches a fit is told while it runs, and how it is printed.

A fit has parts, those have parts of their own, and in the innermost ones a solver takes its
iterations. They come one after the other: what begins before a part has ended lies within it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..numerics import Array


@dataclass(frozen=True)
class Part:
    """A part of a fit: the `number`-th, from 0, of `total` that have its name.

    It has up to `n_parts` parts of its own, or else up to `n_iter` iterations. As a string it is
    what a line of a report begins with; what there is only one of goes without saying.
    """

    name: str
    number: int = 0
    total: int = 1
    n_parts: int = 0
    n_iter: int = 0

    def __str__(self) -> str:
        if self.total > 1:
            return f"{self.name} {self.number + 1} of {self.total}"
        return self.name if self.name in TOLD_ALONE else ""


TOLD_ALONE = ("partial_fit", "pilot", "trial")
"""Names that say something even where there is but one such part."""


@dataclass(frozen=True)
class Progress:
    """One iteration. `theta` is live: copy it to keep it.

    `n_iter` are the iterations of this run of a solver and `seconds` the time they took;
    `iteration` counts those of earlier calls, too.
    """

    iteration: int
    loss: float
    score: float | None
    theta: Array
    n_iter: int = 1
    seconds: float = 0.0


Weights = Callable[[], tuple[Any, ...]]
"""Makes (coefs, intercepts, activation, encoding, scaling) of the weights, all in raw units."""


class Watcher(Protocol):
    """Whoever watches a fit.

    After an iteration, and at the end of a part, it may return True: no other on the same level
    begins. `weights` are those of a network that predicts what the fit is to predict; of others
    there are none.
    """

    def begin(self, part: Part) -> None:
        """A part begins."""
        ...

    def iterate(self, progress: Progress, weights: Weights | None = None) -> bool | None:
        """An iteration of the part that began last has ended."""
        ...

    def end(self, weights: Weights | None = None) -> bool | None:
        """The part that began last has ended."""
        ...


@dataclass(frozen=True)
class EachIteration:
    """Calls a function after each iteration, whatever part it belongs to."""

    function: Callable[[Progress], bool | None]

    def begin(self, part: Part) -> None:
        pass

    def iterate(self, progress: Progress, weights: Weights | None = None) -> bool | None:
        return self.function(progress)

    def end(self, weights: Weights | None = None) -> None:
        pass


@dataclass(frozen=True)
class Together:
    """Several who watch the same fit; what one of them wants to stop is stopped."""

    watchers: tuple[Watcher, ...]

    def begin(self, part: Part) -> None:
        for watcher in self.watchers:
            watcher.begin(part)

    def iterate(self, progress: Progress, weights: Weights | None = None) -> bool:
        # all are told, whatever the first one says
        return any([watcher.iterate(progress, weights) for watcher in self.watchers])

    def end(self, weights: Weights | None = None) -> bool:
        return any([watcher.end(weights) for watcher in self.watchers])


class Report:
    """Prints progress, one aligned line at a time.

    With `verbose` 1 (True) the first iteration of each run, and then at most one line a second;
    with 2 or more every iteration.
    """

    def __init__(self, verbose: int):
        self.every = verbose > 1
        self.printed = time.perf_counter()
        self.parts: list[Part] = []

    def begin(self, part: Part) -> None:
        self.parts.append(part)

    def end(self, weights: Weights | None = None) -> None:
        self.parts.pop()

    def iterate(self, progress: Progress, weights: Weights | None = None) -> None:
        now = time.perf_counter()
        if progress.n_iter == 1 or self.every or now - self.printed >= 1:
            self.printed = now
            phase = f"{self.phase}  " if self.phase else ""
            score = "" if progress.score is None else f"  validation {progress.score:12.6g}"
            print(
                f"{phase}iteration {progress.iteration:6d}  loss {progress.loss:12.6g}{score}"
                f"  {progress.seconds / progress.n_iter:9.2e} s/iteration",
                flush=True,
            )

    @property
    def phase(self) -> str:
        """Such as member 1 of 3, start 2 of 4."""
        return ", ".join(filter(None, map(str, self.parts)))
