"""A journal of sums over rows, from which a fit goes on after its client has died.

All that a fit does with rows in partitions is to ask for sums, one after the other, and what it
asks next follows from what it was told. So each sum is written down as it comes. A later fit of the
same rows with the same parameters is told the same sums again, which costs no pass over the rows,
and finds itself where the other one ended, to the last bit and whatever the solver remembers.
"""

import contextlib
import json
import os
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import numpy as np

Record = Callable[[str, np.ndarray, Callable[[], list]], list]
"""``record(what, theta, evaluate)``: the sums that `evaluate` finds, or that are known already."""

MARK = b"sklearn-twolayer journal 1\n"
"""What such a file begins with."""


def compute_anew(what: str, theta: np.ndarray, evaluate: Callable[[], list]) -> list:
    """Without a journal all is computed."""
    return evaluate()


class Journal:
    """A file of sums; those it has are read back in the order in which they are asked for."""

    def __init__(self, path: str | os.PathLike, fit: dict[str, Any], state: dict[str, Any]):
        """`fit` tells this fit from others; `state` is kept where there is no journal yet.

        ValueError for the journal of another fit.
        """
        self.path, self.state = os.fspath(path), state
        is_new = not os.path.exists(self.path) or os.path.getsize(self.path) < len(MARK)
        # not "a": what was half written when the client died is written over
        self.file = open(self.path, "w+b" if is_new else "r+b")
        try:
            self._begin(fit, is_new)
        except BaseException:
            self.file.close()
            raise
        self.is_replaying = not is_new

    def __call__(self, what: str, theta: np.ndarray, evaluate: Callable[[], list]) -> list:
        """The sums that were written down, or else those that `evaluate` finds, written down."""
        digest = blake2b(what.encode() + theta.tobytes(), digest_size=16).digest()
        key = np.frombuffer(digest, np.uint8)
        if self.is_replaying:
            place = self.file.tell()
            known = self._read(key)
            if known is not None:
                return known
            self.is_replaying = False
            self.file.seek(place)
            self.file.truncate()
        found = evaluate()
        self._write(key, *(np.asarray(part) for part in found))
        return found

    def close(self) -> None:
        """Keep the file for a later fit."""
        self.file.close()

    def remove(self) -> None:
        """The fit has ended: there is nothing to go on from."""
        self.file.close()
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path)

    def _begin(self, fit: dict[str, Any], is_new: bool) -> None:
        """Write what fit this is, or compare it with what stands there."""
        told = json.dumps(fit, sort_keys=True, default=repr)
        if is_new:
            self.file.write(MARK)
            self._write(*(_as_array(text) for text in (told, json.dumps(self.state))))
            return
        if self.file.read(len(MARK)) != MARK:
            raise ValueError(f"checkpoint={self.path!r} is not a checkpoint of such a fit")
        header = self._read_all()
        if header is None:
            raise ValueError(f"checkpoint={self.path!r} has no beginning: remove it")
        before, state = (array.tobytes().decode() for array in header)
        if before != told:
            raise ValueError(
                f"checkpoint={self.path!r} is that of another fit, which differs in "
                f"{_differences(json.loads(before), json.loads(told))}: go on with that one, or "
                "remove the file"
            )
        self.state = json.loads(state)

    def _write(self, *arrays: np.ndarray) -> None:
        np.save(self.file, np.array(len(arrays)))
        for array in arrays:
            np.save(self.file, array, allow_pickle=False)
        self.file.flush()

    def _read(self, key: np.ndarray) -> list | None:
        """The next sums, if they are what is asked for and complete."""
        found = self._read_all()
        if found is None or not np.array_equal(found[0], key):
            return None
        return found[1:]

    def _read_all(self) -> list | None:
        """The arrays that were written together; None where the file ends before them."""
        try:
            n = int(np.load(self.file, allow_pickle=False))
            return [np.load(self.file, allow_pickle=False) for _ in range(n)]
        except (EOFError, ValueError, OSError):
            return None


def _as_array(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def _differences(before: dict, now: dict) -> str:
    """The names of what is not the same."""
    names = sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))
    return ", ".join(names)
