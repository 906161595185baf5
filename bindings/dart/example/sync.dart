// Syncs group 1 over a connection of its own and counts the coins:
//
//     dart run example/sync.dart spark.set 127.0.0.1 50001
import 'dart:async';
import 'dart:convert';
import 'dart:ffi';
import 'dart:io';
import 'dart:typed_data';

import 'package:anonset/anonset.dart';
import 'package:ffi/ffi.dart';

final Anonset anonset = openAnonset(Platform.environment['ANONSET_LIBRARY']);

class Failure implements Exception {
  Failure(this.text);

  final String text;
}

void need(int code, Pointer<anonset_detail> detail) {
  if (code != anonset_code.ANONSET_OK) throw Failure(textOf(detail.ref));
}

/// The lines of [bytes], without their ends; none may become longer than [limit] tells.
Stream<Uint8List> linesOf(Stream<Uint8List> bytes, int Function() limit) async* {
  final line = BytesBuilder(copy: false);
  await for (final part in bytes) {
    var from = 0;
    for (var end = part.indexOf(10); end >= 0; end = part.indexOf(10, from)) {
      line.add(Uint8List.sublistView(part, from, end));
      yield line.takeBytes();
      from = end + 1;
    }
    line.add(Uint8List.sublistView(part, from));
    if (line.length > limit()) throw Failure('an answer is longer than it can be');
  }
}

/// One sync, driven over [socket]. Ends when the sync does; the result goes to its callback.
class Driver {
  Driver(this.sync, this.socket) {
    socket.add(utf8.encode('{"jsonrpc":"2.0","id":0,"method":"server.version",'
        '"params":["anonset example","1.4"]}\n'));
  }

  final Pointer<anonset_sync> sync;
  final Socket socket;
  late final lines = StreamIterator(linesOf(socket, mostBytes));
  final arena = Arena();
  late final request = arena<anonset_request>();
  late final outstanding = arena<Pointer<anonset_request>>();
  late final text = arena<Char>(ANONSET_REQUEST_TEXT);
  late final answer = arena<anonset_answer>();
  late final detail = arena<anonset_detail>();
  Pointer<Uint8> line = nullptr;

  int mostBytes() {
    final n = anonset.anonset_sync_outstanding(sync, outstanding);
    var most = anonset.anonset_answer_limit(nullptr);
    for (var i = 0; i < n; i++) {
      final limit = anonset.anonset_answer_limit(outstanding.value + i);
      if (limit > most) most = limit;
    }
    return most;
  }

  Future<void> run() async {
    await lines.moveNext(); // the answer to server.version
    for (;;) {
      switch (anonset.anonset_sync_step(sync, request)) {
        case anonset_step.ANONSET_STEP_SEND:
          final n = anonset.anonset_request_write(text, request, anonset_dialect.ANONSET_ELECTRUMX);
          socket.add(Uint8List.fromList(text.cast<Uint8>().asTypedList(n)));
        case anonset_step.ANONSET_STEP_WAIT:
          await receive();
        default:
          return;
      }
    }
  }

  Future<void> receive() async {
    forget(); // the sync no longer needs the answer fed before
    if (!await lines.moveNext()) throw Failure('the server closed the connection; run it again');
    final bytes = lines.current;
    line = malloc<Uint8>(bytes.length);
    line.asTypedList(bytes.length).setAll(0, bytes);
    final n = anonset.anonset_sync_outstanding(sync, outstanding);
    need(
        anonset.anonset_answer_read(answer, line.cast(), bytes.length, outstanding.value, n,
            anonset_dialect.ANONSET_ELECTRUMX, detail),
        detail);
    if (answer.ref.kind == anonset_answer_kind.ANONSET_ANSWER_NONE) return; // a notification
    need(anonset.anonset_sync_feed(sync, answer, detail), detail);
  }

  void forget() {
    if (line == nullptr) return;
    anonset.anonset_answer_clear(answer);
    malloc.free(line);
    line = nullptr;
  }

  void close() {
    forget();
    socket.destroy();
    arena.releaseAll();
  }
}

Future<int> syncGroup(Pointer<anonset_store> store, int group, String host, int port) async {
  final arena = Arena();
  final detail = arena<anonset_detail>();
  final sync = arena<Pointer<anonset_sync>>();
  final options = arena<anonset_sync_options>();
  var outcome = anonset_outcome.ANONSET_NETWORK_ERROR;
  final onResult =
      NativeCallable<Void Function(Pointer<Void>, Pointer<anonset_result>)>.isolateLocal(
          (Pointer<Void> context, Pointer<anonset_result> result) {
    outcome = result.ref.outcome;
    stderr.writeln('group ${result.ref.group}: '
        '${anonset.anonset_outcome_name(outcome).cast<Utf8>().toDartString()} '
        '${textOf(result.ref.error)}');
  });
  Driver? driver;
  try {
    anonset.anonset_sync_options_init(options);
    options.ref.group = group;
    options.ref.on_result = onResult.nativeFunction;
    need(anonset.anonset_sync_new(sync, store, options, detail), detail);
    driver = Driver(sync.value, await Socket.connect(host, port));
    await driver.run();
  } finally {
    if (sync.value != nullptr) anonset.anonset_sync_free(sync.value);
    driver?.close();
    onResult.close();
    arena.releaseAll();
  }
  return outcome;
}

int countCoins(Pointer<anonset_store> store, int group) {
  final arena = Arena();
  final detail = arena<anonset_detail>();
  final snapshot = arena<Pointer<anonset_snapshot>>();
  final coin = arena<anonset_coin>();
  try {
    need(anonset.anonset_snapshot_open(snapshot, store, group, detail), detail);
    var coins = 0;
    var code = anonset.anonset_snapshot_next(snapshot.value, coin, detail);
    while (code == anonset_code.ANONSET_OK) {
      coins++; // newest first; coin.ref.serialized lives until the next call
      code = anonset.anonset_snapshot_next(snapshot.value, coin, detail);
    }
    if (code != anonset_code.ANONSET_NOT_FOUND) need(code, detail);
    return coins;
  } finally {
    anonset.anonset_snapshot_close(snapshot.value);
    arena.releaseAll();
  }
}

Future<void> main(List<String> words) async {
  if (words.length != 3) {
    stderr.writeln('usage: sync.dart STORE HOST PORT');
    exit(2);
  }
  final arena = Arena();
  final detail = arena<anonset_detail>();
  final store = arena<Pointer<anonset_store>>();
  try {
    need(
        anonset.anonset_store_open(
            store, words[0].toNativeUtf8(allocator: arena).cast(), nullptr, detail),
        detail);
    final outcome = await syncGroup(store.value, 1, words[1], int.parse(words[2]));
    print('${countCoins(store.value, 1)} coins');
    exitCode = outcome <= anonset_outcome.ANONSET_UP_TO_DATE ? 0 : 1;
  } on Failure catch (failure) {
    stderr.writeln(failure.text);
    exitCode = 1;
  } on SocketException catch (failure) {
    stderr.writeln(failure);
    exitCode = 1;
  } finally {
    anonset.anonset_store_close(store.value);
    arena.releaseAll();
  }
}
