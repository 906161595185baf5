/* The writer lock: among threads, handles and processes; and the names it lies under. */
#include "config.h"

#include "backends/lock.h"
#include "backends/path.h"
#include "core/alloc.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char dir[] = "/tmp/anonset-lock-XXXXXX";
static char path[64], lock_path[80];

static void make_dir(void)
{
    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/store", dir);
    snprintf(lock_path, sizeof lock_path, "%s-lock", path);
}

static void remove_dir(void)
{
    unlink(lock_path);
    cr_assert_eq(rmdir(dir), 0);
}

TestSuite(lock, .init = make_dir, .fini = remove_dir);

static as_lock *open_lock(void)
{
    as_lock *lock = NULL;
    cr_assert_eq(as_lock_open(&lock, path, NULL), ANONSET_OK);
    return lock;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

Test(lock, two_handles_of_one_process_exclude_each_other)
{
    as_lock *one = open_lock(), *two = open_lock();
    anonset_detail detail;
    cr_assert_eq(as_lock_take(one, 0, NULL), ANONSET_OK);
    cr_assert_eq(as_lock_take(two, 0, &detail), ANONSET_BUSY);
    cr_assert(strstr(detail.text, lock_path), "%s", detail.text);
    as_lock_release(one);
    cr_assert_eq(as_lock_take(two, 0, NULL), ANONSET_OK);
    cr_assert_eq(as_lock_take(one, 0, NULL), ANONSET_BUSY);
    as_lock_release(two);
    as_lock_close(one);
    as_lock_close(two);
}

Test(lock, the_timeout_is_waited_for)
{
    as_lock *one = open_lock(), *two = open_lock();
    cr_assert_eq(as_lock_take(one, 0, NULL), ANONSET_OK);
    double began = now();
    cr_assert_eq(as_lock_take(two, 150, NULL), ANONSET_BUSY);
    cr_assert_geq(now() - began, 0.150);
    began = now();
    cr_assert_eq(as_lock_take(one, 150, NULL), ANONSET_BUSY); /* not even its own, a second time */
    cr_assert_geq(now() - began, 0.150);
    as_lock_release(one);
    as_lock_close(one);
    as_lock_close(two);
}

static void *take_long(void *lock)
{
    return as_lock_take(lock, 20000, NULL) == ANONSET_OK ? lock : NULL;
}

static void release_lets_waiter_in(as_lock *holder, as_lock *waiter)
{
    pthread_t thread;
    void *taken;
    cr_assert_eq(as_lock_take(holder, 0, NULL), ANONSET_OK);
    cr_assert_eq(pthread_create(&thread, NULL, take_long, waiter), 0);
    as_lock_release(holder);
    cr_assert_eq(pthread_join(thread, &taken), 0);
    cr_assert_eq(taken, (void *)waiter);
    as_lock_release(waiter);
}

Test(lock, a_waiter_gets_it_when_it_is_released)
{
    as_lock *one = open_lock(), *two = open_lock();
    release_lets_waiter_in(one, two);
    release_lets_waiter_in(one, one);
    as_lock_close(one);
    as_lock_close(two);
}

#define ROUNDS 2000
static unsigned shared;

static void *add_up(void *lock)
{
    for (int i = 0; i < ROUNDS; i++) {
        if (as_lock_take(lock, 20000, NULL) != ANONSET_OK)
            return NULL;
        shared++; /* torn without the lock */
        as_lock_release(lock);
    }
    return lock;
}

Test(lock, threads_on_one_handle_take_turns)
{
    as_lock *lock = open_lock();
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, add_up, lock), 0);
    for (size_t i = 0; i < 4; i++) {
        void *done;
        cr_assert_eq(pthread_join(threads[i], &done), 0);
        cr_assert_eq(done, (void *)lock);
    }
    cr_assert_eq(shared, 4u * ROUNDS);
    as_lock_close(lock);
}

Test(lock, a_killed_process_lets_go)
{
    int ready[2];
    char byte;
    cr_assert_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        as_lock *mine;
        if (as_lock_open(&mine, path, NULL) == ANONSET_OK &&
            as_lock_take(mine, 0, NULL) == ANONSET_OK && write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    as_lock *lock = open_lock();
    cr_assert_eq(as_lock_take(lock, 0, NULL), ANONSET_BUSY);
    cr_assert_eq(kill(child, SIGKILL), 0);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    cr_assert_eq(as_lock_take(lock, 0, NULL), ANONSET_OK);
    as_lock_release(lock);
    as_lock_close(lock);
}

Test(lock, a_removed_lock_file_is_made_anew)
{
    as_lock *old = open_lock();
    cr_assert_eq(unlink(lock_path), 0);
    as_lock *new = open_lock();
    cr_assert_eq(as_lock_take(new, 0, NULL), ANONSET_OK);
    cr_assert_eq(as_lock_take(old, 0, NULL), ANONSET_BUSY); /* not on the file without a name */
    as_lock_release(new);
    cr_assert_eq(unlink(lock_path), 0);
    cr_assert_eq(as_lock_take(old, 0, NULL), ANONSET_OK);
    cr_assert_eq(access(lock_path, F_OK), 0);
    cr_assert_eq(as_lock_take(new, 0, NULL), ANONSET_BUSY);
    as_lock_release(old);
    as_lock_close(old);
    as_lock_close(new);
}

Test(lock, a_missing_folder_is_told)
{
    as_lock *lock = (as_lock *)(void *)path;
    anonset_detail detail;
    cr_assert_eq(as_lock_open(&lock, "/tmp/anonset-no-such-folder/store", &detail),
                 ANONSET_NOT_FOUND);
    cr_assert(strstr(detail.text, "create it"), "%s", detail.text);
    cr_assert_eq((void *)lock, (void *)path);
}

static void resolves_to(const char *spelling, const char *expected)
{
    char *full = NULL;
    cr_assert_eq(as_path_resolve(&full, spelling, NULL), ANONSET_OK);
    cr_assert_str_eq(full, expected);
    as_free(full);
}

Test(lock, every_spelling_of_a_path_is_one)
{
    char link[80], spelling[100], back[4096];
    cr_assert(getcwd(back, sizeof back));
    snprintf(link, sizeof link, "%s/link", dir);
    snprintf(spelling, sizeof spelling, "%s/../%s/store", dir, strrchr(dir, '/') + 1);
    resolves_to(path, path); /* not there yet */
    resolves_to(spelling, path);
    cr_assert_eq(chdir(dir), 0);
    resolves_to("store", path);
    cr_assert_eq(chdir(back), 0);
    as_lock_close(open_lock());
    cr_assert_eq(symlink(lock_path, link), 0);
    resolves_to(link, lock_path);
    cr_assert_eq(unlink(link), 0);
    char *full = back;
    cr_assert_eq(as_path_resolve(&full, "/tmp/anonset-no-such-folder/store", NULL),
                 ANONSET_NOT_FOUND);
    cr_assert_eq(full, back);
}
