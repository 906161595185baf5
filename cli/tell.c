#include "cli/tell.h"

#include "cli/text.h"

/* What to do about a store that failed with `code`. */
static const char *store_cure(anonset_code code)
{
    switch (code) {
    case ANONSET_NOT_FOUND:
        return "check the path given with --db; `anonset sync` makes a store";
    case ANONSET_FULL:
        return "free space on the disk, then run the same command again";
    case ANONSET_PERMISSION:
        return "let this user read and write the store's file and its folder";
    case ANONSET_UNKNOWN:
    case ANONSET_IO:
        return "look for disk errors (dmesg), then run the same command again";
    case ANONSET_CORRUPT:
        return "run `anonset repair`, then `anonset sync`; and check the disk";
    case ANONSET_FOREIGN:
        return "check the path given with --db, and that `anonset --version` names the backend "
               "that made the store; `anonset-convert` makes one of another backend out of it";
    case ANONSET_BUSY:
    case ANONSET_STALE:
        return "wait for the other process to end, or end it, then run the same command again";
    case ANONSET_NO_MEMORY:
        return "free memory, then run the same command again";
    case ANONSET_INVALID:
    case ANONSET_INTERNAL:
        return "this is a bug in anonset: please report it with this text";
    default:
        return "see doc/errors.md";
    }
}

static const char *happened(anonset_outcome outcome)
{
    switch (outcome) {
    case ANONSET_NO_SUCH_GROUP:
        return "the server has no such group";
    case ANONSET_REMOTE_BEHIND:
        return "the server has fewer coins than the store";
    case ANONSET_REORG_DETECTED:
        return "the server's coins differ from the stored ones: the chain was reorganized, or the "
               "server lies";
    case ANONSET_ANOMALY:
        return "the server gave another set for a block that the store already knows: one of the "
               "two answers was wrong";
    case ANONSET_BAD_SECTOR:
        return "the server sent the wrong number of coins, or a coin that contradicts itself";
    case ANONSET_GATE_REFUSED:
        return "the set failed the integrity check";
    case ANONSET_NETWORK_ERROR:
        return "the server could not be reached, or did not answer as it should";
    case ANONSET_STORE_BUSY:
        return "another process is writing to this store";
    case ANONSET_STORE_ERROR:
        return "the store failed";
    case ANONSET_OTHER_NETWORK:
        return "the server follows another chain than the store (mainnet, testnet, regtest)";
    case ANONSET_SYNC_CANCELLED:
        return "interrupted";
    default:
        return NULL;
    }
}

static const char *result_cure(const anonset_result *result)
{
    switch (result->outcome) {
    case ANONSET_NO_SUCH_GROUP:
        return "check --group; `anonset sync --all` fetches every group there is";
    case ANONSET_REMOTE_BEHIND:
        return "try again later or another server; the stored set stays usable until then";
    case ANONSET_REORG_DETECTED:
        return "the stored set is kept, as --on-reorg keep asks. If a second server says the same, "
               "sync with --on-reorg follow";
    case ANONSET_ANOMALY:
    case ANONSET_GATE_REFUSED:
        return "sync from another server; do not trust this one until it is explained";
    case ANONSET_BAD_SECTOR:
        return "run the same command again; if it happens again, use another server";
    case ANONSET_NETWORK_ERROR:
    case ANONSET_SYNC_CANCELLED:
        return "run the same command again: it goes on where it stopped";
    case ANONSET_OTHER_NETWORK:
        return "use a server of the store's chain, or another --db for this chain";
    case ANONSET_STORE_BUSY:
        return store_cure(ANONSET_BUSY);
    default:
        return store_cure(result->error.code);
    }
}

static void tell_kept(FILE *out, const anonset_state *state)
{
    char have[TEXT_COUNT], all[TEXT_COUNT];

    if (state->has_finalized && state->has_hole)
        fprintf(out, "  kept: what a repair left of the set of %s coins",
                text_count(have, state->finalized.size));
    else if (state->has_finalized)
        fprintf(out, "  kept: the set of %s coins, as it was",
                text_count(have, state->finalized.size));
    else
        fputs("  kept: no whole set is stored yet", out);
    if (state->has_pending)
        fprintf(out, "; of the next one, %s of %s coins",
                text_count(have, state->base + state->count), text_count(all, state->target.size));
    fputc('\n', out);
}

/* With code OK the text says the same as the headline, and so it does of a cancel. */
static bool says_more(const anonset_result *result)
{
    const anonset_detail *error = &result->error;

    if (!error->text[0] || error->code == ANONSET_CANCELLED)
        return false;
    return error->code != ANONSET_OK || result->outcome == ANONSET_REMOTE_BEHIND;
}

void tell_result(FILE *out, const anonset_result *result)
{
    const char *what = happened(result->outcome);

    if (!what)
        return;
    fputs("anonset: ", out);
    if (result->group)
        fprintf(out, "group %u: ", result->group);
    fprintf(out, "%s\n", what);
    if (says_more(result))
        fprintf(out, "  cause: %s\n", result->error.text);
    /* After a failure of the store its state is not known: say nothing of what was not read. */
    if (result->group && result->outcome != ANONSET_STORE_ERROR)
        tell_kept(out, &result->state);
    fprintf(out, "  next: %s\n", result_cure(result));
}

void tell_used_result(FILE *out, const anonset_used_result *result)
{
    anonset_result shared = {.outcome = result->outcome, .error = result->error};
    char have[TEXT_COUNT];

    if (!happened(result->outcome))
        return;
    fprintf(out, "anonset: used coin tags: %s\n",
            result->error.text[0] ? result->error.text : happened(result->outcome));
    if (result->outcome != ANONSET_STORE_ERROR)
        fprintf(out, "  kept: %s used tags\n", text_count(have, result->state.count));
    fprintf(out, "  next: %s\n",
            result->outcome == ANONSET_REORG_DETECTED
                ? "ask a second server. If it says the same, sync with --on-reorg follow, or "
                  "remove the list (anonset clear --tags) and sync it again"
                : result_cure(&shared));
}

void tell_store(FILE *out, const char *doing, const struct args *args, const anonset_detail *detail)
{
    const char *cause = detail->text[0] ? detail->text : anonset_strerror(detail->code);

    fprintf(out, "anonset: cannot %s %s\n  cause: %s\n  next: %s\n", doing, args->db, cause,
            store_cure(detail->code));
}
