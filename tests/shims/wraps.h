/* The calls that wraps.c makes fail, and with what. */
#ifndef WRAPS_H
#define WRAPS_H

/* What a failing call of SQLite and of LMDB returns from now on, where it can return a code, and
 * the errno of one of the system. */
void wraps_fail_with(int sqlite_code, int lmdb_code, int os_error);

#endif
