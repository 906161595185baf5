// Made from anonset.h by generate.py, not by hand. The header says what everything means.
// ignore_for_file: camel_case_types, constant_identifier_names, non_constant_identifier_names

import 'dart:ffi';

const int ANONSET_HASH_BYTES = 32;
const int ANONSET_DETAIL_TEXT = 256;
const int ANONSET_STORE_CREATE = 1;
const int ANONSET_STORE_READ_ONLY = 2;
const int ANONSET_STORE_VERIFY_READS = 4;
const int ANONSET_TAG_BYTES = 34;
const int ANONSET_SECTOR_AUTO = 0;
const int ANONSET_PROOF_BUDGET_DEFAULT = 65536;
const int ANONSET_USED_MOST_DEFAULT = 8388608;
const int ANONSET_REQUEST_TEXT = 256;
const int ANONSET_USED_BATCH = 8192;

abstract final class anonset_code {
  static const int ANONSET_OK = 0;
  static const int ANONSET_INVALID = 1;
  static const int ANONSET_NO_MEMORY = 2;
  static const int ANONSET_NOT_FOUND = 3;
  static const int ANONSET_IO = 4;
  static const int ANONSET_FULL = 5;
  static const int ANONSET_PERMISSION = 6;
  static const int ANONSET_UNKNOWN = 7;
  static const int ANONSET_CORRUPT = 8;
  static const int ANONSET_FOREIGN = 9;
  static const int ANONSET_BUSY = 10;
  static const int ANONSET_STALE = 11;
  static const int ANONSET_WRONG_NETWORK = 12;
  static const int ANONSET_NETWORK = 13;
  static const int ANONSET_SERVER = 14;
  static const int ANONSET_BAD_ANSWER = 15;
  static const int ANONSET_CANCELLED = 16;
  static const int ANONSET_UNSUPPORTED = 17;
  static const int ANONSET_INTERNAL = 18;
  static const int ANONSET_UNPROVEN = 19;
}

final class anonset_detail extends Struct {
  @UnsignedInt()
  external int code;

  @Int()
  external int os_error;

  @Array(256)
  external Array<Char> text;
}

final class anonset_allocator extends Struct {
  @Size()
  external int size;

  external Pointer<NativeFunction<Pointer<Void> Function(Pointer<Void>, Size)>> allocate;

  external Pointer<NativeFunction<Pointer<Void> Function(Pointer<Void>, Pointer<Void>, Size)>> reallocate;

  external Pointer<NativeFunction<Void Function(Pointer<Void>, Pointer<Void>)>> release;

  external Pointer<Void> context;
}

final class anonset_coin extends Struct {
  external Pointer<Uint8> serialized;

  external Pointer<Uint8> context;

  external Pointer<Uint8> tx_hash;

  @Uint32()
  external int serialized_len;

  @Uint32()
  external int context_len;
}

final class anonset_meta extends Struct {
  @Array(32)
  external Array<Uint8> block_hash;

  @Array(32)
  external Array<Uint8> set_hash;

  @Uint32()
  external int size;

  @Bool()
  external bool has_set_hash;
}

abstract final class anonset_gate {
  static const int ANONSET_GATE_NONE = 0;
  static const int ANONSET_GATE_COUNT = 1;
  static const int ANONSET_GATE_SET_HASH = 2;
}

final class anonset_state extends Struct {
  @Bool()
  external bool has_finalized;

  external anonset_meta finalized;

  @Array(32)
  external Array<Uint8> digest;

  @UnsignedInt()
  external int gate;

  @Bool()
  external bool has_pending;

  external anonset_meta target;

  @Uint32()
  external int base;

  @Uint32()
  external int count;

  @Array(32)
  external Array<Uint8> pending_digest;

  @Bool()
  external bool has_hole;

  @Uint32()
  external int hole_from;

  @Uint32()
  external int hole_to;

  @Uint32()
  external int hole_filled;

  @Array(32)
  external Array<Uint8> hole_before;

  @Array(32)
  external Array<Uint8> hole_digest;

  @Array(32)
  external Array<Uint8> hole_after;
}

final class anonset_checkpoint extends Struct {
  external anonset_meta meta;

  @Array(32)
  external Array<Uint8> digest;

  @UnsignedInt()
  external int gate;

  @Bool()
  external bool alias;
}

final class anonset_store extends Opaque {}

final class anonset_backend extends Opaque {}

final class anonset_store_options extends Struct {
  @Size()
  external int size;

  external Pointer<anonset_backend> backend;

  @UnsignedInt()
  external int flags;

  @UnsignedInt()
  external int busy_ms;

  external Pointer<NativeFunction<Void Function(Pointer<Void>, UnsignedInt, Pointer<Char>)>> log;

  external Pointer<Void> log_context;
}

final class anonset_verdict extends Struct {
  @Uint32()
  external int group;

  @Uint32()
  external int coins;

  @Bool()
  external bool sound;

  @Uint32()
  external int damaged_from;

  @Uint32()
  external int damaged_to;

  @Bool()
  external bool damaged_pending;

  @Array(32)
  external Array<Uint8> digest;

  @Uint32()
  external int proven;

  @Uint32()
  external int rederived;
}

final class anonset_repair extends Struct {
  external anonset_verdict found;

  @Uint32()
  external int dropped;

  @Uint32()
  external int pending_dropped;

  @Bool()
  external bool cleared;
}

final class anonset_rebuilt extends Struct {
  @Uint32()
  external int kept;

  @Uint32()
  external int lost;

  @Uint32()
  external int dropped;

  @Array(4096)
  external Array<Char> damaged;

  @Uint32()
  external int used_kept;

  @Uint32()
  external int used_dropped;

  @Bool()
  external bool used_lost;
}

final class anonset_snapshot extends Opaque {}

abstract final class anonset_order {
  static const int ANONSET_NEWEST_FIRST = 0;
  static const int ANONSET_OLDEST_FIRST = 1;
}

final class anonset_used extends Struct {
  @Array(34)
  external Array<Uint8> tag;

  @Array(32)
  external Array<Uint8> tx_hash;
}

final class anonset_used_state extends Struct {
  @Uint32()
  external int count;

  @Array(32)
  external Array<Uint8> digest;
}

final class anonset_used_list extends Opaque {}

final class anonset_used_repaired extends Struct {
  @Uint32()
  external int kept;

  @Uint32()
  external int dropped;
}

final class anonset_sync extends Opaque {}

abstract final class anonset_outcome {
  static const int ANONSET_FINALIZED = 0;
  static const int ANONSET_REANCHORED = 1;
  static const int ANONSET_UP_TO_DATE = 2;
  static const int ANONSET_NO_SUCH_GROUP = 3;
  static const int ANONSET_REMOTE_BEHIND = 4;
  static const int ANONSET_REORG_DETECTED = 5;
  static const int ANONSET_ANOMALY = 6;
  static const int ANONSET_BAD_SECTOR = 7;
  static const int ANONSET_GATE_REFUSED = 8;
  static const int ANONSET_NETWORK_ERROR = 9;
  static const int ANONSET_STORE_BUSY = 10;
  static const int ANONSET_STORE_ERROR = 11;
  static const int ANONSET_OTHER_NETWORK = 12;
  static const int ANONSET_SYNC_CANCELLED = 13;
  static const int ANONSET_OUTCOME_COUNT = 14;
}

abstract final class anonset_proof {
  static const int ANONSET_PROOF_NONE = 0;
  static const int ANONSET_PROOF_FOUND = 1;
  static const int ANONSET_PROOF_CONSISTENT = 2;
  static const int ANONSET_PROOF_BUDGET = 3;
  static const int ANONSET_PROOF_NO_HEIGHTS = 4;
  static const int ANONSET_PROOF_NO_START = 5;
}

final class anonset_result extends Struct {
  @Uint32()
  external int group;

  @UnsignedInt()
  external int outcome;

  external anonset_state state;

  @Uint32()
  external int fetched;

  @Uint32()
  external int copied;

  @Uint32()
  external int resumed_from;

  @Uint32()
  external int discarded;

  @Uint32()
  external int replaced;

  @UnsignedInt()
  external int proof;

  @Uint32()
  external int requests;

  @Uint64()
  external int bytes;

  external anonset_detail error;
}

final class anonset_used_result extends Struct {
  @UnsignedInt()
  external int outcome;

  external anonset_used_state state;

  @Uint32()
  external int fetched;

  @Uint32()
  external int resumed_from;

  @Uint32()
  external int replaced;

  @Uint32()
  external int requests;

  @Uint64()
  external int bytes;

  external anonset_detail error;
}

final class anonset_progress extends Struct {
  @Uint32()
  external int group;

  @Uint32()
  external int position;

  @Uint32()
  external int size;

  @Uint64()
  external int bytes;

  @Bool()
  external bool restarted;
}

abstract final class anonset_on_reorg {
  static const int ANONSET_REORG_FOLLOW = 0;
  static const int ANONSET_REORG_KEEP = 1;
}

final class anonset_trusted extends Struct {
  @Uint32()
  external int group;

  @Uint32()
  external int size;

  @Array(32)
  external Array<Uint8> digest;
}

abstract final class anonset_used_mode {
  static const int ANONSET_USED_NO = 0;
  static const int ANONSET_USED_TOO = 1;
  static const int ANONSET_USED_ONLY = 2;
}

final class anonset_sync_options extends Struct {
  @Size()
  external int size;

  @Uint32()
  external int group;

  @Uint32()
  external int sector_size;

  @Uint32()
  external int sector_bytes;

  @Bool()
  external bool ask_genesis;

  @UnsignedInt()
  external int on_reorg;

  @Uint32()
  external int proof_budget;

  @Bool()
  external bool prove;

  external Pointer<anonset_trusted> trusted;

  @Size()
  external int trusted_n;

  external Pointer<NativeFunction<Void Function(Pointer<Void>, Pointer<anonset_result>)>> on_result;

  external Pointer<NativeFunction<Void Function(Pointer<Void>, Pointer<anonset_progress>)>> on_progress;

  external Pointer<Void> context;

  @UnsignedInt()
  external int used;

  @Uint32()
  external int used_most;

  external Pointer<NativeFunction<Void Function(Pointer<Void>, Pointer<anonset_used_result>)>> on_used;
}

abstract final class anonset_request_kind {
  static const int ANONSET_REQUEST_META = 0;
  static const int ANONSET_REQUEST_SECTOR = 1;
  static const int ANONSET_REQUEST_NEWEST_GROUP = 2;
  static const int ANONSET_REQUEST_GENESIS = 3;
  static const int ANONSET_REQUEST_HEIGHT = 4;
  static const int ANONSET_REQUEST_USED = 5;
}

final class anonset_request extends Struct {
  @Uint32()
  external int id;

  @UnsignedInt()
  external int kind;

  @Uint32()
  external int group;

  @Array(32)
  external Array<Uint8> block_hash;

  @Uint32()
  external int start;

  @Uint32()
  external int end;

  @Array(32)
  external Array<Uint8> tx_hash;
}

abstract final class anonset_answer_kind {
  static const int ANONSET_ANSWER_NONE = 0;
  static const int ANONSET_ANSWER_META = 1;
  static const int ANONSET_ANSWER_COINS = 2;
  static const int ANONSET_ANSWER_NUMBER = 3;
  static const int ANONSET_ANSWER_HASH = 4;
  static const int ANONSET_ANSWER_USED = 5;
  static const int ANONSET_ANSWER_BLOCK_REFUSED = 6;
  static const int ANONSET_ANSWER_NO_GROUP = 7;
  static const int ANONSET_ANSWER_TOO_LARGE = 8;
  static const int ANONSET_ANSWER_BUSY = 9;
  static const int ANONSET_ANSWER_ERROR = 10;
}

final class anonset_answer extends Struct {
  @Uint32()
  external int id;

  @UnsignedInt()
  external int kind;

  external anonset_meta meta;

  @Uint32()
  external int number;

  external Pointer<anonset_coin> coins;

  @Uint32()
  external int n;

  @Uint64()
  external int wire_bytes;

  @Uint64()
  external int text_bytes;

  @Array(256)
  external Array<Char> text;

  external Pointer<anonset_used> used;

  @Bool()
  external bool more;
}

abstract final class anonset_step {
  static const int ANONSET_STEP_SEND = 0;
  static const int ANONSET_STEP_WAIT = 1;
  static const int ANONSET_STEP_DONE = 2;
}

abstract final class anonset_dialect {
  static const int ANONSET_ELECTRUMX = 0;
  static const int ANONSET_FIROD = 1;
}

final class anonset_used_text extends Opaque {}

final class anonset_client extends Opaque {}

final class anonset_client_options extends Struct {
  @Size()
  external int size;

  external Pointer<Char> proxy;

  external Pointer<Char> tls_pin;

  @Bool()
  external bool tls_insecure;

  external Pointer<Char> cookie_file;

  @UnsignedInt()
  external int timeout_ms;

  @UnsignedInt()
  external int retries;
}

class Anonset {
  Anonset(this._library);

  final DynamicLibrary _library;

  late final Pointer<Char> Function(int) anonset_strerror = _library.lookupFunction<Pointer<Char>
      Function(UnsignedInt), Pointer<Char> Function(int)>('anonset_strerror');

  late final Pointer<Char> Function() anonset_version = _library.lookupFunction<Pointer<Char>
      Function(), Pointer<Char> Function()>('anonset_version');

  late final int Function(Pointer<anonset_allocator>, Pointer<anonset_detail>) anonset_set_allocator
      = _library.lookupFunction<UnsignedInt Function(Pointer<anonset_allocator>,
      Pointer<anonset_detail>), int Function(Pointer<anonset_allocator>,
      Pointer<anonset_detail>)>('anonset_set_allocator');

  late final void Function(Pointer<anonset_store_options>) anonset_store_options_init =
      _library.lookupFunction<Void Function(Pointer<anonset_store_options>), void
      Function(Pointer<anonset_store_options>)>('anonset_store_options_init');

  late final int Function(Pointer<Pointer<anonset_store>>, Pointer<Char>,
      Pointer<anonset_store_options>, Pointer<anonset_detail>) anonset_store_open =
      _library.lookupFunction<UnsignedInt Function(Pointer<Pointer<anonset_store>>, Pointer<Char>,
      Pointer<anonset_store_options>, Pointer<anonset_detail>), int
      Function(Pointer<Pointer<anonset_store>>, Pointer<Char>, Pointer<anonset_store_options>,
      Pointer<anonset_detail>)>('anonset_store_open');

  late final void Function(Pointer<anonset_store>) anonset_store_close =
      _library.lookupFunction<Void Function(Pointer<anonset_store>), void
      Function(Pointer<anonset_store>)>('anonset_store_close');

  late final Pointer<Char> Function(Pointer<anonset_store>) anonset_store_backend =
      _library.lookupFunction<Pointer<Char> Function(Pointer<anonset_store>), Pointer<Char>
      Function(Pointer<anonset_store>)>('anonset_store_backend');

  late final Pointer<Char> Function() anonset_default_backend =
      _library.lookupFunction<Pointer<Char> Function(), Pointer<Char>
      Function()>('anonset_default_backend');

  late final int Function(Pointer<anonset_store>, Pointer<Uint32>, int, Pointer<anonset_detail>)
      anonset_store_next_group = _library.lookupFunction<UnsignedInt
      Function(Pointer<anonset_store>, Pointer<Uint32>, Uint32, Pointer<anonset_detail>), int
      Function(Pointer<anonset_store>, Pointer<Uint32>, int,
      Pointer<anonset_detail>)>('anonset_store_next_group');

  late final int Function(Pointer<anonset_store>, Pointer<anonset_state>, int,
      Pointer<anonset_detail>) anonset_store_state = _library.lookupFunction<UnsignedInt
      Function(Pointer<anonset_store>, Pointer<anonset_state>, Uint32, Pointer<anonset_detail>), int
      Function(Pointer<anonset_store>, Pointer<anonset_state>, int,
      Pointer<anonset_detail>)>('anonset_store_state');

  late final int Function(Pointer<anonset_store>, Pointer<Uint8>, Pointer<anonset_detail>)
      anonset_store_genesis = _library.lookupFunction<UnsignedInt Function(Pointer<anonset_store>,
      Pointer<Uint8>, Pointer<anonset_detail>), int Function(Pointer<anonset_store>, Pointer<Uint8>,
      Pointer<anonset_detail>)>('anonset_store_genesis');

  late final int Function(Pointer<anonset_store>, Pointer<anonset_meta>, Pointer<anonset_meta>, int,
      Pointer<Uint8>, int, Pointer<anonset_detail>) anonset_store_ancestor =
      _library.lookupFunction<UnsignedInt Function(Pointer<anonset_store>, Pointer<anonset_meta>,
      Pointer<anonset_meta>, Uint32, Pointer<Uint8>, Uint32, Pointer<anonset_detail>), int
      Function(Pointer<anonset_store>, Pointer<anonset_meta>, Pointer<anonset_meta>, int,
      Pointer<Uint8>, int, Pointer<anonset_detail>)>('anonset_store_ancestor');

  late final int Function(Pointer<anonset_store>, int, Pointer<anonset_detail>) anonset_store_clear
      = _library.lookupFunction<UnsignedInt Function(Pointer<anonset_store>, Uint32,
      Pointer<anonset_detail>), int Function(Pointer<anonset_store>, int,
      Pointer<anonset_detail>)>('anonset_store_clear');

  late final int Function(Pointer<anonset_store>, Pointer<Uint64>, Pointer<anonset_detail>)
      anonset_store_disk_bytes = _library.lookupFunction<UnsignedInt
      Function(Pointer<anonset_store>, Pointer<Uint64>, Pointer<anonset_detail>), int
      Function(Pointer<anonset_store>, Pointer<Uint64>,
      Pointer<anonset_detail>)>('anonset_store_disk_bytes');

  late final int Function(Pointer<anonset_store>, Pointer<anonset_verdict>, int,
      Pointer<anonset_detail>) anonset_store_verify = _library.lookupFunction<UnsignedInt
      Function(Pointer<anonset_store>, Pointer<anonset_verdict>, Uint32, Pointer<anonset_detail>),
      int Function(Pointer<anonset_store>, Pointer<anonset_verdict>, int,
      Pointer<anonset_detail>)>('anonset_store_verify');

  late final int Function(Pointer<anonset_store>, Pointer<anonset_repair>, int,
      Pointer<anonset_detail>) anonset_store_repair = _library.lookupFunction<UnsignedInt
      Function(Pointer<anonset_store>, Pointer<anonset_repair>, Uint32, Pointer<anonset_detail>),
      int Function(Pointer<anonset_store>, Pointer<anonset_repair>, int,
      Pointer<anonset_detail>)>('anonset_store_repair');

  late final int Function(Pointer<Char>, Pointer<anonset_store_options>, Pointer<anonset_rebuilt>,
      Pointer<anonset_detail>) anonset_store_rebuild = _library.lookupFunction<UnsignedInt
      Function(Pointer<Char>, Pointer<anonset_store_options>, Pointer<anonset_rebuilt>,
      Pointer<anonset_detail>), int Function(Pointer<Char>, Pointer<anonset_store_options>,
      Pointer<anonset_rebuilt>, Pointer<anonset_detail>)>('anonset_store_rebuild');

  late final int Function(Pointer<Pointer<anonset_snapshot>>, Pointer<anonset_store>, int,
      Pointer<anonset_detail>) anonset_snapshot_open = _library.lookupFunction<UnsignedInt
      Function(Pointer<Pointer<anonset_snapshot>>, Pointer<anonset_store>, Uint32,
      Pointer<anonset_detail>), int Function(Pointer<Pointer<anonset_snapshot>>,
      Pointer<anonset_store>, int, Pointer<anonset_detail>)>('anonset_snapshot_open');

  late final int Function(Pointer<Pointer<anonset_snapshot>>, Pointer<anonset_store>, int, int,
      Pointer<anonset_detail>) anonset_snapshot_open_gated = _library.lookupFunction<UnsignedInt
      Function(Pointer<Pointer<anonset_snapshot>>, Pointer<anonset_store>, Uint32, UnsignedInt,
      Pointer<anonset_detail>), int Function(Pointer<Pointer<anonset_snapshot>>,
      Pointer<anonset_store>, int, int, Pointer<anonset_detail>)>('anonset_snapshot_open_gated');

  late final void Function(Pointer<anonset_snapshot>) anonset_snapshot_close =
      _library.lookupFunction<Void Function(Pointer<anonset_snapshot>), void
      Function(Pointer<anonset_snapshot>)>('anonset_snapshot_close');

  late final Pointer<anonset_state> Function(Pointer<anonset_snapshot>) anonset_snapshot_state =
      _library.lookupFunction<Pointer<anonset_state> Function(Pointer<anonset_snapshot>),
      Pointer<anonset_state> Function(Pointer<anonset_snapshot>)>('anonset_snapshot_state');

  late final int Function(Pointer<anonset_snapshot>, Pointer<Uint32>, Pointer<Uint8>,
      Pointer<anonset_detail>) anonset_snapshot_find = _library.lookupFunction<UnsignedInt
      Function(Pointer<anonset_snapshot>, Pointer<Uint32>, Pointer<Uint8>, Pointer<anonset_detail>),
      int Function(Pointer<anonset_snapshot>, Pointer<Uint32>, Pointer<Uint8>,
      Pointer<anonset_detail>)>('anonset_snapshot_find');

  late final int Function(Pointer<anonset_snapshot>, int, int, int, Pointer<anonset_detail>)
      anonset_snapshot_seek = _library.lookupFunction<UnsignedInt
      Function(Pointer<anonset_snapshot>, Uint32, Uint32, UnsignedInt, Pointer<anonset_detail>), int
      Function(Pointer<anonset_snapshot>, int, int, int,
      Pointer<anonset_detail>)>('anonset_snapshot_seek');

  late final int Function(Pointer<anonset_snapshot>, Pointer<anonset_coin>, Pointer<anonset_detail>)
      anonset_snapshot_next = _library.lookupFunction<UnsignedInt
      Function(Pointer<anonset_snapshot>, Pointer<anonset_coin>, Pointer<anonset_detail>), int
      Function(Pointer<anonset_snapshot>, Pointer<anonset_coin>,
      Pointer<anonset_detail>)>('anonset_snapshot_next');

  late final int Function(Pointer<Pointer<anonset_used_list>>, Pointer<anonset_store>,
      Pointer<anonset_detail>) anonset_used_open = _library.lookupFunction<UnsignedInt
      Function(Pointer<Pointer<anonset_used_list>>, Pointer<anonset_store>,
      Pointer<anonset_detail>), int Function(Pointer<Pointer<anonset_used_list>>,
      Pointer<anonset_store>, Pointer<anonset_detail>)>('anonset_used_open');

  late final void Function(Pointer<anonset_used_list>) anonset_used_close =
      _library.lookupFunction<Void Function(Pointer<anonset_used_list>), void
      Function(Pointer<anonset_used_list>)>('anonset_used_close');

  late final Pointer<anonset_used_state> Function(Pointer<anonset_used_list>)
      anonset_used_list_state = _library.lookupFunction<Pointer<anonset_used_state>
      Function(Pointer<anonset_used_list>), Pointer<anonset_used_state>
      Function(Pointer<anonset_used_list>)>('anonset_used_list_state');

  late final int Function(Pointer<anonset_used_list>, Pointer<anonset_used>, Pointer<Uint32>, int,
      int, Pointer<anonset_detail>) anonset_used_read = _library.lookupFunction<UnsignedInt
      Function(Pointer<anonset_used_list>, Pointer<anonset_used>, Pointer<Uint32>, Uint32, Uint32,
      Pointer<anonset_detail>), int Function(Pointer<anonset_used_list>, Pointer<anonset_used>,
      Pointer<Uint32>, int, int, Pointer<anonset_detail>)>('anonset_used_read');

  late final int Function(Pointer<anonset_used_list>, Pointer<anonset_used>, Pointer<Uint32>,
      Pointer<Uint8>, Pointer<anonset_detail>) anonset_used_find =
      _library.lookupFunction<UnsignedInt Function(Pointer<anonset_used_list>,
      Pointer<anonset_used>, Pointer<Uint32>, Pointer<Uint8>, Pointer<anonset_detail>), int
      Function(Pointer<anonset_used_list>, Pointer<anonset_used>, Pointer<Uint32>, Pointer<Uint8>,
      Pointer<anonset_detail>)>('anonset_used_find');

  late final int Function(Pointer<anonset_used_list>, Pointer<Bool>, Pointer<anonset_detail>)
      anonset_used_verify = _library.lookupFunction<UnsignedInt Function(Pointer<anonset_used_list>,
      Pointer<Bool>, Pointer<anonset_detail>), int Function(Pointer<anonset_used_list>,
      Pointer<Bool>, Pointer<anonset_detail>)>('anonset_used_verify');

  late final int Function(Pointer<anonset_store>, Pointer<anonset_used_repaired>,
      Pointer<anonset_detail>) anonset_used_repair = _library.lookupFunction<UnsignedInt
      Function(Pointer<anonset_store>, Pointer<anonset_used_repaired>, Pointer<anonset_detail>), int
      Function(Pointer<anonset_store>, Pointer<anonset_used_repaired>,
      Pointer<anonset_detail>)>('anonset_used_repair');

  late final int Function(Pointer<anonset_store>, Pointer<anonset_detail>) anonset_used_clear =
      _library.lookupFunction<UnsignedInt Function(Pointer<anonset_store>, Pointer<anonset_detail>),
      int Function(Pointer<anonset_store>, Pointer<anonset_detail>)>('anonset_used_clear');

  late final Pointer<Char> Function(int) anonset_outcome_name =
      _library.lookupFunction<Pointer<Char> Function(UnsignedInt), Pointer<Char>
      Function(int)>('anonset_outcome_name');

  late final void Function(Pointer<anonset_sync_options>) anonset_sync_options_init =
      _library.lookupFunction<Void Function(Pointer<anonset_sync_options>), void
      Function(Pointer<anonset_sync_options>)>('anonset_sync_options_init');

  late final int Function(Pointer<Pointer<anonset_sync>>, Pointer<anonset_store>,
      Pointer<anonset_sync_options>, Pointer<anonset_detail>) anonset_sync_new =
      _library.lookupFunction<UnsignedInt Function(Pointer<Pointer<anonset_sync>>,
      Pointer<anonset_store>, Pointer<anonset_sync_options>, Pointer<anonset_detail>), int
      Function(Pointer<Pointer<anonset_sync>>, Pointer<anonset_store>,
      Pointer<anonset_sync_options>, Pointer<anonset_detail>)>('anonset_sync_new');

  late final void Function(Pointer<anonset_sync>) anonset_sync_free = _library.lookupFunction<Void
      Function(Pointer<anonset_sync>), void Function(Pointer<anonset_sync>)>('anonset_sync_free');

  late final int Function(Pointer<anonset_sync>, Pointer<anonset_request>) anonset_sync_step =
      _library.lookupFunction<UnsignedInt Function(Pointer<anonset_sync>, Pointer<anonset_request>),
      int Function(Pointer<anonset_sync>, Pointer<anonset_request>)>('anonset_sync_step');

  late final int Function(Pointer<anonset_sync>, Pointer<anonset_answer>, Pointer<anonset_detail>)
      anonset_sync_feed = _library.lookupFunction<UnsignedInt Function(Pointer<anonset_sync>,
      Pointer<anonset_answer>, Pointer<anonset_detail>), int Function(Pointer<anonset_sync>,
      Pointer<anonset_answer>, Pointer<anonset_detail>)>('anonset_sync_feed');

  late final int Function(Pointer<anonset_sync>, Pointer<Pointer<anonset_request>>)
      anonset_sync_outstanding = _library.lookupFunction<Size Function(Pointer<anonset_sync>,
      Pointer<Pointer<anonset_request>>), int Function(Pointer<anonset_sync>,
      Pointer<Pointer<anonset_request>>)>('anonset_sync_outstanding');

  late final void Function(Pointer<anonset_sync>, bool) anonset_sync_reconnect =
      _library.lookupFunction<Void Function(Pointer<anonset_sync>, Bool), void
      Function(Pointer<anonset_sync>, bool)>('anonset_sync_reconnect');

  late final void Function(Pointer<anonset_sync>, Pointer<anonset_detail>) anonset_sync_abort =
      _library.lookupFunction<Void Function(Pointer<anonset_sync>, Pointer<anonset_detail>), void
      Function(Pointer<anonset_sync>, Pointer<anonset_detail>)>('anonset_sync_abort');

  late final void Function(Pointer<anonset_sync>) anonset_sync_cancel = _library.lookupFunction<Void
      Function(Pointer<anonset_sync>), void Function(Pointer<anonset_sync>)>('anonset_sync_cancel');

  late final bool Function(Pointer<anonset_sync>) anonset_sync_is_cancelled =
      _library.lookupFunction<Bool Function(Pointer<anonset_sync>), bool
      Function(Pointer<anonset_sync>)>('anonset_sync_is_cancelled');

  late final int Function(Pointer<anonset_sync>) anonset_sync_commits =
      _library.lookupFunction<Uint64 Function(Pointer<anonset_sync>), int
      Function(Pointer<anonset_sync>)>('anonset_sync_commits');

  late final int Function(Pointer<Char>, Pointer<anonset_request>, int) anonset_request_write =
      _library.lookupFunction<Size Function(Pointer<Char>, Pointer<anonset_request>, UnsignedInt),
      int Function(Pointer<Char>, Pointer<anonset_request>, int)>('anonset_request_write');

  late final int Function(Pointer<anonset_request>) anonset_answer_limit =
      _library.lookupFunction<Uint64 Function(Pointer<anonset_request>), int
      Function(Pointer<anonset_request>)>('anonset_answer_limit');

  late final int Function(Pointer<anonset_answer>, Pointer<Char>, int, Pointer<anonset_request>,
      int, int, Pointer<anonset_detail>) anonset_answer_read = _library.lookupFunction<UnsignedInt
      Function(Pointer<anonset_answer>, Pointer<Char>, Size, Pointer<anonset_request>, Size,
      UnsignedInt, Pointer<anonset_detail>), int Function(Pointer<anonset_answer>, Pointer<Char>,
      int, Pointer<anonset_request>, int, int, Pointer<anonset_detail>)>('anonset_answer_read');

  late final void Function(Pointer<anonset_answer>) anonset_answer_clear =
      _library.lookupFunction<Void Function(Pointer<anonset_answer>), void
      Function(Pointer<anonset_answer>)>('anonset_answer_clear');

  late final int Function(Pointer<Pointer<anonset_used_text>>, Pointer<anonset_detail>)
      anonset_used_text_new = _library.lookupFunction<UnsignedInt
      Function(Pointer<Pointer<anonset_used_text>>, Pointer<anonset_detail>), int
      Function(Pointer<Pointer<anonset_used_text>>,
      Pointer<anonset_detail>)>('anonset_used_text_new');

  late final void Function(Pointer<anonset_used_text>) anonset_used_text_free =
      _library.lookupFunction<Void Function(Pointer<anonset_used_text>), void
      Function(Pointer<anonset_used_text>)>('anonset_used_text_free');

  late final int Function(Pointer<anonset_used_text>, Pointer<anonset_answer>, Pointer<Size>,
      Pointer<Char>, int, bool, Pointer<anonset_request>, int, int, Pointer<anonset_detail>)
      anonset_used_text_read = _library.lookupFunction<UnsignedInt
      Function(Pointer<anonset_used_text>, Pointer<anonset_answer>, Pointer<Size>, Pointer<Char>,
      Size, Bool, Pointer<anonset_request>, Size, UnsignedInt, Pointer<anonset_detail>), int
      Function(Pointer<anonset_used_text>, Pointer<anonset_answer>, Pointer<Size>, Pointer<Char>,
      int, bool, Pointer<anonset_request>, int, int,
      Pointer<anonset_detail>)>('anonset_used_text_read');

  late final void Function(Pointer<anonset_client_options>) anonset_client_options_init =
      _library.lookupFunction<Void Function(Pointer<anonset_client_options>), void
      Function(Pointer<anonset_client_options>)>('anonset_client_options_init');

  late final int Function(Pointer<Pointer<anonset_client>>, Pointer<Char>,
      Pointer<anonset_client_options>, Pointer<anonset_detail>) anonset_client_new =
      _library.lookupFunction<UnsignedInt Function(Pointer<Pointer<anonset_client>>, Pointer<Char>,
      Pointer<anonset_client_options>, Pointer<anonset_detail>), int
      Function(Pointer<Pointer<anonset_client>>, Pointer<Char>, Pointer<anonset_client_options>,
      Pointer<anonset_detail>)>('anonset_client_new');

  late final void Function(Pointer<anonset_client>) anonset_client_free =
      _library.lookupFunction<Void Function(Pointer<anonset_client>), void
      Function(Pointer<anonset_client>)>('anonset_client_free');

  late final int Function(Pointer<anonset_client>, Pointer<Bool>, Pointer<anonset_sync>, int, int,
      Pointer<anonset_detail>) anonset_client_step = _library.lookupFunction<UnsignedInt
      Function(Pointer<anonset_client>, Pointer<Bool>, Pointer<anonset_sync>, Uint64, Uint32,
      Pointer<anonset_detail>), int Function(Pointer<anonset_client>, Pointer<Bool>,
      Pointer<anonset_sync>, int, int, Pointer<anonset_detail>)>('anonset_client_step');

  late final int Function(Pointer<anonset_client>, Pointer<anonset_sync>, Pointer<anonset_detail>)
      anonset_client_run = _library.lookupFunction<UnsignedInt Function(Pointer<anonset_client>,
      Pointer<anonset_sync>, Pointer<anonset_detail>), int Function(Pointer<anonset_client>,
      Pointer<anonset_sync>, Pointer<anonset_detail>)>('anonset_client_run');

  late final int Function(Pointer<anonset_client>, Pointer<anonset_result>, Pointer<anonset_store>,
      int, Pointer<anonset_detail>) anonset_client_sync = _library.lookupFunction<UnsignedInt
      Function(Pointer<anonset_client>, Pointer<anonset_result>, Pointer<anonset_store>, Uint32,
      Pointer<anonset_detail>), int Function(Pointer<anonset_client>, Pointer<anonset_result>,
      Pointer<anonset_store>, int, Pointer<anonset_detail>)>('anonset_client_sync');
}
