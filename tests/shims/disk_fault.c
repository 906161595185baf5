#include "tests/shims/disk_inside.h"

#include <errno.h>
#include <string.h>

const char *const disk_call_name[DISK_CALLS] = {
    [DISK_ON_OPEN] = "open",
    [DISK_ON_MAKE] = "create",
    [DISK_ON_LOOK] = "stat",
    [DISK_ON_READ] = "read",
    [DISK_ON_LOCK] = "lock",
    [DISK_ON_MAP] = "map",
    [DISK_ON_WRITE] = "write",
    [DISK_ON_CUT] = "cut",
    [DISK_ON_ROOM] = "allocate",
    [DISK_ON_SYNC] = "sync",
    [DISK_ON_UNLINK] = "unlink",
    [DISK_ON_RENAME] = "rename",
    [DISK_ON_SYNC_FOLDER] = "sync folder",
};

static const disk_fault *planned;
static size_t n_planned;
static bool armed; /* there is a plan */
static unsigned pauses;
static unsigned counts[DISK_CALLS + 1];
static unsigned failed;
static int last_error;

void disk_fail(const disk_fault *faults, size_t n)
{
    planned = faults;
    n_planned = n;
    memset(counts, 0, sizeof counts);
    failed = 0;
    last_error = 0;
    armed = true;
}

void disk_heal(void)
{
    last_error = 0;
    n_planned = 0;
}

void disk_pause(bool pause)
{
    pauses += pause ? 1u : -1u;
}

unsigned disk_count(unsigned call)
{
    return counts[call];
}

unsigned disk_failed(void)
{
    return failed;
}

int disk_error(void)
{
    return last_error;
}

static bool needs_room(disk_call call)
{
    return call == DISK_ON_MAKE || call == DISK_ON_WRITE || call == DISK_ON_ROOM;
}

/* Whether a disk on which `fault` has come to stay refuses this call, too: a full one what needs
 * room, one that cannot be written all changes, one that cannot be read all else. */
static bool spreads(const disk_fault *fault, disk_call call)
{
    if (fault->error == ENOSPC || fault->error == EDQUOT)
        return fault->call == call || needs_room(call);
    if (fault->call == DISK_ON_LOCK || fault->call == DISK_ON_MAP || fault->error == DISK_SHORT)
        return fault->call == call;
    return (fault->call >= DISK_ON_WRITE) == (call >= DISK_ON_WRITE) && call != DISK_ON_LOCK &&
           call != DISK_ON_MAP;
}

static bool hits(const disk_fault *fault, disk_call call)
{
    bool counted = fault->call == call || (fault->call == DISK_ANY_CHANGE && call >= DISK_ON_WRITE);
    if (counted && counts[fault->call] == fault->at)
        return true;
    return fault->for_good && counts[fault->call] >= fault->at && spreads(fault, call);
}

bool disk_fails(disk_call call, bool *cut_short)
{
    if (cut_short)
        *cut_short = false;
    if (!armed || pauses > 0)
        return false;
    counts[call]++;
    if (call >= DISK_ON_WRITE)
        counts[DISK_ANY_CHANGE]++;
    for (size_t i = 0; i < n_planned; i++) {
        if (!hits(&planned[i], call))
            continue;
        failed++;
        last_error = planned[i].error;
        if (planned[i].error == DISK_SHORT && cut_short) {
            *cut_short = true;
            return false;
        }
        errno = planned[i].error == DISK_SHORT ? ENOSPC : planned[i].error;
        return true;
    }
    return false;
}
