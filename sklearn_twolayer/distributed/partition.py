"""The rows of one partition as the engine wants them: checked, encoded, none of weight zero."""

from dataclasses import dataclass

import numpy as np

from .travel import aligned


@dataclass
class Partition:
    """X (n_rows, n_columns) of floats, categories by their codes; Y and weights as the engine's.

    `weights` is None where all weigh one. There may be no rows at all.
    """

    X: np.ndarray
    Y: np.ndarray
    weights: np.ndarray | None

    @property
    def n_rows(self) -> int:
        """How many there are."""
        return len(self.X)

    @property
    def weight(self) -> float:
        """Of all rows together."""
        return float(self.n_rows if self.weights is None else self.weights.sum())

    def __setstate__(self, state: dict) -> None:
        # sums over rows that were moved are the same bits
        for name, array in state.items():
            setattr(self, name, None if array is None else aligned(array))

    def __sizeof__(self) -> int:
        # what a worker goes by when its memory is short
        return sum(part.nbytes for part in vars(self).values() if part is not None)
