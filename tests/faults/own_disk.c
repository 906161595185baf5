#include "tests/faults/own_disk.h"

#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

static bool write_to(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    bool good = file && fputs(text, file) >= 0;
    return file && fclose(file) == 0 && good;
}

/* Whoever is not root becomes so in a name space of users of his own. */
static bool may_mount(void)
{
    char map[64];
    unsigned user = geteuid();
    if (user == 0)
        return unshare(CLONE_NEWNS) == 0;
    (void)snprintf(map, sizeof map, "0 %u 1", user);
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_to("/proc/self/uid_map", map);
}

static bool mount_disk(const char *folder, const char *size, unsigned long flags)
{
    char options[40];
    (void)snprintf(options, sizeof options, "size=%s", size);
    return mount("tmpfs", folder, "tmpfs", flags, options) == 0;
}

bool tf_own_disk(const char *folder, const char *size)
{
    return may_mount() && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount_disk(folder, size, 0);
}

bool tf_more_disk(const char *folder, const char *size)
{
    return mount_disk(folder, size, MS_REMOUNT);
}
