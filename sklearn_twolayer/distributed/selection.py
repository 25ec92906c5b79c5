"""Some of the rows of partitions: brought to the client, or set aside where they are."""

from typing import Any

import numpy as np

from .partition import Partition


def turns(counts: np.ndarray, n_turns: int, seed: int | None) -> list[np.ndarray | None]:
    """Which partitions give their rows to mini-batches in each turn of an epoch; None for all.

    Of `n_turns` neighbours each has another turn, drawn by lot if there is a seed: in every turn
    all parts of the table take part, and all workers. `counts` has the rows of each partition.
    """
    with_rows = np.flatnonzero(counts)
    n_turns = min(n_turns, len(with_rows))
    if n_turns <= 1:
        return [None]
    n_blocks = -(-len(with_rows) // n_turns)
    turn = np.tile(np.arange(n_turns), (n_blocks, 1))
    if seed is not None:
        turn = np.argsort(np.random.RandomState(seed).uniform(size=turn.shape), axis=1)
    turn = turn.ravel()[: len(with_rows)]
    return [with_rows[turn == k] for k in range(n_turns)]


def rows_at(
    partitions: Any, starts: np.ndarray, index: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """X, Y and weights of the rows with these numbers, as they were given; None if all weigh one.

    Rows are counted from partition to partition, which begin at `starts`.
    """
    found = partitions.reduce(_at, _joined, np.asarray(index), starts, numbered=True)
    order = np.argsort(np.concatenate([places for places, *_ in found]))
    X, Y = (np.concatenate([of_one[k] for of_one in found])[order] for k in (1, 2))
    if all(weights is None for *_, weights in found):
        return X, Y, None
    weights = [np.ones(len(places)) if w is None else w for places, _, _, w in found]
    return X, Y, np.concatenate(weights)[order]


def _at(number: int, partition: Partition, index: np.ndarray, starts: np.ndarray) -> list | None:
    """Which places of the index ask for rows of this partition, and these rows."""
    start, stop = starts[number : number + 2]
    places = np.flatnonzero((index >= start) & (index < stop))
    if not len(places):
        return None
    some = _some(partition, index[places] - start)
    return [(places, some.X, some.Y, some.weights)]


def _joined(some: list, others: list) -> list:
    return some + others


def split(partitions: Any, fraction: float, seed: int) -> tuple[Any, Any]:
    """Partitions of rows to train on and of rows that are held out, a fraction of each.

    Labels are in proportion.
    """
    train = partitions.transform(_one_side, fraction, seed, False, numbered=True)
    try:
        return train, partitions.transform(_one_side, fraction, seed, True, numbered=True)
    except BaseException:
        train.release()
        raise


def _one_side(
    number: int, partition: Partition, fraction: float, seed: int, held_out: bool
) -> Partition:
    random_state, n_rows = np.random.RandomState([seed, number]), partition.n_rows
    order = random_state.permutation(n_rows)
    if partition.Y.ndim == 1:
        # labels one after the other, so that of each about the fraction is taken
        order = order[np.argsort(partition.Y[order], kind="stable")]
    # whole rows, so many on average
    heights = np.floor(np.arange(n_rows + 1) * fraction + random_state.uniform())
    is_taken = np.diff(heights) > 0
    return _some(partition, np.sort(order[is_taken if held_out else ~is_taken]))


def _some(partition: Partition, index: np.ndarray) -> Partition:
    weights = None if partition.weights is None else partition.weights[index]
    return Partition(partition.X[index], partition.Y[index], weights)
