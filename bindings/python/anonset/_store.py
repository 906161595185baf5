"""Stores, and reading from them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import weakref
from collections.abc import Callable, Generator, Iterator
from ctypes import byref
from types import TracebackType
from typing import Any

from . import _c, _convert, _sync
from ._handle import Handle
from ._values import (
    Code,
    Coin,
    Error,
    Gate,
    Order,
    Progress,
    Result,
    State,
    SyncError,
    UsedMode,
    UsedResult,
    UsedTag,
    Verdict,
)

_BATCH = 256  # coins read under one lock


class Store:
    """
    A store file. Any number of threads may use it at once.

    `create=False`: a file that is missing is an Error, NOT_FOUND. `read_only`: never write. `busy_ms`: how
    long to wait for another writer before BUSY. `log` is called, on the thread that caused it, with what
    the library would like to tell a developer.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        create: bool = True,
        read_only: bool = False,
        busy_ms: int | None = None,
        log: Callable[[Code, str], None] | None = None,
    ) -> None:
        options = _c.options(_c.anonset_store_options)
        options.flags = _c.STORE_READ_ONLY if read_only else _c.STORE_CREATE if create else 0
        if busy_ms is not None:
            options.busy_ms = busy_ms
        told = _c.Log(
            lambda _, code, text: log(Code(code), text.decode("utf-8", "replace")) if log else None
        )
        if log is not None:
            options.log = told
        pointer = ctypes.c_void_p()
        _c.call(_c.lib.anonset_store_open, byref(pointer), os.fsencode(path), options)
        self._handle = Handle(self, pointer, _c.lib.anonset_store_close)
        self._handle.keep.append(told)
        self._children: weakref.WeakSet[Any] = weakref.WeakSet()

    def close(self) -> None:
        """Closes it, its snapshots and its syncs; a call under way in another thread is waited for by the
        library, not here: it ends first, and then the file is closed."""
        for child in list(self._children):
            child.close()
        self._handle.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    @property
    def backend(self) -> str:
        with self._handle as store:
            name: bytes = _c.lib.anonset_store_backend(store)
        return name.decode()

    def groups(self) -> Iterator[int]:
        """The groups of which anything is stored, lowest first."""
        group = ctypes.c_uint32(0)
        while True:
            try:
                with self._handle as store:
                    _c.call(_c.lib.anonset_store_next_group, store, byref(group), group.value)
            except Error as error:
                if error.code != Code.NOT_FOUND:
                    raise
                return
            yield group.value

    def state(self, group: int) -> State:
        """What is stored of a group, but for its coins. Does not take longer with more coins."""
        c = _c.anonset_state()
        with self._handle as store:
            _c.call(_c.lib.anonset_store_state, store, byref(c), group)
        return _convert.state(c)

    def genesis(self) -> bytes:
        """The genesis hash of the chain the store belongs to; Error NOT_FOUND: not told yet."""
        told = _c.Hash()
        with self._handle as store:
            _c.call(_c.lib.anonset_store_genesis, store, told)
        return bytes(told)

    def clear(self, group: int) -> None:
        """Removes a group; 0: all."""
        with self._handle as store:
            _c.call(_c.lib.anonset_store_clear, store, group)

    def disk_bytes(self) -> int:
        size = ctypes.c_uint64()
        with self._handle as store:
            _c.call(_c.lib.anonset_store_disk_bytes, store, byref(size))
        return size.value

    def repair(self, group: int) -> int:
        """Drops what is damaged of a group; group 0: looks at the file around the groups. Returns how
        many coins of the finalized set are missing: the next sync fetches them. Error CORRUPT: the
        store must be made anew, by the program's `anonset repair`."""
        c = _c.anonset_repair()
        with self._handle as store:
            _c.call(_c.lib.anonset_store_repair, store, byref(c), group)
        return int(c.dropped)

    def verify(self, group: int) -> Verdict:
        """Reads and hashes every coin of a group. A damaged store is no Error but `sound=False`."""
        c = _c.anonset_verdict()
        with self._handle as store:
            detail = _c.call(_c.lib.anonset_store_verify, store, byref(c), group)
        return Verdict(
            group=c.group,
            coins=c.coins,
            sound=c.sound,
            damaged=(c.damaged_from, c.damaged_to),
            digest=bytes(c.digest),
            proven=c.proven,
            rederived=c.rederived,
            text="" if c.sound else _c.detail_of(detail).text,
        )

    def snapshot(self, group: int, least: Gate = Gate.NONE) -> Snapshot:
        """The newest finalized state of a group. Error: NOT_FOUND if there is none, UNPROVEN if its gate
        level is below `least`."""
        return Snapshot(self, group, least)

    def sync(
        self,
        server: _sync.Server,
        group: int = 1,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        **options: Any,
    ) -> Result:
        """
        Makes one group the server's. `server` is a URL, a Client, or a connection of yours; the options
        are those of Sync. SyncError if the stored set is not the server's afterwards; what was
        downloaded stays.
        """
        if group < 1:
            raise ValueError("group: from 1 on; for all of them use a Sync with group 0")
        with _sync.Sync(self, group, on_progress=on_progress, **options) as sync:
            (result,) = sync.run(server)
        if not result.current:
            raise SyncError(result)
        return result

    def sync_steps(
        self,
        server: str | _sync.Client,
        group: int = 1,
        *,
        max_bytes: int = 0,
        max_ms: int = 0,
        on_progress: Callable[[Progress], None] | None = None,
        **options: Any,
    ) -> Generator[None, None, Result]:
        """
        As sync, in pieces: yields whenever so many bytes of answers were received or milliseconds are over
        (Sync.run_for). No lock and no transaction is held there: do what you like, let the process be
        suspended, or close the generator; what was stored stays. Returns the result (`yield from`).
        """
        if group < 1:
            raise ValueError("group: from 1 on; for all of them use a Sync with group 0")
        with contextlib.ExitStack() as ending:
            if isinstance(server, str):
                server = ending.enter_context(_sync.Client(server))
            sync = ending.enter_context(_sync.Sync(self, group, on_progress=on_progress, **options))
            while not sync.run_for(server, max_bytes=max_bytes, max_ms=max_ms):
                yield
            (result,) = sync.results
        if not result.current:
            raise SyncError(result)
        return result


    def sync_used_tags(
        self,
        server: str | _sync.Client,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        **options: Any,
    ) -> UsedResult:
        """Makes the list of used coin tags the server's. SyncError if it is not afterwards. Nothing commits
        to this list: it is what one server says."""
        with _sync.Sync(self, 1, used=UsedMode.ONLY, on_progress=on_progress, **options) as sync:
            sync.run(server)
        assert sync.used_result is not None  # there always is one
        if not sync.used_result.current:
            raise SyncError(sync.used_result)
        return sync.used_result

    def used_tags(self) -> UsedTags:
        """The list of used coin tags as it is stored now."""
        return UsedTags(self)

    def repair_used_tags(self) -> int:
        """Cuts the list of used coin tags where its damage begins; the next sync goes on there. Returns
        how many tags went: 0 if it is sound. Error CORRUPT: as of `repair`."""
        did = _c.anonset_used_repaired()
        with self._handle as store:
            _c.call(_c.lib.anonset_used_repair, store, byref(did))
        return int(did.dropped)

    def clear_used_tags(self) -> None:
        with self._handle as store:
            _c.call(_c.lib.anonset_used_clear, store)


class UsedTags:
    """
    One state of the list of used coin tags, however many syncs end meanwhile. Iterating gives them oldest
    first. Gate level none, always: nothing commits to this list. Close it when done.
    """

    def __init__(self, store: Store) -> None:
        pointer = ctypes.c_void_p()
        with store._handle as c:
            _c.call(_c.lib.anonset_used_open, byref(pointer), c)
            self._handle = Handle(self, pointer, _c.lib.anonset_used_close, store._handle)
        with self._handle as used:
            state = _c.lib.anonset_used_list_state(used).contents
            self._count, self._digest = int(state.count), bytes(state.digest)
        self._lock = threading.Lock()
        store._children.add(self)

    def close(self) -> None:
        self._handle.close()

    def __enter__(self) -> UsedTags:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self._count

    @property
    def digest(self) -> bytes:
        return self._digest

    def __iter__(self) -> Iterator[UsedTag]:
        return self.since(0)

    def since(self, position: int) -> Iterator[UsedTag]:
        """Those from a position on; the oldest tag has position 0."""
        page = (_c.anonset_used * _BATCH)()
        n = ctypes.c_uint32()
        while True:
            with self._lock, self._handle as used:
                _c.call(_c.lib.anonset_used_read, used, page, byref(n), position, _BATCH)
            if n.value == 0:
                return
            position += n.value
            yield from [_convert.used(page[i]) for i in range(n.value)]

    def find(self, tag: bytes) -> UsedTag | None:
        """A tag and the transaction that used it; None: it is not in the list."""
        if len(tag) != _c.TAG_BYTES:
            raise ValueError(f"a tag has {_c.TAG_BYTES} bytes, not {len(tag)}")
        found, position = _c.anonset_used(), ctypes.c_uint32()
        wanted = _c.Tag.from_buffer_copy(tag)
        try:
            with self._lock, self._handle as used:
                _c.call(_c.lib.anonset_used_find, used, byref(found), byref(position), wanted)
        except Error as error:
            if error.code != Code.NOT_FOUND:
                raise
            return None
        return _convert.used(found)

    def verify(self) -> bool:
        """Reads the whole list, and recomputes its digests. If False: `Store.repair_used_tags`."""
        sound = ctypes.c_bool()
        with self._lock, self._handle as used:
            _c.call(_c.lib.anonset_used_verify, used, byref(sound))
        return sound.value


class Coins(Iterator[Coin]):
    """Coins of a snapshot, one after another. Several may be under way on one snapshot."""

    def __init__(self, snapshot: Snapshot, start: int, stop: int, order: Order) -> None:
        self._snapshot = snapshot
        self._start = start
        self._stop = stop
        self._order = order
        self._batch: Iterator[Coin] = iter(())

    def __iter__(self) -> Coins:
        return self

    def __next__(self) -> Coin:
        coin = next(self._batch, None)
        if coin is None:
            self._batch = iter(self._snapshot._read(self))
            coin = next(self._batch)
        return coin


class Snapshot:
    """
    One finalized state of a group, however many syncs end meanwhile. Iterating gives the coins newest
    first, as the server lists them. Close it when done: it may keep replaced bytes on disk alive.
    """

    def __init__(self, store: Store, group: int, least: Gate = Gate.NONE) -> None:
        pointer = ctypes.c_void_p()
        with store._handle as c:
            _c.call(_c.lib.anonset_snapshot_open_gated, byref(pointer), c, group, least)
            self._handle = Handle(self, pointer, _c.lib.anonset_snapshot_close, store._handle)
        with self._handle as snapshot:
            self._state = _convert.state(_c.lib.anonset_snapshot_state(snapshot).contents)
        self._lock = threading.Lock()
        self._reader: Coins | None = None  # whose place the library's cursor is at
        store._children.add(self)

    def close(self) -> None:
        self._handle.close()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    @property
    def state(self) -> State:
        return self._state

    def __len__(self) -> int:
        return self._state.finalized.size if self._state.finalized else 0

    def __iter__(self) -> Coins:
        return self.coins()

    def coins(
        self, start: int = 0, stop: int | None = None, order: Order = Order.NEWEST_FIRST
    ) -> Coins:
        """The coins at the positions [start, stop): 0 is the oldest coin, whatever the order."""
        stop = len(self) if stop is None else stop
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"positions [{start}, {stop}) of a set of {len(self)} coins")
        return Coins(self, start, stop, order)

    def find(self, block_hash: bytes) -> int:
        """The size the set had at this block. Error NOT_FOUND: unknown, or reorganized away: rescan."""
        size = ctypes.c_uint32()
        wanted = _c.hash_argument(block_hash, "block_hash")
        with self._lock, self._handle as snapshot:
            _c.call(_c.lib.anonset_snapshot_find, snapshot, byref(size), wanted)
        return size.value

    def after(self, block_hash: bytes, order: Order = Order.NEWEST_FIRST) -> Coins:
        """The coins newer than this block's; Error as find."""
        return self.coins(self.find(block_hash), None, order)

    def _read(self, reader: Coins) -> list[Coin]:
        """The next coins for `reader`, whose range shrinks by them; empty at its end."""
        coin = _c.anonset_coin()
        batch: list[Coin] = []
        with self._lock, self._handle as snapshot:
            if self._reader is not reader:
                self._reader = None
                _c.call(
                    _c.lib.anonset_snapshot_seek, snapshot, reader._start, reader._stop, reader._order
                )
                self._reader = reader
            wanted = min(_BATCH, reader._stop - reader._start)
            try:
                for _ in range(wanted):
                    _c.call(_c.lib.anonset_snapshot_next, snapshot, byref(coin))
                    batch.append(_convert.coin(coin))
            except BaseException:
                self._reader = None
                raise
            if reader._order == Order.NEWEST_FIRST:
                reader._stop -= wanted
            else:
                reader._start += wanted
        return batch
