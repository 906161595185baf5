"""Synchronizing: over the library's connection, or over one of the caller's."""

from __future__ import annotations

import ctypes
import os
import queue
import threading
from collections.abc import Callable, Sequence
from ctypes import byref
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Union, runtime_checkable

from . import _c, _convert
from ._handle import Handle
from ._values import (
    AnswerKind,
    Code,
    Dialect,
    OnReorg,
    Progress,
    Request,
    RequestKind,
    Result,
    Step,
    Trusted,
    UsedMode,
    UsedResult,
)

if TYPE_CHECKING:
    from ._store import Store


@runtime_checkable
class Connection(Protocol):
    """A connection of yours that keeps several requests on the way at once. A session with ElectrumX has
    to be opened with server.version before."""

    def send(self, text: bytes) -> None:
        """Sends a request."""

    def receive(self, limit: int) -> bytes:
        """Waits for one answer: a line of ElectrumX, a body of firod. What is longer than `limit` bytes
        is not worth receiving."""


# What a sync can run over: a URL, a Client, a Connection, or a function that is given a request and the
# most bytes its answer may have, and returns the answer.
Server = Union[str, "Client", Connection, Callable[[bytes, int], bytes]]


class Client:
    """The library's own connection, on libcurl: tcp:// and ssl:// (ElectrumX), http:// and https://
    (firod). Connects as a sync runs; one sync at a time."""

    def __init__(
        self,
        url: str,
        *,
        proxy: str | None = None,
        tls_pin: str | None = None,
        tls_insecure: bool = False,
        cookie_file: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> None:
        options = _c.options(_c.anonset_client_options)
        options.proxy = proxy.encode() if proxy is not None else None
        options.tls_pin = tls_pin.encode() if tls_pin is not None else None
        options.tls_insecure = tls_insecure
        options.cookie_file = os.fsencode(cookie_file) if cookie_file is not None else None
        if timeout is not None:
            options.timeout_ms = round(timeout * 1000)
        if retries is not None:
            options.retries = retries
        pointer = ctypes.c_void_p()
        _c.call(_c.lib.anonset_client_new, byref(pointer), url.encode(), options)
        self._handle = Handle(self, pointer, _c.lib.anonset_client_free)
        self._lock = threading.Lock()

    def close(self) -> None:
        self._handle.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()


class _OneByOne:
    """A function as a Connection: it is called when an answer is waited for."""

    def __init__(self, ask: Callable[[bytes, int], bytes]) -> None:
        self._ask = ask
        self._requests: list[bytes] = []

    def send(self, text: bytes) -> None:
        self._requests.append(text)

    def receive(self, limit: int) -> bytes:
        return self._ask(self._requests.pop(0), limit)


def _callbacks(events: queue.SimpleQueue[Any]) -> tuple[Any, Any, Any]:
    """The library calls these on the thread that works: they only copy, the caller's functions are called
    where the caller waits. So no exception of theirs has to cross the library."""

    def on_result(_: Any, result: Any) -> None:
        events.put(_convert.result(result.contents))

    def on_progress(_: Any, progress: Any) -> None:
        events.put(_convert.progress(progress.contents))

    def on_used(_: Any, result: Any) -> None:
        events.put(_convert.used_result(result.contents))

    return _c.OnResult(on_result), _c.OnProgress(on_progress), _c.OnUsed(on_used)


def _copy_trusted(trusted: Sequence[Trusted]) -> Any:
    array = (_c.anonset_trusted * max(1, len(trusted)))()
    for slot, known in zip(array, trusted):
        slot.group = known.group
        slot.size = known.size
        slot.digest = _c.hash_argument(known.digest, "trusted digest")
    return array


class Sync:
    """
    One sync of `group`; 0: of every group up to the server's newest. For one thread at a time, but for
    `cancel`, which any may call. The options are those of anonset_sync_options; left out, they have the
    library's defaults. `on_progress` is called at the start and after each commit, on the thread that
    called run or step. With `used`, the list of used coin tags is synced behind the group, or alone: over
    a URL or a Client, since its answer has no end that could be known before. `used_result` then has
    what came of it.

    `run` does it all, `run_for` a part of it. For an event loop of your own: `step` until it says DONE; after SEND put
    `request.text` on the wire; after WAIT `feed` an answer. doc/embed.md has the picture.
    """

    def __init__(
        self,
        store: Store,
        group: int = 1,
        *,
        sector_size: int | None = None,
        sector_bytes: int | None = None,
        ask_genesis: bool = True,
        on_reorg: OnReorg = OnReorg.FOLLOW,
        proof_budget: int | None = None,
        prove: bool = False,
        trusted: Sequence[Trusted] = (),
        used: UsedMode = UsedMode.NO,
        dialect: Dialect = Dialect.ELECTRUMX,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.dialect = dialect  # of step and feed, and of a connection of yours
        self.results: list[Result] = []
        self.used_result: UsedResult | None = None
        self.request: Request | None = None  # to send, after SEND
        self._on_progress = on_progress
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._busy = threading.Lock()
        self._request = _c.anonset_request()
        self._answer = _c.anonset_answer()
        self._text: Any = None  # what the answer's coins point into
        options = _c.options(_c.anonset_sync_options)
        options.group = group
        options.ask_genesis = ask_genesis
        options.on_reorg = on_reorg
        options.prove = prove
        options.used = used
        for name, value in (
            ("sector_size", sector_size),
            ("sector_bytes", sector_bytes),
            ("proof_budget", proof_budget),
        ):
            if value is not None:
                setattr(options, name, value)
        options.trusted = _copy_trusted(trusted)
        options.trusted_n = len(trusted)
        options.on_result, options.on_progress, options.on_used = callbacks = _callbacks(
            self._events
        )
        pointer = ctypes.c_void_p()
        with store._handle as c:
            _c.call(_c.lib.anonset_sync_new, byref(pointer), c, options)
            answer = self._answer

            def free(sync: Any) -> None:
                _c.lib.anonset_sync_free(sync)
                _c.lib.anonset_answer_clear(answer)

            self._handle = Handle(self, pointer, free, store._handle)
        self._handle.keep.extend(callbacks)
        store._children.add(self)

    def close(self) -> None:
        """Ends it at any moment. What is committed stays."""
        try:
            self.cancel()
        except ValueError:
            pass
        self._handle.close()

    def __enter__(self) -> Sync:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def cancel(self) -> None:
        """Ends it as SYNC_CANCELLED, within one sector. From any thread, or a signal handler."""
        with self._handle as sync:
            _c.lib.anonset_sync_cancel(sync)

    @property
    def commits(self) -> int:
        """Commits so far: tells a driver whether a connection got anything on before it broke."""
        with self._handle as sync:
            commits: int = _c.lib.anonset_sync_commits(sync)
        return commits

    # ---- Driven by run

    def run(self, server: Server) -> list[Result]:
        """
        Runs it to its end, and returns a result for each group. An exception of on_progress, of a
        connection of yours, or a KeyboardInterrupt ends it and comes out here; what is committed stays.
        """
        if isinstance(server, str):
            with Client(server) as client:
                self._run_client(client)
        elif isinstance(server, Client):
            self._run_client(server)
        elif isinstance(server, Connection):
            self._run_connection(server)
        else:
            self._run_connection(_OneByOne(server))
        return self.results

    def run_for(self, client: Client, *, max_bytes: int = 0, max_ms: int = 0) -> bool:
        """
        Runs it on over `client`, until so many bytes of answers were received or milliseconds are over (0:
        no such limit). True: it is done, and `results` has a result for each group; else call again. Between
        two calls no lock and no transaction is held, what was stored is committed, and the connection stays,
        or is made anew. A commit is not interrupted: the call may last as much longer. An exception of
        on_progress comes out here, and the sync may go on after it.
        """
        if not 0 <= max_bytes < 1 << 64 or not 0 <= max_ms < 1 << 32:
            raise ValueError("max_bytes: 0 to 2^64 - 1, max_ms: 0 to 2^32 - 1")
        done = ctypes.c_bool()
        with self._one_at_a_time(), client._lock, client._handle as c, self._handle as sync:
            _c.call(_c.lib.anonset_client_step, c, byref(done), sync, max_bytes, max_ms)
        self._tell_all()
        return done.value

    def _tell(self, event: Any) -> None:
        if isinstance(event, Result):
            self.results.append(event)
        elif isinstance(event, UsedResult):
            self.used_result = event
        elif self._on_progress is not None:
            self._on_progress(event)

    def _tell_all(self) -> None:
        while not self._events.empty():
            self._tell(self._events.get())

    def _run_client(self, client: Client) -> None:
        """The library works on a thread of its own, so that signals are handled on this one meanwhile."""
        ended: list[BaseException | None] = []

        def work() -> None:
            failed: BaseException | None = None
            try:
                with client._lock, client._handle as c, self._handle as sync:
                    _c.call(_c.lib.anonset_client_run, c, sync)
            except BaseException as error:  # not lost: raised below
                failed = error
            self._events.put(failed)

        with self._one_at_a_time():
            worker = threading.Thread(target=work, name="anonset")
            worker.start()
            try:
                while isinstance(event := self._events.get(), (Result, UsedResult, Progress)):
                    self._tell(event)
                ended.append(event)
            except BaseException:
                self.cancel()
                raise
            finally:
                worker.join()
        if ended[0] is not None:
            raise ended[0]

    def _run_connection(self, connection: Connection) -> None:
        try:
            while (step := self.step()) is not Step.DONE:
                if step is Step.SEND:
                    assert self.request is not None
                    connection.send(self.request.text)
                else:
                    self.feed(connection.receive(self.answer_limit))
        except BaseException as error:
            self.abort(Code.NETWORK, f"the connection failed: {error}")
            self.step()
            raise

    # ---- Driven by the caller

    def _one_at_a_time(self) -> Any:
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("another thread uses this sync")
        return _Release(self._busy)

    def step(self) -> Step:
        """Does the next thing there is to do. SEND: `request` is to be sent."""
        with self._one_at_a_time(), self._handle as sync:
            step = Step(_c.lib.anonset_sync_step(sync, byref(self._request)))
            if step is not Step.SEND:
                # Only now is the library through with the answer fed last.
                _c.lib.anonset_answer_clear(byref(self._answer))
                self._text = None
        self.request = self._describe() if step is Step.SEND else None
        self._tell_all()
        return step

    def _describe(self) -> Request:
        c = self._request
        text = ctypes.create_string_buffer(_c.REQUEST_TEXT)
        length = _c.lib.anonset_request_write(text, byref(c), self.dialect)
        return Request(
            id=c.id,
            kind=RequestKind(c.kind),
            group=c.group,
            block_hash=bytes(c.block_hash),
            start=c.start,
            end=c.end,
            tx_hash=bytes(c.tx_hash),
            text=text.raw[:length],
            answer_limit=_c.lib.anonset_answer_limit(byref(c)),
        )

    def _outstanding(self, sync: Any) -> tuple[Any, int]:
        requests = ctypes.POINTER(_c.anonset_request)()
        n: int = _c.lib.anonset_sync_outstanding(sync, byref(requests))
        return requests, n

    @property
    def answer_limit(self) -> int:
        """Bytes that the longest answer outstanding may have."""
        with self._one_at_a_time(), self._handle as sync:
            requests, n = self._outstanding(sync)
            limits = [_c.lib.anonset_answer_limit(byref(requests[i])) for i in range(n)]
        return max(limits, default=65536)

    def feed(self, text: bytes) -> bool:
        """
        Feeds an answer, after step said WAIT. False: it was a notification, there is more to receive. Error
        BAD_ANSWER: it makes no sense; `reconnect` or give up.
        """
        buffer = ctypes.create_string_buffer(text, len(text) + 1)
        with self._one_at_a_time(), self._handle as sync:
            requests, n = self._outstanding(sync)
            _c.lib.anonset_answer_clear(byref(self._answer))
            _c.call(
                _c.lib.anonset_answer_read,
                byref(self._answer),
                buffer,
                len(text),
                requests,
                n,
                self.dialect,
            )
            if self._answer.kind == AnswerKind.NONE:
                return False
            self._text = buffer
            _c.call(_c.lib.anonset_sync_feed, sync, byref(self._answer))
        return True

    def reconnect(self, timed_out: bool = False) -> None:
        """The connection was lost: what is outstanding is void, the sync goes on from what is committed."""
        with self._one_at_a_time(), self._handle as sync:
            _c.lib.anonset_sync_reconnect(sync, timed_out)

    def abort(self, code: Code, text: str) -> None:
        """Gives up: the next step says DONE, and the result has this error."""
        why = _c.anonset_detail(code, 0, text.encode()[: _c.DETAIL_TEXT - 1])
        with self._one_at_a_time(), self._handle as sync:
            _c.lib.anonset_sync_abort(sync, byref(why))


class _Release:
    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._lock.release()
