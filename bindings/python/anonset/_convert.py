"""C structs to values."""

from __future__ import annotations

from ctypes import string_at

from . import _c
from ._values import (
    Coin,
    Finalized,
    Gate,
    Meta,
    Outcome,
    Pending,
    Progress,
    Proof,
    Result,
    State,
    UsedResult,
    UsedTag,
)


def coin(c: _c.anonset_coin) -> Coin:
    return Coin(
        string_at(c.serialized, c.serialized_len) if c.serialized_len else b"",
        string_at(c.tx_hash, _c.HASH_BYTES),
        string_at(c.context, c.context_len) if c.context_len else b"",
    )


def meta(c: _c.anonset_meta) -> Meta:
    return Meta(bytes(c.block_hash), bytes(c.set_hash) if c.has_set_hash else None, c.size)


def state(c: _c.anonset_state) -> State:
    finalized = pending = None
    if c.has_finalized:
        shown = meta(c.finalized)
        finalized = Finalized(
            shown.block_hash, shown.set_hash, shown.size, bytes(c.digest), Gate(c.gate)
        )
    if c.has_pending:
        pending = Pending(meta(c.target), c.base, c.count, bytes(c.pending_digest))
    return State(finalized, pending)


def progress(c: _c.anonset_progress) -> Progress:
    return Progress(c.group, c.position, c.size, c.bytes, c.restarted)


def result(c: _c.anonset_result) -> Result:
    return Result(
        group=c.group,
        outcome=Outcome(c.outcome),
        state=state(c.state),
        fetched=c.fetched,
        copied=c.copied,
        resumed_from=c.resumed_from,
        discarded=c.discarded,
        replaced=c.replaced,
        proof=Proof(c.proof),
        requests=c.requests,
        bytes=c.bytes,
        error=_c.detail_of(c.error),
    )


def used(c: _c.anonset_used) -> UsedTag:
    return UsedTag(tag=bytes(c.tag), tx_hash=bytes(c.tx_hash))


def used_result(c: _c.anonset_used_result) -> UsedResult:
    return UsedResult(
        outcome=Outcome(c.outcome),
        count=c.state.count,
        digest=bytes(c.state.digest),
        fetched=c.fetched,
        resumed_from=c.resumed_from,
        replaced=c.replaced,
        requests=c.requests,
        bytes=c.bytes,
        error=_c.detail_of(c.error),
    )
