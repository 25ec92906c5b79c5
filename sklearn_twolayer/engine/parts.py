"""Parts of a fit: how many runs and iterations there will be at most, and who is told of them.

Where somebody watches, runs are made one after the other, and none begins after a stop was asked
for. Each run has its seed beforehand, so what they find is the same whether anybody watches or not.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .bayes.automatic_relevance import most_steps
from .borrowing import of_squared_error, settings_from_there
from .plan import Plan
from .solvers.progress import Part, Watcher, Weights
from .solvers.solution import Status
from .task import Continuation, Fit

Parallel = Callable[[Sequence[Callable[[], Any]]], list]
"""Makes the calls, one after the other or at the same time, and returns what they return."""


class Job(Protocol):
    """A run, or several, and what they are called; picklable."""

    @property
    def part(self) -> Part: ...

    def __call__(self) -> Any: ...


def most_iterations(plan: Plan) -> int:
    """Of one run, those that go before it for squared errors included, but for repetitions."""
    if plan.has_constant_noise:
        return most_iterations(of_squared_error(plan))
    if plan.alpha_by == "squared_error":
        own = settings_from_there(plan.settings, plan.task.loss)
        return most_iterations(of_squared_error(plan)) + own.max_iter
    if plan.alpha_by == "evidence" and plan.is_exact:
        return most_steps(plan.settings)
    return plan.settings.max_iter


def whole(plan: Plan, start: Continuation | None) -> Part:
    """All that a fit trains: a pilot, trials on held-out rows, and members."""
    n_parts = int(plan.task.loss.follows_noise)
    if start is not None:
        n_parts += start.n_members
    else:
        n_parts += sum(kind.settings.n_members for kind in plan.kinds)
        n_parts += plan.n_folds * len(plan.kinds)
    return Part("train", n_parts=n_parts)


def in_turn(watcher: Watcher, jobs: Sequence[Job], parallel: Parallel) -> tuple[list, bool]:
    """What the jobs return, up to the one where a stop is asked for, and whether it is."""
    found: list = []
    for job in jobs:
        watcher.begin(job.part)
        found += parallel([job])
        is_asked = watcher.end(weights_of(found[-1]))
        if is_asked or is_stopped(found[-1]):
            return found, True
    return found, False


def watched(watcher: Watcher | None, part: Part, call: Callable[[], Fit]) -> Fit:
    """What the call returns, a part of a fit."""
    if watcher is None:
        return call()
    watcher.begin(part)
    found = call()
    watcher.end(None if part.name == "pilot" else weights_of(found))
    return found


def is_stopped(found: Any) -> bool:
    """Whether the last run for that was stopped."""
    if isinstance(found, Fit):
        return found.solution.status is Status.STOPPED
    return bool(getattr(found, "is_stopped", False))


def weights_of(found: Any) -> Weights | None:
    """Those of a fit of one network."""
    if not isinstance(found, Fit):
        return None
    network = found.continuation
    weights = found.coefs, found.intercepts, network.choices.activation
    return lambda: (*weights, network.encoding, network.scaling)
