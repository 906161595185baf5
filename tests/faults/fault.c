/* The faults (point.h). */
#include "tests/faults/point.h"
#include "tests/support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PAGE   4096u
#define POINTS 64u /* pages: more than the courses' stores ever need */

/* ---- Memory -------------------------------------------------------------------------------- */

static void arm_memory(nomem_plan *plan, const char *folder)
{
    (void)folder;
    nomem_arm(plan);
}

static void disarm_memory(const char *folder)
{
    (void)folder;
    nomem_disarm();
}

const tf_fault tf_no_memory = {
    .name = "no memory", .code = ANONSET_NO_MEMORY, .arm = arm_memory, .disarm = disarm_memory};

/* ---- Disk ---------------------------------------------------------------------------------- */

/* A file that takes what is free, but for some pages. */
static void arm_disk(nomem_plan *plan, const char *folder)
{
    char name[600];
    struct statvfs disk;
    if (plan->at == 0)
        return;
    (void)snprintf(name, sizeof name, "%s/filler", folder);
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || fstatvfs(fd, &disk) != 0)
        ts_die("the disk cannot be filled: %s", strerror(errno));
    uint64_t has = (uint64_t)disk.f_bavail * disk.f_frsize, leave = (plan->at - 1) * PAGE;
    int error = has > leave ? posix_fallocate(fd, 0, (off_t)(has - leave)) : 0;
    (void)close(fd);
    if (error != 0)
        ts_die("the disk cannot be filled: %s", strerror(error));
    plan->struck = true;
}

static void disarm_disk(const char *folder)
{
    char name[600];
    (void)snprintf(name, sizeof name, "%s/filler", folder);
    if (unlink(name) != 0 && errno != ENOENT)
        ts_die("the disk cannot be freed: %s", strerror(errno));
}

const tf_fault tf_full_disk = {.name = "full disk",
                               .code = ANONSET_FULL,
                               .says = "free some space",
                               .arm = arm_disk,
                               .disarm = disarm_disk,
                               .points = POINTS,
                               .of_files = true};

/* ---- Length of files ----------------------------------------------------------------------- */

static void limit(rlim_t bytes)
{
    struct rlimit now;
    if (getrlimit(RLIMIT_FSIZE, &now) != 0)
        ts_die("no limit of files: %s", strerror(errno));
    now.rlim_cur = bytes < now.rlim_max ? bytes : now.rlim_max;
    if (setrlimit(RLIMIT_FSIZE, &now) != 0)
        ts_die("no limit of files: %s", strerror(errno));
}

/* Whoever does not ignore SIGXFSZ dies of it, as of SIGKILL. */
static void arm_length(nomem_plan *plan, const char *folder)
{
    (void)folder;
    if (plan->at == 0)
        return;
    (void)signal(SIGXFSZ, SIG_IGN);
    limit(plan->at * PAGE);
    plan->struck = true;
}

static void disarm_length(const char *folder)
{
    (void)folder;
    limit(RLIM_INFINITY);
}

const tf_fault tf_long_file = {.name = "limit of file sizes",
                               .code = ANONSET_FULL,
                               .says = "free some space",
                               .arm = arm_length,
                               .disarm = disarm_length,
                               .points = POINTS,
                               .of_files = true};
