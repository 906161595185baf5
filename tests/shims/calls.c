#include "config.h"

#include "tests/shims/calls.h"

#include <execinfo.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#ifdef ANONSET_SANITIZED
#define ONE_WAY_IN 10u
#else
#define ONE_WAY_IN 4u
#endif

#define FRAMES_MOST 32
#define SLOTS       65536u /* a power of two, and more than twice the ways of any test */

static uint64_t met[SLOTS]; /* a hash table of ways; 0: free */
static unsigned ways_met, ways_failed, one_in = 1;
static bool armed, lasting, struck;
static const char *name_struck = "";

void calls_forget(void)
{
    memset(met, 0, sizeof met);
    ways_met = ways_failed = 0;
}

void calls_sample(void)
{
    const char *text = getenv("ANONSET_ONE_WAY_IN");
    unsigned long n = text ? strtoul(text, NULL, 10) : ONE_WAY_IN;
    one_in = n > 0 ? (unsigned)n : 1;
}

void calls_arm(bool for_good)
{
    armed = true;
    lasting = for_good;
    struck = false;
    name_struck = "";
}

void calls_disarm(void)
{
    armed = false;
}

bool calls_struck(void)
{
    return struck;
}

const char *calls_name(void)
{
    return name_struck;
}

unsigned calls_ways(void)
{
    return ways_failed;
}

unsigned calls_ways_met(void)
{
    return ways_met;
}

/* The way to the caller of the wrap, by the addresses it leads through. Never 0. */
static uint64_t way_here(const char *name)
{
    void *frames[FRAMES_MOST];
    int n = backtrace(frames, FRAMES_MOST);
    uint64_t hash = 0xcbf29ce484222325u ^ (uint64_t)(uintptr_t)name;
    for (int i = 0; i < n; i++)
        hash = (hash ^ (uint64_t)(uintptr_t)frames[i]) * 0x100000001b3u;
    return hash | 1;
}

/* Notes the way; whether it fails: not if it was met before, or is not in the sample. */
static bool is_chosen(uint64_t way)
{
    size_t slot = (size_t)(way >> 32) % SLOTS;
    while (met[slot] != 0 && met[slot] != way)
        slot = (slot + 1) % SLOTS;
    if (met[slot] == way)
        return false;
    if (ways_met + 1 > SLOTS / 2)
        abort();
    met[slot] = way;
    if (ways_met++ % one_in != 0)
        return false;
    ways_failed++;
    return true;
}

bool calls_fail(const char *name)
{
    if (!armed || (struck && !lasting))
        return false;
    if (struck)
        return true;
    struck = is_chosen(way_here(name));
    if (struck)
        name_struck = name;
    return struck;
}
