#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/lock.h"

#include "backends/wait.h"
#include "core/alloc.h"
#include "core/detail.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_SUFFIX   "-lock"
#define POLL_FIRST_NS 200000L   /* 0.2 ms: a commit of a small sector takes about as long */
#define POLL_MOST_NS  20000000L /* 20 ms: what a waiter may lose, against what polling costs */

/* flock belongs to the open file, so threads sharing one as_lock would all pass it: `held` excludes
 * them first. Two as_locks, in one process or in two, have an open file each. */
struct as_lock {
    char *path;
    int fd;
    bool held;
    pthread_mutex_t mutex; /* guards held, and fd while not held */
    pthread_cond_t freed;
};

static int lock_file_open(const char *path)
{
    int fd;
    do
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static anonset_code lock_file_fail(anonset_detail *detail, const char *path, int os_error)
{
    switch (as_errno_code(os_error)) {
    case ANONSET_PERMISSION:
        return as_fail(detail, ANONSET_PERMISSION, os_error,
                       "%s: no permission to open the lock file: give the user write access to it "
                       "and its folder, or open the store read-only",
                       path);
    case ANONSET_FULL:
        return as_fail(detail, ANONSET_FULL, os_error, "%s: " AS_FULL_TEXT, path);
    case ANONSET_NOT_FOUND:
        return as_fail(detail, ANONSET_NOT_FOUND, os_error,
                       "%s: its folder does not exist: create it", path);
    default:
        return as_fail(detail, ANONSET_IO, os_error, "%s: cannot use the lock file: %s", path,
                       strerror(os_error));
    }
}

anonset_code as_lock_open(as_lock **lock, const char *path, anonset_detail *detail)
{
    size_t len = strlen(path);
    as_lock *made = as_alloc_zeroed(sizeof *made);
    if (made == NULL)
        return as_fail(detail, ANONSET_NO_MEMORY, ENOMEM, "out of memory opening %s", path);
    anonset_code code = ANONSET_NO_MEMORY;
    made->path = as_alloc(len + sizeof LOCK_SUFFIX);
    if (made->path == NULL || pthread_mutex_init(&made->mutex, NULL) != 0) {
        as_fail(detail, code, ENOMEM, "out of memory opening %s", path);
        goto free_made;
    }
    if (as_wait_init(&made->freed) != 0) {
        as_fail(detail, code, ENOMEM, "out of memory opening %s", path);
        goto destroy_mutex;
    }
    memcpy(made->path, path, len);
    memcpy(made->path + len, LOCK_SUFFIX, sizeof LOCK_SUFFIX);
    made->fd = lock_file_open(made->path);
    if (made->fd < 0) {
        code = lock_file_fail(detail, made->path, errno);
        goto destroy_freed;
    }
    *lock = made;
    return ANONSET_OK;

destroy_freed:
    pthread_cond_destroy(&made->freed);
destroy_mutex:
    pthread_mutex_destroy(&made->mutex);
free_made:
    as_free(made->path);
    as_free(made);
    return code;
}

void as_lock_close(as_lock *lock)
{
    if (lock == NULL)
        return;
    close(lock->fd);
    pthread_cond_destroy(&lock->freed);
    pthread_mutex_destroy(&lock->mutex);
    as_free(lock->path);
    as_free(lock);
}

static bool is_past(const struct timespec *deadline)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > deadline->tv_sec ||
           (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec);
}

static bool take_among_threads(as_lock *lock, const struct timespec *deadline)
{
    int rc = 0;
    pthread_mutex_lock(&lock->mutex);
    while (lock->held && rc == 0)
        rc = pthread_cond_timedwait(&lock->freed, &lock->mutex, deadline);
    bool taken = !lock->held;
    if (taken)
        lock->held = true;
    pthread_mutex_unlock(&lock->mutex);
    return taken;
}

static void release_among_threads(as_lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
    lock->held = false;
    pthread_cond_signal(&lock->freed);
    pthread_mutex_unlock(&lock->mutex);
}

/* flock has no timeout, so it is polled, with growing waits. Returns 0 or an errno. */
static int take_among_files(int fd, const struct timespec *deadline)
{
    for (long wait = POLL_FIRST_NS;; wait = wait * 2 < POLL_MOST_NS ? wait * 2 : POLL_MOST_NS) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return errno;
        if (is_past(deadline))
            return EWOULDBLOCK;
        struct timespec pause = {0, wait};
        nanosleep(&pause, NULL);
    }
}

/* Somebody may have removed the lock file, or moved the store: a lock on a file without its name
 * excludes nobody who comes later. Returns 0 or an errno. */
static int still_named(const as_lock *lock, bool *is)
{
    struct stat named, opened;
    *is = false;
    if (fstat(lock->fd, &opened) != 0)
        return errno;
    if (stat(lock->path, &named) != 0)
        return errno == ENOENT ? 0 : errno;
    *is = named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
    return 0;
}

static int reopen(as_lock *lock)
{
    int fd = lock_file_open(lock->path);
    if (fd < 0)
        return errno;
    close(lock->fd);
    lock->fd = fd;
    return 0;
}

anonset_code as_lock_take(as_lock *lock, unsigned ms, anonset_detail *detail)
{
    struct timespec deadline = as_wait_until(ms);
    int error = EWOULDBLOCK;
    if (!take_among_threads(lock, &deadline))
        goto busy;
    for (;;) {
        bool is_named = false;
        error = take_among_files(lock->fd, &deadline);
        if (error == 0)
            error = still_named(lock, &is_named);
        if (error != 0 || is_named)
            break;
        error = reopen(lock);
        if (error != 0)
            break;
    }
    if (error == 0)
        return ANONSET_OK;
    flock(lock->fd, LOCK_UN); /* it may be held, and what failed came after */
    release_among_threads(lock);
    if (error != EWOULDBLOCK)
        return lock_file_fail(detail, lock->path, error);
busy:
    return as_fail(detail, ANONSET_BUSY, error,
                   "%s: another writer held the store for more than %u ms: try again later, or "
                   "look for a program that hangs",
                   lock->path, ms);
}

void as_lock_release(as_lock *lock)
{
    flock(lock->fd, LOCK_UN);
    release_among_threads(lock);
}
