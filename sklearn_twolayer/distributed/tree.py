"""A binary tree over numbered partitions, along which what they tell is merged.

Which values are merged with which depends on the numbers of partitions alone, not on who holds
them: sums of floats so are the same bits wherever they are taken.
"""

from collections.abc import Callable
from typing import Any

Node = tuple[int, int]
"""(level, number): a leaf is (0, partition); (l + 1, i) merges (l, 2 i) and (l, 2 i + 1)."""


def add_node(nodes: dict[Node, Any], node: Node, value: Any, n: int, merge: Callable) -> None:
    """Put in the value of a node, merged with its neighbour, and so on, as far as there is one.

    `n` is how many partitions there are. None is the value of what tells nothing.
    """
    level, number = node
    while -(-n // 2**level) > 1:
        neighbour = (level, number ^ 1)
        alone = number % 2 == 0 and (number + 1) * 2**level >= n
        if not alone:
            if neighbour not in nodes:
                break
            other = nodes.pop(neighbour)
            first, second = (other, value) if number % 2 else (value, other)
            value = second if first is None else first if second is None else merge(first, second)
        level, number = level + 1, number // 2
    nodes[level, number] = value


def root(nodes: dict[Node, Any]) -> Any:
    """The value of all partitions, once all are in."""
    ((value),) = nodes.values()
    return value
