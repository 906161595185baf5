"""Synchronizing, over each kind of connection."""

from __future__ import annotations

import _thread
import signal
import threading
import unittest
from typing import Any

import anonset
from anonset import Code, Dialect, Outcome, Progress, Step, Trusted

from .support import ServerCase, Server
from .wire import Line


class Over(ServerCase):
    """The same over the library's own connection, a Connection and a function."""

    def servers(self) -> list[anonset.Server]:
        line = Line(self.server.address)
        asked = Line(self.server.address)
        self.addCleanup(line.close)
        self.addCleanup(asked.close)
        return [self.server.tcp, self.server.http, line, asked.ask]

    def test_first_sync_growth_and_nothing_new(self) -> None:
        for number, server in enumerate(self.servers()):
            size = self.coins + 100 * number
            with self.subTest(server=server), anonset.Store(self.folder / str(number)) as store:
                seen: list[Progress] = []
                result = store.sync(server, on_progress=seen.append, sector_size=500)
                self.assertEqual((result.outcome, result.fetched), (Outcome.FINALIZED, size))
                self.assertEqual(result.state, store.state(1))
                positions = [p.position for p in seen]
                self.assertEqual(positions, sorted(positions))
                self.assertGreaterEqual(len(seen), size // 500)
                self.assertEqual(seen[-1].position, size)
                self.assertEqual(store.sync(server).outcome, Outcome.UP_TO_DATE)
                self.server.tell("grow 100")
                self.assertEqual(store.sync(server).fetched, 100)
                self.server.tell("reorg 2")
                self.assertGreater(store.sync(server).replaced, 0)
                self.assertEqual(len(store.snapshot(1)), size + 100)

    def test_every_group(self) -> None:
        server = Server("--coins", "9000", "--group-limit", "4000", "--group-overlap", "1000")
        self.addCleanup(server.close)
        with anonset.Store(self.path) as store:
            results = anonset.Sync(store, 0).run(server.tcp)
            self.assertEqual([r.group for r in results], list(store.groups()))
            self.assertGreater(len(results), 1)
            self.assertTrue(all(r.current for r in results))


class Pieces(ServerCase):
    """A sync in calls that take little."""

    def setUp(self) -> None:
        super().setUp()
        self.store = anonset.Store(self.path)
        self.addCleanup(self.store.close)

    def steps(self, server: str | anonset.Client, **options: Any) -> tuple[int, anonset.Result]:
        steps = self.store.sync_steps(server, sector_size=500, **options)
        for number in range(1_000_000):
            try:
                next(steps)
            except StopIteration as end:
                return number, end.value
        self.fail("it does not end")

    def test_both_limits_over_both_protocols(self) -> None:
        limits: list[dict[str, int]] = [{"max_bytes": 100_000}, {"max_ms": 1}]
        self.server.tell("shape latency=5")
        for server in (self.server.tcp, self.server.http):
            for limit in limits:
                with self.subTest(server=server, **limit):
                    self.store.clear(1)
                    seen: list[Progress] = []
                    pieces, result = self.steps(server, on_progress=seen.append, **limit)
                    self.assertEqual(result.outcome, Outcome.FINALIZED)
                    self.assertEqual(seen[-1].position, self.coins)
                    self.assertGreater(pieces, 3)

    def test_without_a_limit_there_is_one_piece(self) -> None:
        with anonset.Client(self.server.tcp) as client:
            self.assertEqual(self.steps(client)[0], 0)

    def test_others_write_between_two_pieces(self) -> None:
        steps = self.store.sync_steps(self.server.tcp, sector_size=500, max_bytes=200_000)
        for _ in steps:
            with anonset.Store(self.path, busy_ms=1) as other:
                other.clear(9)
        self.assertEqual(self.store.state(1).finalized.size, self.coins)

    def test_left_in_the_midst_and_resumed(self) -> None:
        steps = self.store.sync_steps(self.server.tcp, sector_size=500, max_bytes=10_000)
        while self.store.state(1).pending is None or self.store.state(1).pending.count == 0:
            next(steps)
        steps.close()
        result = self.store.sync(self.server.tcp)
        self.assertGreaterEqual(result.resumed_from, 500)

    def test_what_is_not_current_raises_with_its_result(self) -> None:
        with self.assertRaises(anonset.SyncError) as caught:
            self.steps(self.server.tcp, group=9, max_ms=1)
        self.assertEqual(caught.exception.result.outcome, Outcome.NO_SUCH_GROUP)

    def test_an_exception_of_on_progress_comes_out_and_loses_nothing(self) -> None:
        def refuse(progress: Progress) -> None:
            if progress.position >= 1000:
                raise KeyError(progress.position)

        with self.assertRaises(KeyError):
            self.steps(self.server.tcp, on_progress=refuse, max_bytes=10_000)
        self.assertGreaterEqual(self.store.sync(self.server.tcp).resumed_from, 1000)

    def test_bad_limits(self) -> None:
        with anonset.Client(self.server.tcp) as client, anonset.Sync(self.store) as sync:
            for bad in ({"max_ms": -1}, {"max_ms": 1 << 32}, {"max_bytes": -1}, {"max_bytes": 1 << 64}):
                with self.assertRaises(ValueError):
                    sync.run_for(client, **bad)
        with self.assertRaises(ValueError):
            next(self.store.sync_steps(self.server.tcp, group=0))


class Failing(ServerCase):
    def setUp(self) -> None:
        super().setUp()
        self.store = anonset.Store(self.path)
        self.addCleanup(self.store.close)

    def line(self) -> Line:
        line = Line(self.server.address)
        self.addCleanup(line.close)
        return line

    def refused(self, server: anonset.Server, **options: object) -> anonset.SyncError:
        with self.assertRaises(anonset.SyncError) as caught:
            self.store.sync(server, **options)  # type: ignore[arg-type]
        return caught.exception

    def test_what_is_not_current_raises_with_its_result(self) -> None:
        error = self.refused(self.server.tcp, group=9)
        self.assertEqual(error.result.outcome, Outcome.NO_SUCH_GROUP)
        self.assertTrue(error.text)
        self.assertIn("NO_SUCH_GROUP", str(error))

    def test_no_server(self) -> None:
        self.server.tell("fault refuse on=connect times=0")
        with anonset.Client(self.server.tcp, retries=0, timeout=5) as client:
            error = self.refused(client)
        self.assertEqual(error.result.outcome, Outcome.NETWORK_ERROR)
        self.assertEqual(error.code, Code.NETWORK)

    def test_bad_options_are_refused(self) -> None:
        for url in ("ftp://x", "nonsense"):
            with self.assertRaises(anonset.Error) as caught:
                anonset.Client(url)
            self.assertEqual(caught.exception.code, Code.INVALID)
        with self.assertRaises(anonset.Error) as caught:
            anonset.Sync(self.store, sector_size=70000)
        self.assertEqual(caught.exception.code, Code.INVALID)
        with self.assertRaises(ValueError):
            anonset.Sync(self.store, trusted=[Trusted(1, 5, b"short")])
        with self.assertRaises(ValueError):
            self.store.sync(self.server.tcp, group=0)

    def test_a_trusted_digest(self) -> None:
        right = self.store.sync(self.server.tcp).state.finalized.digest
        self.store.sync(self.server.tcp, trusted=[Trusted(1, self.coins, right)])
        error = self.refused(self.server.tcp, trusted=[Trusted(1, self.coins, bytes(32))])
        self.assertEqual(error.result.outcome, Outcome.GATE_REFUSED)

    def test_an_exception_of_the_progress_callback_comes_out(self) -> None:
        class Stop(Exception):
            pass

        def stop(progress: Progress) -> None:
            if progress.position > 0:
                raise Stop

        for server in (self.server.tcp, self.line()):
            self.store.clear(0)
            self.server.tell("hold 2")  # so that it cannot end before
            with self.assertRaises(Stop):
                self.store.sync(server, on_progress=stop, sector_size=500)
            self.server.tell("release")
            self.assertGreater(self.store.state(1).pending.count, 0)

    def test_a_lost_connection_comes_out_and_what_is_committed_stays(self) -> None:
        self.server.tell("fault cut skip=3")
        with self.assertRaises(ConnectionError):
            self.store.sync(self.line(), sector_size=500)
        held = self.store.state(1).pending.count
        self.assertGreater(held, 0)
        result = self.store.sync(self.line(), sector_size=500)
        self.assertEqual((result.resumed_from, result.fetched), (held, self.coins - held))

    def test_an_answer_that_makes_no_sense(self) -> None:
        self.server.tell("fault base64 skip=2")
        with self.assertRaises(anonset.Error) as caught:
            self.store.sync(self.line(), sector_size=500)
        self.assertEqual(caught.exception.code, Code.BAD_ANSWER)
        self.store.sync(self.line(), sector_size=500)

    def test_cancel_from_another_thread(self) -> None:
        for server in (self.server.tcp, self.server.http):
            self.store.clear(0)
            self.server.tell("hold 4")
            with anonset.Sync(self.store, sector_size=300) as sync:

                def cancel(sync: anonset.Sync = sync) -> None:
                    self.server.tell("wait held 1")
                    sync.cancel()

                canceller = threading.Thread(target=cancel)
                canceller.start()
                (result,) = sync.run(server)
                canceller.join()
            self.server.tell("release")
            self.assertEqual(result.outcome, Outcome.SYNC_CANCELLED)
            self.assertGreater(result.state.pending.count, 0)

    def test_an_interrupt_ends_a_sync_that_waits_for_its_server(self) -> None:
        self.server.tell("hold 4")
        # Who starts the tests may have it ignored, as shells do for what runs behind them.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)

        def interrupt() -> None:
            self.server.tell("wait held 1")
            _thread.interrupt_main()

        interrupter = threading.Thread(target=interrupt)
        interrupter.start()
        with self.assertRaises(KeyboardInterrupt):
            self.store.sync(self.server.tcp, sector_size=300)
        interrupter.join()
        self.server.tell("release")
        self.assertGreater(self.store.state(1).pending.count, 0)
        self.assertEqual(self.store.sync(self.server.tcp).outcome, Outcome.FINALIZED)

    def test_closing_the_store_ends_a_sync_of_another_thread(self) -> None:
        self.server.tell("hold 2")
        sync = anonset.Sync(self.store, sector_size=500)
        results: list[anonset.Result] = []
        runner = threading.Thread(target=lambda: results.extend(sync.run(self.server.tcp)))
        runner.start()
        self.server.tell("wait held 1")
        with self.assertRaises(RuntimeError):
            sync.step()
        self.store.close()
        runner.join()
        self.server.tell("release")
        self.assertEqual(results[0].outcome, Outcome.SYNC_CANCELLED)

    def test_driven_by_hand_through_a_lost_connection(self) -> None:
        line = self.line()
        self.server.tell("fault drop skip=2")
        lost = 0
        with anonset.Sync(self.store, sector_size=500) as sync:
            while (step := sync.step()) is not Step.DONE:
                try:
                    if step is Step.SEND:
                        line.send(sync.request.text)
                    else:
                        sync.feed(line.receive(sync.answer_limit))
                except ConnectionError:
                    lost += 1
                    line = self.line()
                    sync.reconnect()
            self.assertEqual(sync.step(), Step.DONE)
            self.assertGreaterEqual(sync.commits, self.coins // 500)
        self.assertEqual(lost, 1)
        self.assertEqual(sync.results[0].outcome, Outcome.FINALIZED)

    def test_notifications_and_answers_nobody_asked_for(self) -> None:
        with anonset.Sync(self.store) as sync:
            while sync.step() is Step.SEND:
                pass
            self.assertFalse(sync.feed(b'{"jsonrpc":"2.0","method":"x.subscribe","params":[]}\n'))
            for text in (b"", b"no json", b'{"jsonrpc":"2.0","id":77,"result":1}\n'):
                with self.assertRaises(anonset.Error):
                    sync.feed(text)

    def test_firods_dialect(self) -> None:
        with anonset.Sync(self.store, dialect=Dialect.FIROD) as sync:
            self.assertIs(sync.step(), Step.SEND)
            self.assertIn(b'"jsonrpc":"1.0"', sync.request.text.replace(b" ", b""))


if __name__ == "__main__":
    unittest.main()
