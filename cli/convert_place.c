#include "config.h" /* before any system header: it sets the width of off_t */

#include "cli/convert_place.h"

#include "backends/path.h"
#include "core/alloc.h"
#include "core/detail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME "convert" /* as_lock makes "convert-lock" of it */

/* What engines keep beside a store; a store that was deleted may have left some. */
static const char *const beside[] = {"-wal", "-shm", "-journal", "-unsure"};

static char *join(const char *a, const char *b)
{
    size_t len = strlen(a) + strlen(b) + 1;
    char *joined = malloc(len);

    if (joined)
        (void)snprintf(joined, len, "%s%s", a, b);
    return joined;
}

static anonset_code fail(anonset_detail *detail, const char *path, int error)
{
    return as_fail(detail, as_errno_code(error), error, "%s: %s", path, strerror(error));
}

static anonset_code check_free(const char *path, anonset_detail *detail)
{
    struct stat found;

    if (lstat(path, &found) == 0)
        return as_fail(detail, ANONSET_INVALID, EEXIST,
                       "%s is there already; nothing was written: choose a new name", path);
    return errno == ENOENT ? ANONSET_OK : fail(detail, path, errno);
}

/* Removes PATH and an ending. Returns 0 or an errno. */
static int remove_one(const char *path, const char *ending)
{
    char *name = join(path, ending);
    int error = 0;

    if (!name)
        return ENOMEM;
    if (unlink(name) != 0 && errno != ENOENT)
        error = errno;
    free(name);
    return error;
}

/* Removes all files in the folder but the lock. Returns 0 or an errno. */
static int empty_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    int error = folder ? 0 : errno;

    while (folder && error == 0 && (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, LOCK_NAME "-lock") != 0 &&
            unlinkat(dirfd(folder), entry->d_name, 0) != 0)
            error = errno;
    }
    if (folder)
        (void)closedir(folder);
    return error;
}

static anonset_code name_parts(convert_place *place, anonset_detail *detail)
{
    place->folder = join(place->final, "-converting");
    place->store = place->folder ? join(place->folder, "/store") : NULL;
    return place->store ? ANONSET_OK : fail(detail, place->final, ENOMEM);
}

static anonset_code lock_folder(convert_place *place, anonset_detail *detail)
{
    char *lock = join(place->folder, "/" LOCK_NAME);
    anonset_code code =
        lock ? as_lock_open(&place->lock, lock, detail) : fail(detail, place->folder, ENOMEM);

    free(lock);
    if (code == ANONSET_OK && as_lock_take(place->lock, 0, NULL) != ANONSET_OK) {
        as_lock_close(place->lock);
        place->lock = NULL;
        code = as_fail(detail, ANONSET_BUSY, 0, "%s: another conversion to it is running",
                       place->final);
    }
    return code;
}

static void let_go(convert_place *place)
{
    if (place->lock)
        as_lock_release(place->lock);
    as_lock_close(place->lock);
    free(place->store);
    free(place->folder);
    as_free(place->final);
    *place = (convert_place){.final = NULL};
}

anonset_code convert_place_make(convert_place *place, const char *path, anonset_detail *detail)
{
    int error;
    anonset_code code = check_free(path, detail);

    *place = (convert_place){.final = NULL};
    if (code == ANONSET_OK)
        code = as_path_resolve(&place->final, path, detail);
    if (code == ANONSET_OK)
        code = name_parts(place, detail);
    if (code == ANONSET_OK && mkdir(place->folder, 0777) != 0 && errno != EEXIST)
        code = fail(detail, place->folder, errno);
    if (code == ANONSET_OK)
        code = lock_folder(place, detail);
    if (code == ANONSET_OK && (error = empty_folder(place->folder)) != 0)
        code = fail(detail, place->folder, error);
    if (code != ANONSET_OK)
        let_go(place);
    return code;
}

/* Everything must be in the one file: a log that could not be copied would stay behind. */
static anonset_code check_alone(const convert_place *place, anonset_detail *detail)
{
    struct stat found;
    char *name = join(place->store, "-wal");
    bool more = !name || (stat(name, &found) == 0 && found.st_size > 0);

    free(name);
    return more ? as_fail(detail, ANONSET_IO, 0, "%s: could not be completed: try again",
                          place->store)
                : ANONSET_OK;
}

anonset_code convert_place_finish(convert_place *place, anonset_detail *detail)
{
    int error = 0;
    anonset_code code = check_alone(place, detail);

    if (code == ANONSET_OK)
        code = check_free(place->final, detail);
    if (code != ANONSET_OK)
        return code;
    for (size_t i = 0; error == 0 && i < sizeof beside / sizeof *beside; i++)
        error = remove_one(place->final, beside[i]);
    if (error == 0)
        error = as_path_sync(place->store, O_RDONLY);
    if (error == 0 && rename(place->store, place->final) != 0)
        error = errno;
    if (error == 0)
        error = as_path_sync_folder(place->final);
    return error == 0 ? ANONSET_OK : fail(detail, place->final, error);
}

/* What cannot be removed is used again by the next conversion. */
void convert_place_end(convert_place *place)
{
    if (empty_folder(place->folder) == 0 && remove_one(place->folder, "/" LOCK_NAME "-lock") == 0)
        (void)rmdir(place->folder);
    let_go(place);
}
