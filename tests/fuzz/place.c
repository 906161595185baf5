#include "config.h" /* first: it asks for nftw */

#include "tests/fuzz/place.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[128];

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_folder(void)
{
    (void)nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

bool place_make(const char *name, void (*report)(void))
{
    const char *below = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(folder, sizeof folder, "%s/anonset-%s-XXXXXX", below, name);
    if (!mkdtemp(folder)) {
        perror(folder);
        return false;
    }
    return atexit(remove_folder) == 0 && atexit(report) == 0;
}

void place_path(char *path, size_t cap, const char *file)
{
    (void)snprintf(path, cap, "%s/%s", folder, file);
}
