"""A local, always whole copy of Firo's Spark anonymity set.

    with anonset.Store("spark.set") as store:
        store.sync("tcp://electrumx.example.org:50001", group=1)
        with store.snapshot(1) as snapshot:
            for coin in snapshot:
                ...

Everything that can fail raises Error, which has a code and a text that says what to do. The rules of
the C library hold here too: doc/design.md and anonset/anonset.h.
"""

from ._c import LIBRARY_VERSION as LIBRARY_VERSION
from ._c import default_backend as default_backend
from ._store import Coins as Coins
from ._store import Snapshot as Snapshot
from ._store import Store as Store
from ._store import UsedTags as UsedTags
from ._sync import Client as Client
from ._sync import Connection as Connection
from ._sync import Server as Server
from ._sync import Sync as Sync
from ._values import AnswerKind as AnswerKind
from ._values import Code as Code
from ._values import Coin as Coin
from ._values import Detail as Detail
from ._values import Dialect as Dialect
from ._values import Error as Error
from ._values import Finalized as Finalized
from ._values import Gate as Gate
from ._values import Meta as Meta
from ._values import OnReorg as OnReorg
from ._values import Order as Order
from ._values import Outcome as Outcome
from ._values import Pending as Pending
from ._values import Progress as Progress
from ._values import Proof as Proof
from ._values import Request as Request
from ._values import RequestKind as RequestKind
from ._values import Result as Result
from ._values import State as State
from ._values import Step as Step
from ._values import SyncError as SyncError
from ._values import Trusted as Trusted
from ._values import UsedMode as UsedMode
from ._values import UsedResult as UsedResult
from ._values import UsedTag as UsedTag
from ._values import Verdict as Verdict

__version__ = "0.1.0"
