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
from typing import Any, BinaryIO

import numpy as np

Record = Callable[[str, np.ndarray, Callable[[], list]], list]
"""``record(what, theta, evaluate)``: the sums that `evaluate` finds, or that are known already."""

MARK = b"sklearn-twolayer journal 1\n"
"""What such a file begins with."""


def compute_anew(what: str, theta: np.ndarray, evaluate: Callable[[], list]) -> list:
    """Without a journal all is computed."""
    return evaluate()


class Journal:
    """A file of sums; those it has are read back in the order in which they are asked for.

    It is of one fit at a time, and begins with what tells this fit from others.
    """

    def __init__(self, path: str | os.PathLike):
        """Open the file, or make one; an error where that cannot be, or where it is another's."""
        self.path = _path(path)
        self.file = _opened(self.path)
        try:
            found = self.file.read(len(MARK))
            if not MARK.startswith(found):
                raise ValueError(f"checkpoint={self.path!r} is not a checkpoint of such a fit")
        except BaseException:
            self.file.close()
            raise
        self.is_replaying = found == MARK
        if not self.is_replaying:
            self.file.seek(0)
            self.file.truncate()

    def begin(self, fit: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
        """The state of the random stream that the fit began with: this one, if it begins now.

        `fit` tells it from others, see `tell`.
        """
        if not self.is_replaying:
            self.file.write(MARK)
        self.tell(fit)
        return json.loads(self._agreed(json.dumps(state)))

    def tell(self, fit: dict[str, Any]) -> None:
        """ValueError if the journal is that of a fit of which one of these facts is another."""
        told = json.dumps(fit, sort_keys=True)
        before = self._agreed(told)
        if before != told:
            raise ValueError(
                f"checkpoint={self.path!r} is that of another fit, which differs in "
                f"{_differences(json.loads(before), fit)}: go on with that one, or remove the file"
            )

    def __call__(self, what: str, theta: np.ndarray, evaluate: Callable[[], list]) -> list:
        """The sums that were written down, or else those that `evaluate` finds, written down."""
        key = np.frombuffer(bytes.fromhex(digest(what.encode(), theta)), np.uint8)
        known = self._next()
        if known is not None:
            if np.array_equal(known[0], key):
                return known[1:]
            self._go_on_from(self.place)
        found = evaluate()
        self._write(key, *(np.asarray(part) for part in found))
        return found

    def close(self) -> None:
        """Keep the file for a later fit, if it has begun."""
        is_empty = not self.file.closed and self.file.seek(0, os.SEEK_END) == 0
        if is_empty:
            self.remove()
        self.file.close()

    def remove(self) -> None:
        """The fit has ended: there is nothing to go on from."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.path)
        self.file.close()

    def _agreed(self, text: str) -> str:
        """The text that stands next, this one if there is none yet."""
        known = self._next()
        if known is not None:
            with contextlib.suppress(UnicodeDecodeError):
                return known[0].tobytes().decode()
            return "{}"  # sums: that fit had nothing to say here
        self._write(np.frombuffer(text.encode(), np.uint8))
        return text

    def _write(self, *arrays: np.ndarray) -> None:
        np.save(self.file, np.array(len(arrays)))
        for array in arrays:
            np.save(self.file, array, allow_pickle=False)
        self.file.flush()

    def _next(self) -> list | None:
        """The arrays that were written together next; None once there are no more."""
        if not self.is_replaying:
            return None
        self.place = self.file.tell()
        try:
            n = int(np.load(self.file, allow_pickle=False))
            return [np.load(self.file, allow_pickle=False) for _ in range(n)]
        except (EOFError, ValueError):
            # the end, or what was half written when the client died
            self._go_on_from(self.place)
            return None

    def _go_on_from(self, place: int) -> None:
        """What comes is new."""
        self.is_replaying = False
        self.file.seek(place)
        self.file.truncate()


def digest(*parts: bytes | np.ndarray) -> str:
    """A number for bytes and arrays, in hexadecimal digits, which no others have."""
    found = blake2b(digest_size=16)
    for part in parts:
        found.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes())
    return found.hexdigest()


def _path(path: Any) -> str:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"checkpoint must be a path or None, got {path!r}")
    return os.fspath(path)


def _opened(path: str) -> BinaryIO:
    """The file for reading and writing, made where there is none, and closed to other fits."""
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)), "r+b")
    except OSError as error:
        what = f"checkpoint cannot be written: {error.strerror}"
        raise OSError(error.errno, what, path) from None
    try:
        _lock(file)
    except BlockingIOError:
        file.close()
        raise ValueError(f"checkpoint={path!r} is that of another fit, which is running") from None
    return file


def _lock(file: BinaryIO) -> None:
    """BlockingIOError if another has locked it; where files cannot be locked all is allowed."""
    with contextlib.suppress(ImportError):
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass


def _differences(before: dict, now: dict) -> str:
    """The names of what is not the same."""
    names = sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))
    return ", ".join(names)
