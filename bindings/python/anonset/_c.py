"""The C library as it is: structs, functions, and what turns its codes into exceptions.

Names are those of anonset/anonset.h, and tests/test_layout.py compares each with it: sizes, offsets,
constants, parameters. Nothing outside this package should use them.
"""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_bool,
    c_char,
    c_char_p,
    c_int,
    c_size_t,
    c_uint,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any

from ._values import Code, Detail, Error

HASH_BYTES = 32
DETAIL_TEXT = 256
REQUEST_TEXT = 256
STORE_CREATE = 1
STORE_READ_ONLY = 2
STORE_VERIFY_READS = 4
TAG_BYTES = 34
USED_BATCH = 8192
USED_MOST_DEFAULT = 8388608

Hash = c_uint8 * HASH_BYTES
Tag = c_uint8 * TAG_BYTES


class anonset_detail(Structure):
    _fields_ = [("code", c_int), ("os_error", c_int), ("text", c_char * DETAIL_TEXT)]


class anonset_coin(Structure):
    _fields_ = [
        ("serialized", c_void_p),
        ("context", c_void_p),
        ("tx_hash", c_void_p),
        ("serialized_len", c_uint32),
        ("context_len", c_uint32),
    ]


class anonset_meta(Structure):
    _fields_ = [
        ("block_hash", Hash),
        ("set_hash", Hash),
        ("size", c_uint32),
        ("has_set_hash", c_bool),
    ]


class anonset_state(Structure):
    _fields_ = [
        ("has_finalized", c_bool),
        ("finalized", anonset_meta),
        ("digest", Hash),
        ("gate", c_int),
        ("has_pending", c_bool),
        ("target", anonset_meta),
        ("base", c_uint32),
        ("count", c_uint32),
        ("pending_digest", Hash),
        ("has_hole", c_bool),
        ("hole_from", c_uint32),
        ("hole_to", c_uint32),
        ("hole_filled", c_uint32),
        ("hole_before", Hash),
        ("hole_digest", Hash),
        ("hole_after", Hash),
    ]


Log = CFUNCTYPE(None, c_void_p, c_int, c_char_p)


class anonset_store_options(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("backend", c_void_p),
        ("flags", c_uint),
        ("busy_ms", c_uint),
        ("log", Log),
        ("log_context", c_void_p),
    ]


class anonset_verdict(Structure):
    _fields_ = [
        ("group", c_uint32),
        ("coins", c_uint32),
        ("sound", c_bool),
        ("damaged_from", c_uint32),
        ("damaged_to", c_uint32),
        ("damaged_pending", c_bool),
        ("digest", Hash),
        ("proven", c_uint32),
        ("rederived", c_uint32),
    ]


class anonset_repair(Structure):
    _fields_ = [
        ("found", anonset_verdict),
        ("dropped", c_uint32),
        ("pending_dropped", c_uint32),
        ("cleared", c_bool),
    ]


class anonset_rebuilt(Structure):
    _fields_ = [
        ("kept", c_uint32),
        ("lost", c_uint32),
        ("dropped", c_uint32),
        ("damaged", c_char * 4096),
        ("used_kept", c_uint32),
        ("used_dropped", c_uint32),
        ("used_lost", c_bool),
    ]


class anonset_result(Structure):
    _fields_ = [
        ("group", c_uint32),
        ("outcome", c_int),
        ("state", anonset_state),
        ("fetched", c_uint32),
        ("copied", c_uint32),
        ("resumed_from", c_uint32),
        ("discarded", c_uint32),
        ("replaced", c_uint32),
        ("proof", c_int),
        ("requests", c_uint32),
        ("bytes", c_uint64),
        ("error", anonset_detail),
    ]


class anonset_used(Structure):
    _fields_ = [("tag", Tag), ("tx_hash", Hash)]


class anonset_used_state(Structure):
    _fields_ = [("count", c_uint32), ("digest", Hash)]


class anonset_used_repaired(Structure):
    _fields_ = [("kept", c_uint32), ("dropped", c_uint32)]


class anonset_used_result(Structure):
    _fields_ = [
        ("outcome", c_int),
        ("state", anonset_used_state),
        ("fetched", c_uint32),
        ("resumed_from", c_uint32),
        ("replaced", c_uint32),
        ("requests", c_uint32),
        ("bytes", c_uint64),
        ("error", anonset_detail),
    ]


class anonset_progress(Structure):
    _fields_ = [
        ("group", c_uint32),
        ("position", c_uint32),
        ("size", c_uint32),
        ("bytes", c_uint64),
        ("restarted", c_bool),
    ]


class anonset_trusted(Structure):
    _fields_ = [("group", c_uint32), ("size", c_uint32), ("digest", Hash)]


OnResult = CFUNCTYPE(None, c_void_p, POINTER(anonset_result))
OnProgress = CFUNCTYPE(None, c_void_p, POINTER(anonset_progress))
OnUsed = CFUNCTYPE(None, c_void_p, POINTER(anonset_used_result))


class anonset_sync_options(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("group", c_uint32),
        ("sector_size", c_uint32),
        ("sector_bytes", c_uint32),
        ("ask_genesis", c_bool),
        ("on_reorg", c_int),
        ("proof_budget", c_uint32),
        ("prove", c_bool),
        ("trusted", POINTER(anonset_trusted)),
        ("trusted_n", c_size_t),
        ("on_result", OnResult),
        ("on_progress", OnProgress),
        ("context", c_void_p),
        ("used", c_int),
        ("used_most", c_uint32),
        ("on_used", OnUsed),
    ]


# Not offered: hooks in Python would need memory of Python, under its lock, for every block.
class anonset_allocator(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("allocate", CFUNCTYPE(c_void_p, c_void_p, c_size_t)),
        ("reallocate", CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_size_t)),
        ("release", CFUNCTYPE(None, c_void_p, c_void_p)),
        ("context", c_void_p),
    ]


class anonset_request(Structure):
    _fields_ = [
        ("id", c_uint32),
        ("kind", c_int),
        ("group", c_uint32),
        ("block_hash", Hash),
        ("start", c_uint32),
        ("end", c_uint32),
        ("tx_hash", Hash),
    ]


class anonset_answer(Structure):
    _fields_ = [
        ("id", c_uint32),
        ("kind", c_int),
        ("meta", anonset_meta),
        ("number", c_uint32),
        ("coins", POINTER(anonset_coin)),
        ("n", c_uint32),
        ("wire_bytes", c_uint64),
        ("text_bytes", c_uint64),
        ("text", c_char * DETAIL_TEXT),
        ("used", POINTER(anonset_used)),
        ("more", c_bool),
    ]


class anonset_client_options(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("proxy", c_char_p),
        ("tls_pin", c_char_p),
        ("tls_insecure", c_bool),
        ("cookie_file", c_char_p),
        ("timeout_ms", c_uint),
        ("retries", c_uint),
    ]


# Handles are void pointers: this package never looks inside.
_detail = POINTER(anonset_detail)
_store = _snapshot = _sync = _client = _list = _reader = c_void_p

PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "anonset_strerror": (c_char_p, [c_int]),
    "anonset_version": (c_char_p, []),
    "anonset_set_allocator": (c_int, [POINTER(anonset_allocator), _detail]),
    "anonset_store_options_init": (None, [POINTER(anonset_store_options)]),
    "anonset_store_open": (
        c_int,
        [POINTER(_store), c_char_p, POINTER(anonset_store_options), _detail],
    ),
    "anonset_store_close": (None, [_store]),
    "anonset_store_backend": (c_char_p, [_store]),
    "anonset_default_backend": (c_char_p, []),
    "anonset_store_next_group": (c_int, [_store, POINTER(c_uint32), c_uint32, _detail]),
    "anonset_store_state": (c_int, [_store, POINTER(anonset_state), c_uint32, _detail]),
    "anonset_store_genesis": (c_int, [_store, POINTER(c_uint8), _detail]),
    "anonset_store_ancestor": (
        c_int,
        [
            _store,
            POINTER(anonset_meta),
            POINTER(anonset_meta),
            c_uint32,
            POINTER(c_uint8),
            c_uint32,
            _detail,
        ],
    ),
    "anonset_store_clear": (c_int, [_store, c_uint32, _detail]),
    "anonset_store_disk_bytes": (c_int, [_store, POINTER(c_uint64), _detail]),
    "anonset_store_verify": (c_int, [_store, POINTER(anonset_verdict), c_uint32, _detail]),
    "anonset_store_repair": (c_int, [_store, POINTER(anonset_repair), c_uint32, _detail]),
    "anonset_store_rebuild": (
        c_int,
        [c_char_p, POINTER(anonset_store_options), POINTER(anonset_rebuilt), _detail],
    ),
    "anonset_snapshot_open": (c_int, [POINTER(_snapshot), _store, c_uint32, _detail]),
    "anonset_snapshot_open_gated": (
        c_int,
        [POINTER(_snapshot), _store, c_uint32, c_int, _detail],
    ),
    "anonset_snapshot_close": (None, [_snapshot]),
    "anonset_snapshot_state": (POINTER(anonset_state), [_snapshot]),
    "anonset_snapshot_find": (c_int, [_snapshot, POINTER(c_uint32), POINTER(c_uint8), _detail]),
    "anonset_snapshot_seek": (c_int, [_snapshot, c_uint32, c_uint32, c_int, _detail]),
    "anonset_snapshot_next": (c_int, [_snapshot, POINTER(anonset_coin), _detail]),
    "anonset_used_open": (c_int, [POINTER(_list), _store, _detail]),
    "anonset_used_close": (None, [_list]),
    "anonset_used_list_state": (POINTER(anonset_used_state), [_list]),
    "anonset_used_read": (
        c_int,
        [_list, POINTER(anonset_used), POINTER(c_uint32), c_uint32, c_uint32, _detail],
    ),
    "anonset_used_find": (
        c_int,
        [_list, POINTER(anonset_used), POINTER(c_uint32), POINTER(c_uint8), _detail],
    ),
    "anonset_used_verify": (c_int, [_list, POINTER(c_bool), _detail]),
    "anonset_used_repair": (c_int, [_store, POINTER(anonset_used_repaired), _detail]),
    "anonset_used_clear": (c_int, [_store, _detail]),
    "anonset_outcome_name": (c_char_p, [c_int]),
    "anonset_sync_options_init": (None, [POINTER(anonset_sync_options)]),
    "anonset_sync_new": (
        c_int,
        [POINTER(_sync), _store, POINTER(anonset_sync_options), _detail],
    ),
    "anonset_sync_free": (None, [_sync]),
    "anonset_sync_step": (c_int, [_sync, POINTER(anonset_request)]),
    "anonset_sync_feed": (c_int, [_sync, POINTER(anonset_answer), _detail]),
    "anonset_sync_outstanding": (c_size_t, [_sync, POINTER(POINTER(anonset_request))]),
    "anonset_sync_reconnect": (None, [_sync, c_bool]),
    "anonset_sync_abort": (None, [_sync, _detail]),
    "anonset_sync_cancel": (None, [_sync]),
    "anonset_sync_is_cancelled": (c_bool, [_sync]),
    "anonset_sync_commits": (c_uint64, [_sync]),
    "anonset_request_write": (c_size_t, [c_char_p, POINTER(anonset_request), c_int]),
    "anonset_answer_limit": (c_uint64, [POINTER(anonset_request)]),
    "anonset_answer_read": (
        c_int,
        [
            POINTER(anonset_answer),
            c_char_p,
            c_size_t,
            POINTER(anonset_request),
            c_size_t,
            c_int,
            _detail,
        ],
    ),
    "anonset_answer_clear": (None, [POINTER(anonset_answer)]),
    "anonset_used_text_new": (c_int, [POINTER(_reader), _detail]),
    "anonset_used_text_free": (None, [_reader]),
    "anonset_used_text_read": (
        c_int,
        [
            _reader,
            POINTER(anonset_answer),
            POINTER(c_size_t),
            c_char_p,
            c_size_t,
            c_bool,
            POINTER(anonset_request),
            c_size_t,
            c_int,
            _detail,
        ],
    ),
    "anonset_client_options_init": (None, [POINTER(anonset_client_options)]),
    "anonset_client_new": (
        c_int,
        [POINTER(_client), c_char_p, POINTER(anonset_client_options), _detail],
    ),
    "anonset_client_free": (None, [_client]),
    "anonset_client_step": (
        c_int,
        [_client, POINTER(c_bool), _sync, c_uint64, c_uint32, _detail],
    ),
    "anonset_client_run": (c_int, [_client, _sync, _detail]),
    "anonset_client_sync": (
        c_int,
        [_client, POINTER(anonset_result), _store, c_uint32, _detail],
    ),
}


def _load() -> ctypes.CDLL:
    names = {"darwin": "libanonset.0.dylib"}
    library = ctypes.CDLL(
        os.environ.get("ANONSET_LIBRARY") or names.get(sys.platform, "libanonset.so.0")
    )
    for name, (result, arguments) in PROTOTYPES.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


lib = _load()

LIBRARY_VERSION: str = lib.anonset_version().decode()


def default_backend() -> str:
    """The backend built into the library, "sqlite" or "lmdb"."""
    name: bytes = lib.anonset_default_backend()
    return name.decode()


# A newer library may know more options than this package: it fills in the defaults of those too, so
# there has to be room for them. The size that it wrote stays.
_ROOM = 512


def options(kind: Any) -> Any:
    """Options of a struct type, with the library's defaults."""
    space = ctypes.create_string_buffer(ctypes.sizeof(kind) + _ROOM)
    made = kind.from_buffer(space)
    getattr(lib, kind.__name__ + "_init")(made)
    return made


def detail_of(detail: anonset_detail) -> Detail:
    return Detail(Code(detail.code), detail.os_error, detail.text.decode("utf-8", "replace"))


def call(function: Any, *arguments: Any) -> anonset_detail:
    """Calls what returns a code and takes a detail last; raises Error unless the code is OK."""
    detail = anonset_detail()
    code = function(*arguments, ctypes.byref(detail))
    if code != Code.OK:
        text = detail.text or lib.anonset_strerror(code)
        raise Error(Code(code), text.decode("utf-8", "replace"), detail.os_error)
    return detail


def hash_argument(value: bytes, what: str) -> Any:
    if len(value) != HASH_BYTES:
        raise ValueError(f"{what}: {len(value)} bytes, not {HASH_BYTES}")
    return Hash.from_buffer_copy(value)
