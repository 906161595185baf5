"""The list of used coin tags."""

from __future__ import annotations

import base64
import json

import anonset

from .support import ServerCase


class Used(ServerCase):
    coins = 100

    def listed(self) -> list[anonset.UsedTag]:
        dump = self.folder / "dump"
        self.server.tell(f"used dump {dump}")
        pairs = [json.loads(line) for line in dump.read_text().splitlines()]
        return [
            anonset.UsedTag(base64.b64decode(tag), base64.b64decode(tx_hash)) for tag, tx_hash in pairs
        ]

    def test_sync_read_and_look_up(self) -> None:
        self.server.tell("used 1000")
        with anonset.Store(self.folder / "store") as store:
            with store.used_tags() as tags:
                self.assertEqual(list(tags), [])
            result = store.sync_used_tags(self.server.tcp)
            self.assertEqual((result.count, result.fetched), (1000, 1000))
            with store.used_tags() as tags:
                listed = self.listed()
                self.assertEqual(list(tags), listed)
                self.assertEqual(list(tags.since(990)), listed[990:])
                self.assertEqual(tags.find(listed[7].tag), listed[7])
                self.assertIsNone(tags.find(bytes(34)))
                self.assertTrue(tags.verify())
                self.assertEqual(tags.digest, result.digest)
                self.assertRaises(ValueError, tags.find, b"short")
                self.server.tell("used 1010 995")
                self.assertEqual(store.sync_used_tags(self.server.http).replaced, 5)
                self.assertEqual(len(tags), 1000)
                self.assertEqual(list(tags), listed)
            self.server.tell("used 3")
            with self.assertRaises(anonset.SyncError) as failed:
                store.sync_used_tags(self.server.tcp)
            self.assertEqual(failed.exception.result.outcome, anonset.Outcome.REMOTE_BEHIND)
            store.clear_used_tags()
            self.assertEqual(store.sync_used_tags(self.server.tcp).count, 3)

    def test_repair(self) -> None:
        path = self.folder / "store"
        self.server.tell("used 9000")
        with anonset.Store(path) as store:
            store.sync_used_tags(self.server.tcp)
            self.assertEqual(store.repair_used_tags(), 0)
        last = self.listed()[-1].tx_hash
        stored = path.read_bytes()
        path.write_bytes(stored.replace(last, last[:-1] + bytes([last[-1] ^ 1])))
        with anonset.Store(path) as store:
            with store.used_tags() as tags:
                self.assertFalse(tags.verify())
            self.assertEqual(store.repair_used_tags(), 9000 - 8192)
            self.assertEqual(store.sync_used_tags(self.server.tcp).fetched, 9000 - 8192)
            with store.used_tags() as tags:
                self.assertTrue(tags.verify())
                self.assertEqual(list(tags), self.listed())

    def test_behind_a_group(self) -> None:
        self.server.tell("used 5")
        with anonset.Store(self.folder / "store") as store:
            with anonset.Sync(store, 1, used=anonset.UsedMode.TOO) as sync:
                (result,) = sync.run(self.server.tcp)
            self.assertTrue(result.current)
            assert sync.used_result is not None
            self.assertEqual(sync.used_result.count, 5)
