#include "config.h" /* before any system header: it sets the width of off_t */

#include "backends/path.h"

#include "core/alloc.h"
#include "core/detail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static anonset_code fail(anonset_detail *detail, const char *path, int error)
{
    anonset_code code = as_errno_code(error);
    if (code == ANONSET_NOT_FOUND)
        return as_fail(detail, code, error, "%s: its folder does not exist: create it", path);
    if (code == ANONSET_PERMISSION)
        return as_fail(detail, code, error, "%s: no access to its folder: give the user access",
                       path);
    return as_fail(detail, code, error, "%s: cannot follow the path: %s", path, strerror(error));
}

/* `len` characters of `first`, with `second` behind them. The caller frees it; NULL: no memory. */
static char *join(const char *first, size_t len, const char *second)
{
    size_t more = strlen(second) + 1;
    char *made = as_alloc(len + more);
    if (!made)
        return NULL;
    memcpy(made, first, len);
    memcpy(made + len, second, more);
    return made;
}

/* The folder's real name and the last part of `path`. Returns 0 or an errno. */
static int resolve_new(char **full, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char real[PATH_MAX]; /* and not a block of realpath's own, which no hook would see */
    char *folder = join(path, (size_t)(name - path), ".");
    if (!folder)
        return ENOMEM;
    int error = realpath(folder, real) ? 0 : errno;
    as_free(folder);
    if (error != 0)
        return error;
    size_t len = strlen(real);
    real[len] = '/';
    *full = join(real, len + 1, name);
    return *full ? 0 : ENOMEM;
}

/* A store made there would take the place of the link, and what the link leads to may just not be
 * mounted. */
static bool is_dangling(const char *path)
{
    struct stat found;
    return lstat(path, &found) == 0 && S_ISLNK(found.st_mode);
}

anonset_code as_path_resolve(char **full, const char *path, anonset_detail *detail)
{
    char real[PATH_MAX];
    int error = realpath(path, real) ? 0 : errno;
    if (error == ENOENT && is_dangling(path))
        return as_fail(detail, ANONSET_NOT_FOUND, error,
                       "%s is a link that leads to no file: make the store where it leads to, or "
                       "remove the link",
                       path);
    if (error == ENOENT) {
        error = resolve_new(full, path);
    } else if (error == 0) {
        *full = as_strdup(real);
        error = *full ? 0 : ENOMEM;
    }
    return error == 0 ? ANONSET_OK : fail(detail, path, error);
}

int as_path_sync(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return error;
}

int as_path_sync_folder(const char *path)
{
    char *folder = as_strdup(path);
    if (folder == NULL)
        return ENOMEM;
    char *slash = strrchr(folder, '/');
    slash[slash == folder ? 1 : 0] = '\0';
    int error = as_path_sync(folder, O_RDONLY | O_DIRECTORY);
    as_free(folder);
    return error;
}

int as_path_keep(const char *path, const char *kept)
{
    if (unlink(kept) != 0 && errno != ENOENT)
        return errno;
    if (link(path, kept) == 0 || errno == EPERM || errno == ENOTSUP || errno == EMLINK ||
        errno == ENOENT)
        return 0;
    return errno;
}

static char *with_ending(const char *path, const char *ending)
{
    return join(path, strlen(path), ending);
}

int as_path_remove(const char *path, const char *ending)
{
    char *name = with_ending(path, ending);
    if (!name)
        return ENOMEM;
    int error = unlink(name) == 0 || errno == ENOENT ? 0 : errno;
    as_free(name);
    return error;
}

/* ---- The mark of an unsure commit --------------------------------------------------------- */

void as_path_set_unsure(const char *path)
{
    char *name = with_ending(path, "-unsure");
    int fd = name ? open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644) : -1;
    if (fd >= 0)
        close(fd);
    as_free(name);
}

bool as_path_is_unsure(const char *path)
{
    char *name = with_ending(path, "-unsure");
    /* Where nobody can tell it is taken to be there. */
    bool is = name == NULL || access(name, F_OK) == 0 || errno != ENOENT;
    as_free(name);
    return is;
}

void as_path_clear_unsure(const char *path)
{
    (void)as_path_remove(path, "-unsure");
}
