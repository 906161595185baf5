#include "cli/exits.h"

static const struct {
    int code;
    const char *meaning;
} meanings[] = {
    {EXITS_DONE, "done: finalized, re-anchored or up to date; sound; written; repaired; cleared"},
    {EXITS_INTERNAL, "internal error, out of memory, or the output could not be written"},
    {EXITS_USAGE, "usage: an option is wrong or missing; nothing was done"},
    {EXITS_NETWORK, "server or network; what was downloaded is kept, run it again"},
    {EXITS_INTEGRITY,
     "integrity: the server's data was refused, the finalized set is untouched; or the set is "
     "at a lower gate level than asked for"},
    {EXITS_KEPT, "kept the stored set: server behind, reorganization, no such group, block or "
                 "used tag"},
    {EXITS_STORE, "the store is missing, damaged, or cannot be read or written"},
    {EXITS_BUSY, "another process is writing to the store; run it again"},
    {EXITS_CANCELLED, "interrupted (SIGINT); what was downloaded is kept"},
};

int exits_of_code(anonset_code code)
{
    switch (code) {
    case ANONSET_OK:
        return EXITS_DONE;
    case ANONSET_BUSY:
    case ANONSET_STALE:
        return EXITS_BUSY;
    case ANONSET_NETWORK:
    case ANONSET_SERVER:
    case ANONSET_BAD_ANSWER:
        return EXITS_NETWORK;
    case ANONSET_WRONG_NETWORK:
    case ANONSET_UNPROVEN:
        return EXITS_INTEGRITY;
    case ANONSET_CANCELLED:
        return EXITS_CANCELLED;
    case ANONSET_INVALID:
    case ANONSET_NO_MEMORY:
    case ANONSET_INTERNAL:
        return EXITS_INTERNAL;
    case ANONSET_NOT_FOUND:
    case ANONSET_IO:
    case ANONSET_FULL:
    case ANONSET_PERMISSION:
    case ANONSET_UNKNOWN:
    case ANONSET_CORRUPT:
    case ANONSET_FOREIGN:
    case ANONSET_UNSUPPORTED:
        return EXITS_STORE;
    }
    return EXITS_INTERNAL;
}

int exits_of_result(anonset_outcome outcome, anonset_code code)
{
    bool internal = code != ANONSET_OK && exits_of_code(code) == EXITS_INTERNAL;

    switch (outcome) {
    case ANONSET_FINALIZED:
    case ANONSET_REANCHORED:
    case ANONSET_UP_TO_DATE:
        return EXITS_DONE;
    case ANONSET_NO_SUCH_GROUP:
    case ANONSET_REMOTE_BEHIND:
    case ANONSET_REORG_DETECTED:
        return EXITS_KEPT;
    case ANONSET_ANOMALY:
    case ANONSET_BAD_SECTOR:
    case ANONSET_GATE_REFUSED:
    case ANONSET_OTHER_NETWORK:
        return EXITS_INTEGRITY;
    case ANONSET_NETWORK_ERROR:
        return internal ? EXITS_INTERNAL : EXITS_NETWORK;
    case ANONSET_STORE_BUSY:
        return EXITS_BUSY;
    case ANONSET_STORE_ERROR:
        return internal ? EXITS_INTERNAL : EXITS_STORE;
    case ANONSET_SYNC_CANCELLED:
        return EXITS_CANCELLED;
    case ANONSET_OUTCOME_COUNT:
        break;
    }
    return EXITS_INTERNAL;
}

int exits_worse(int a, int b)
{
    static const int worst_first[] = {EXITS_CANCELLED, EXITS_INTERNAL, EXITS_STORE, EXITS_BUSY,
                                      EXITS_INTEGRITY, EXITS_NETWORK,  EXITS_KEPT};

    for (size_t i = 0; i < sizeof worst_first / sizeof *worst_first; i++) {
        if (a == worst_first[i] || b == worst_first[i])
            return worst_first[i];
    }
    return EXITS_DONE;
}

const char *exits_row(size_t i, int *code)
{
    if (i >= sizeof meanings / sizeof *meanings)
        return NULL;
    *code = meanings[i].code;
    return meanings[i].meaning;
}

void exits_print(FILE *out)
{
    const char *meaning;
    int code;

    fputs("Exit codes:\n", out);
    for (size_t i = 0; (meaning = exits_row(i, &code)); i++)
        fprintf(out, "  %3d  %s\n", code, meaning);
}
