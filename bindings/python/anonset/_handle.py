"""C objects that are freed exactly once, and never under a call."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any


class Handle:
    """
    A pointer, and the number of calls that use it now: `with handle as pointer`.

    Calls into the library let other threads run, so a close may come in the middle of one. It then takes
    effect as the last call ends. A parent (the store of a snapshot) stays for as long as its child. The
    lock is re-entrant because a garbage collection inside it may close another handle of the same parent.
    """

    def __init__(
        self, owner: object, pointer: Any, free: Callable[[Any], None], parent: Handle | None = None
    ) -> None:
        self._pointer = pointer
        self._free = free
        self._parent = parent
        self._lock = threading.RLock()
        self._users = 0
        self._closed = False
        self.keep: list[Any] = []  # what C still points to
        if parent is not None:
            parent._enter(True)
        self._finalizer = weakref.finalize(owner, self.close)

    @property
    def closed(self) -> bool:
        return self._closed

    def _enter(self, even_closed: bool = False) -> None:
        with self._lock:
            if self._closed and not (even_closed and self._users):
                raise ValueError("used after close")
            self._users += 1

    def __enter__(self) -> Any:
        self._enter()
        return self._pointer

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            self._free_unused()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._free_unused()

    def _free_unused(self) -> None:
        if not self._closed or self._users or self._pointer is None:
            return
        pointer, self._pointer = self._pointer, None
        self._free(pointer)
        self.keep.clear()
        if self._parent is not None:
            self._parent.__exit__()
            self._parent = None
