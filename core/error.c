#include "core/detail.h"

#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *anonset_strerror(anonset_code code)
{
    switch (code) {
    case ANONSET_OK:
        return "no error";
    case ANONSET_INVALID:
        return "invalid argument";
    case ANONSET_NO_MEMORY:
        return "out of memory";
    case ANONSET_NOT_FOUND:
        return "not found";
    case ANONSET_IO:
        return "the store's file could not be read or written";
    case ANONSET_FULL:
        return "the disk is full";
    case ANONSET_PERMISSION:
        return "access to the store's files was denied";
    case ANONSET_UNKNOWN:
        return "an I/O error left open whether a write happened; reopen the store";
    case ANONSET_CORRUPT:
        return "stored bytes are damaged";
    case ANONSET_FOREIGN:
        return "not an anonset store of this backend";
    case ANONSET_BUSY:
        return "the store is in use by another writer";
    case ANONSET_STALE:
        return "the store has moved on; nothing was written";
    case ANONSET_WRONG_NETWORK:
        return "the store belongs to another chain";
    case ANONSET_NETWORK:
        return "the server could not be reached or the connection was lost";
    case ANONSET_SERVER:
        return "the server answered with an error";
    case ANONSET_BAD_ANSWER:
        return "the server's answer breaks the protocol";
    case ANONSET_CANCELLED:
        return "cancelled";
    case ANONSET_UNPROVEN:
        return "the set is at a lower gate level than was asked for";
    case ANONSET_UNSUPPORTED:
        return "not supported by this build";
    case ANONSET_INTERNAL:
        return "internal error: please report it";
    }
    return "unknown error code";
}

const char *anonset_outcome_name(anonset_outcome outcome)
{
    static const char *const names[ANONSET_OUTCOME_COUNT] = {
        [ANONSET_FINALIZED] = "finalized",
        [ANONSET_REANCHORED] = "reanchored",
        [ANONSET_UP_TO_DATE] = "up_to_date",
        [ANONSET_NO_SUCH_GROUP] = "no_such_group",
        [ANONSET_REMOTE_BEHIND] = "remote_behind",
        [ANONSET_REORG_DETECTED] = "reorg_detected",
        [ANONSET_ANOMALY] = "anomaly",
        [ANONSET_BAD_SECTOR] = "bad_sector",
        [ANONSET_GATE_REFUSED] = "gate_refused",
        [ANONSET_NETWORK_ERROR] = "network_error",
        [ANONSET_STORE_BUSY] = "busy",
        [ANONSET_STORE_ERROR] = "store_error",
        [ANONSET_OTHER_NETWORK] = "wrong_network",
        [ANONSET_SYNC_CANCELLED] = "cancelled",
    };
    return (unsigned)outcome < ANONSET_OUTCOME_COUNT ? names[outcome] : "unknown";
}

const char *anonset_version(void)
{
    return PACKAGE_VERSION;
}

anonset_code(as_fail)(anonset_detail *detail, anonset_code code, int os_error, const char *format,
                      ...)
{
    if (detail) {
        va_list args;
        va_start(args, format);
        detail->code = code;
        detail->os_error = os_error;
        /* A text that does not fit is cut: vsnprintf ends it either way. */
        (void)vsnprintf(detail->text, sizeof detail->text, format, args);
        va_end(args);
    }
    return code;
}

void as_clean_text(char *out, size_t cap, const char *text, size_t len)
{
    size_t n = len < cap - 1 ? len : cap - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
    out[n] = '\0';
}

anonset_code as_errno_code(int os_error)
{
    switch (os_error) {
    case ENOMEM:
        return ANONSET_NO_MEMORY;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ANONSET_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return ANONSET_PERMISSION;
    case ENOENT:
    case ENOTDIR:
        return ANONSET_NOT_FOUND;
    default:
        return ANONSET_IO;
    }
}
