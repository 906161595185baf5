"""What comes out: plain values that live on their own, and the errors."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Code(enum.IntEnum):
    """What went wrong; doc/errors.md has the causes and cures."""

    OK = 0
    INVALID = 1
    NO_MEMORY = 2
    NOT_FOUND = 3
    IO = 4
    FULL = 5
    PERMISSION = 6
    UNKNOWN = 7
    CORRUPT = 8
    FOREIGN = 9
    BUSY = 10
    STALE = 11
    WRONG_NETWORK = 12
    NETWORK = 13
    SERVER = 14
    BAD_ANSWER = 15
    CANCELLED = 16
    UNSUPPORTED = 17
    INTERNAL = 18
    UNPROVEN = 19


class Gate(enum.IntEnum):
    """How much was proven of a finalized set; higher is stronger."""

    NONE = 0
    COUNT = 1
    SET_HASH = 2


class Order(enum.IntEnum):
    NEWEST_FIRST = 0
    OLDEST_FIRST = 1


class Outcome(enum.IntEnum):
    """How the sync of one group ended; doc/design.md has the rules."""

    FINALIZED = 0
    REANCHORED = 1
    UP_TO_DATE = 2
    NO_SUCH_GROUP = 3
    REMOTE_BEHIND = 4
    REORG_DETECTED = 5
    ANOMALY = 6
    BAD_SECTOR = 7
    GATE_REFUSED = 8
    NETWORK_ERROR = 9
    STORE_BUSY = 10
    STORE_ERROR = 11
    OTHER_NETWORK = 12
    SYNC_CANCELLED = 13


class Proof(enum.IntEnum):
    """What came of proving the set hash; as anonset_proof in the header."""

    NONE = 0
    FOUND = 1
    CONSISTENT = 2
    BUDGET = 3
    NO_HEIGHTS = 4
    NO_START = 5


class OnReorg(enum.IntEnum):
    FOLLOW = 0
    KEEP = 1


class RequestKind(enum.IntEnum):
    META = 0
    SECTOR = 1
    NEWEST_GROUP = 2
    GENESIS = 3
    HEIGHT = 4
    USED = 5


class AnswerKind(enum.IntEnum):
    NONE = 0
    META = 1
    COINS = 2
    NUMBER = 3
    HASH = 4
    USED = 5
    BLOCK_REFUSED = 6
    NO_GROUP = 7
    TOO_LARGE = 8
    BUSY = 9
    ERROR = 10


class UsedMode(enum.IntEnum):
    NO = 0
    TOO = 1
    ONLY = 2


class Step(enum.IntEnum):
    SEND = 0
    WAIT = 1
    DONE = 2


class Dialect(enum.IntEnum):
    ELECTRUMX = 0
    FIROD = 1


@dataclass(frozen=True, slots=True)
class Detail:
    code: Code
    os_error: int
    text: str


class Error(Exception):
    """A call of the library failed: `code` for programs, `text` for people."""

    def __init__(self, code: Code, text: str, os_error: int = 0) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
        self.os_error = os_error

    def __str__(self) -> str:
        return f"{self.text} ({self.code.name})"


@dataclass(frozen=True, slots=True)
class Coin:
    serialized: bytes
    tx_hash: bytes
    context: bytes


@dataclass(frozen=True, slots=True)
class Meta:
    block_hash: bytes
    set_hash: bytes | None  # None: a set of one block
    size: int


@dataclass(frozen=True, slots=True)
class Finalized(Meta):
    digest: bytes
    gate: Gate


@dataclass(frozen=True, slots=True)
class Pending:
    target: Meta
    base: int
    count: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class State:
    finalized: Finalized | None
    pending: Pending | None


@dataclass(frozen=True, slots=True)
class Verdict:
    group: int
    coins: int
    sound: bool
    damaged: tuple[int, int]  # positions [from, to), where not sound
    digest: bytes
    proven: int
    rederived: int
    text: str  # what disagrees, where not sound


@dataclass(frozen=True, slots=True)
class Progress:
    group: int
    position: int
    size: int
    bytes: int
    restarted: bool


@dataclass(frozen=True, slots=True)
class Result:
    group: int
    outcome: Outcome
    state: State
    fetched: int
    copied: int
    resumed_from: int
    discarded: int
    replaced: int
    proof: Proof
    requests: int
    bytes: int
    error: Detail

    @property
    def current(self) -> bool:
        """Whether the stored set is now the server's."""
        return self.outcome <= Outcome.UP_TO_DATE


@dataclass(frozen=True, slots=True)
class UsedTag:
    """The tag of a coin that was used, and the transaction that used it, bytes as the server sends them."""

    tag: bytes
    tx_hash: bytes


@dataclass(frozen=True, slots=True)
class UsedResult:
    """How a sync of the list of used coin tags ended. `count` and `digest` are of what is stored."""

    outcome: Outcome
    count: int
    digest: bytes
    fetched: int
    resumed_from: int
    replaced: int
    requests: int
    bytes: int
    error: Detail

    @property
    def current(self) -> bool:
        """Whether the stored list is now the server's."""
        return self.outcome <= Outcome.UP_TO_DATE


class SyncError(Error):
    """A sync did not make the stored set (or list) the server's; `result` says how it ended."""

    def __init__(self, result: Result | UsedResult) -> None:
        super().__init__(result.error.code, result.error.text, result.error.os_error)
        self.args = (result,)
        self.result = result

    def __str__(self) -> str:
        return f"{self.result.outcome.name}: {self.text}"


@dataclass(frozen=True, slots=True)
class Trusted:
    """A log digest that is known to be right: that of the oldest `size` coins of a group."""

    group: int
    size: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Request:
    id: int
    kind: RequestKind
    group: int
    block_hash: bytes
    start: int
    end: int
    tx_hash: bytes
    text: bytes  # what to send, in the dialect of the sync
    answer_limit: int  # bytes: cut off what is longer
