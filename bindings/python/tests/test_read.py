"""Stores and snapshots."""

from __future__ import annotations

import base64
import gc
import sys
import threading
import time
import unittest
import weakref

import anonset
from anonset import Code, Gate, Order

from .support import ServerCase


def as_text(coin: anonset.Coin) -> list[str]:
    return [base64.b64encode(b).decode() for b in (coin.serialized, coin.tx_hash, coin.context)]


class Reading(ServerCase):
    def setUp(self) -> None:
        super().setUp()
        self.store = anonset.Store(self.path)
        self.addCleanup(self.store.close)
        self.first = self.store.sync(self.server.tcp)

    def newer_snapshot(self) -> anonset.Snapshot:
        self.server.tell("grow 250")
        self.store.sync(self.server.tcp)
        return self.store.snapshot(1)

    def test_the_set_newest_first_is_the_servers_list(self) -> None:
        with self.store.snapshot(1) as snapshot:
            self.assertEqual([as_text(c) for c in snapshot], self.server.coins(self.folder))
            self.assertEqual(len(snapshot), self.coins)
            self.assertEqual(snapshot.state, self.store.state(1))

    def test_positions_and_orders(self) -> None:
        oldest = self.server.coins(self.folder, "oldest")
        with self.store.snapshot(1) as snapshot:
            part = [as_text(c) for c in snapshot.coins(700, 1900, Order.OLDEST_FIRST)]
            self.assertEqual(part, oldest[700:1900])
            part = [as_text(c) for c in snapshot.coins(700, 1900)]
            self.assertEqual(part, oldest[700:1900][::-1])
            self.assertEqual(list(snapshot.coins(5, 5)), [])
            for start, stop in ((-1, 5), (6, 5), (0, self.coins + 1)):
                with self.assertRaises(IndexError):
                    snapshot.coins(start, stop)

    def test_two_iterators_on_one_snapshot_keep_their_places(self) -> None:
        with self.store.snapshot(1) as snapshot:
            newest, oldest = snapshot.coins(), snapshot.coins(order=Order.OLDEST_FIRST)
            pairs = list(zip(newest, oldest))
            self.assertEqual([a for a, _ in pairs], [b for _, b in reversed(pairs)])
            self.assertEqual(len(pairs), self.coins)

    def test_after_a_block(self) -> None:
        block = self.first.state.finalized.block_hash
        with self.newer_snapshot() as snapshot:
            newer = [as_text(c) for c in snapshot.after(block)]
            self.assertEqual(newer, self.server.coins(self.folder)[:250])
            self.assertEqual(snapshot.find(block), self.coins)
            with self.assertRaises(anonset.Error) as caught:
                snapshot.after(bytes(32))
            self.assertEqual(caught.exception.code, Code.NOT_FOUND)
            with self.assertRaises(ValueError):
                snapshot.after(b"short")

    def test_a_snapshot_shows_its_state_while_syncs_end(self) -> None:
        with self.store.snapshot(1) as old:
            before = list(old)
            with self.newer_snapshot() as new:
                self.assertEqual(len(new), self.coins + 250)
                self.assertEqual(list(old), before)

    def test_states(self) -> None:
        state = self.store.state(1)
        self.assertEqual(state.finalized.size, self.coins)
        self.assertIsNone(state.pending)
        self.assertEqual(self.store.state(7), anonset.State(None, None))
        self.assertEqual(list(self.store.groups()), [1])
        self.assertGreater(self.store.disk_bytes(), self.coins * 300)
        self.assertEqual(self.store.backend, anonset.default_backend())
        self.assertRegex(self.store.genesis().hex(), "^[0-9a-f]*[1-9a-f][0-9a-f]*$")
        self.store.clear(1)
        self.assertEqual(list(self.store.groups()), [])
        self.store.genesis()  # the store still belongs to its chain
        self.store.clear(0)
        with self.assertRaises(anonset.Error) as caught:
            self.store.genesis()
        self.assertEqual(caught.exception.code, Code.NOT_FOUND)

    def test_verify(self) -> None:
        verdict = self.store.verify(1)
        self.assertTrue(verdict.sound)
        self.assertEqual(verdict.coins, self.coins)
        self.assertEqual(verdict.digest, self.store.state(1).finalized.digest)

    def test_errors_have_a_code_and_a_text(self) -> None:
        with self.assertRaises(anonset.Error) as caught:
            self.store.snapshot(9)
        self.assertEqual(caught.exception.code, Code.NOT_FOUND)
        self.assertIn("group 9", caught.exception.text)
        with self.assertRaises(anonset.Error) as caught:
            anonset.Store(self.folder / "none", create=False)
        self.assertEqual(caught.exception.code, Code.NOT_FOUND)
        foreign = self.folder / "foreign"
        foreign.write_bytes(b"not a store, and long enough to be looked at" * 100)
        with self.assertRaises(anonset.Error) as caught:
            anonset.Store(foreign)
        self.assertEqual(caught.exception.code, Code.FOREIGN)

    def test_a_gate_level_that_is_not_reached(self) -> None:
        path = self.folder / "unproven"
        with anonset.Store(path) as store:
            store.sync(self.server.tcp, proof_budget=0)
            with self.assertRaises(anonset.Error) as caught:
                store.snapshot(1, Gate.SET_HASH)
            self.assertEqual(caught.exception.code, Code.UNPROVEN)

    def test_a_read_only_store(self) -> None:
        with anonset.Store(self.path, read_only=True) as store:
            self.assertEqual(store.state(1), self.store.state(1))
            with self.assertRaises(anonset.Error) as caught:
                store.clear(1)
            self.assertEqual(caught.exception.code, Code.INVALID)


class Lifetimes(ServerCase):
    def setUp(self) -> None:
        super().setUp()
        with anonset.Store(self.path) as store:
            store.sync(self.server.tcp)

    def test_use_after_close_is_refused(self) -> None:
        store = anonset.Store(self.path)
        snapshot = store.snapshot(1)
        coins = iter(snapshot)
        next(coins)
        store.close()
        store.close()
        with self.assertRaises(ValueError):
            store.state(1)
        with self.assertRaises(ValueError):
            list(coins)
        with self.assertRaises(ValueError):
            snapshot.find(bytes(32))

    def test_an_iterator_alone_keeps_all_it_needs(self) -> None:
        def coins() -> anonset.Coins:
            return anonset.Store(self.path).snapshot(1).coins()

        iterator = coins()
        gc.collect()
        self.assertEqual(sum(1 for _ in iterator), self.coins)

    def test_what_nobody_holds_is_freed(self) -> None:
        store = anonset.Store(self.path)
        handles = [weakref.ref(store._handle)]
        for _ in range(50):
            snapshot = store.snapshot(1)
            handles.append(weakref.ref(snapshot._handle))
            next(iter(snapshot))
            sync = anonset.Sync(store)
            sync.step()
            handles.append(weakref.ref(sync._handle))
        del snapshot, sync, store
        gc.collect()
        self.assertEqual([h for h in handles if h() is not None], [])

    def test_closing_while_other_threads_read(self) -> None:
        for _ in range(20):
            store = anonset.Store(self.path)
            refused = []

            def read(store: anonset.Store = store, refused: list[bool] = refused) -> None:
                try:
                    while True:
                        with store.snapshot(1) as snapshot:
                            list(snapshot.coins(0, 500))
                except ValueError:
                    refused.append(True)

            threads = [threading.Thread(target=read) for _ in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(0)
            store.close()
            for thread in threads:
                thread.join()
            self.assertEqual(refused, [True] * 4)

    def test_threads_share_a_snapshot(self) -> None:
        with anonset.Store(self.path) as store, store.snapshot(1) as snapshot:
            wanted = list(snapshot)
            seen: list[list[anonset.Coin]] = []
            threads = [threading.Thread(target=lambda: seen.append(list(snapshot))) for _ in range(4)]
            switch = sys.getswitchinterval()
            sys.setswitchinterval(1e-5)
            try:
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            finally:
                sys.setswitchinterval(switch)
            self.assertEqual(seen, [wanted] * 4)


if __name__ == "__main__":
    unittest.main()
