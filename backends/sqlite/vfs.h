/*
 * A file layer above SQLite's own that makes few calls of many. SQLite reads and writes a page at a
 * time, and each page of the log as two writes; with small pages that is most of what storing and
 * reading coins costs. Writes that follow each other in a file are passed on as one, and reads that
 * follow each other are read ahead.
 *
 * Nothing that SQLite relies on changes. What it wrote is passed on before a sync, and before
 * anybody else could look for it (unlock, shared memory); a write that fails late is told by the
 * next write, sync or unlock. What was read ahead is forgotten at every lock and unlock; between
 * them, while a transaction lasts, the pages of the file and of the log that it may read do not
 * change.
 */
#ifndef AS_SQLITE_VFS_H
#define AS_SQLITE_VFS_H

#include <sqlite3.h>

/* The layer's name for sqlite3_open_v2; NULL if SQLite has no file layer of its own. Thread-safe.
 */
const char *as_sqlite_vfs(void);

/* What the newest read of this file, or of its log, failed with since this was asked before;
 * SQLITE_OK: none did. SQLite's checks tell such a read in words, among those about damage. */
int as_sqlite_vfs_failed_read(sqlite3_file *file);

#endif
