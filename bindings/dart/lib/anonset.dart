/// The C library libanonset: its declarations, and how to load it. What every type and function means,
/// who owns what and which codes it returns is written in `anonset.h`.
library;

import 'dart:convert';
import 'dart:ffi';
import 'dart:io';

import 'src/bindings.dart';

export 'src/bindings.dart';

/// Loads the library from [path]; without one, from where an app of this system has it: linked into the
/// program on iOS, beside it or in the system's place elsewhere.
Anonset openAnonset([String? path]) {
  if (path != null) return Anonset(DynamicLibrary.open(path));
  if (Platform.isIOS) return Anonset(DynamicLibrary.process());
  return Anonset(DynamicLibrary.open(Platform.isMacOS
      ? 'libanonset.dylib'
      : Platform.isAndroid
          ? 'libanonset.so'
          : 'libanonset.so.0'));
}

/// The text of a detail.
String textOf(anonset_detail detail) {
  final units = <int>[];
  for (var i = 0; i < ANONSET_DETAIL_TEXT && detail.text[i] != 0; i++) {
    units.add(detail.text[i] & 0xff);
  }
  return utf8.decode(units, allowMalformed: true);
}
