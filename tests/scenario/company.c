#include "tests/scenario/company.h"

#include <criterion/criterion.h>
#include <sys/wait.h>
#include <unistd.h>

/* Opens the store, commits a new target for a group of its own, and closes it. It does not wait for
 * a lock: 1 ms is the least there is. */
static anonset_code write_once(const anonset_backend *backend, const char *path, uint32_t number)
{
    const anonset_backend_options options = {.busy_ms = 1};
    anonset_append append = {.group = COMPANY_GROUP, .target = {.size = number}};
    void *handle;
    anonset_code code = backend->open(&handle, path, &options, NULL);
    if (code != ANONSET_OK)
        return code;
    append.target.block_hash[0] = 1;
    code = backend->append_sector(handle, &append, NULL);
    backend->close(handle);
    return code;
}

static _Noreturn void serve(const anonset_backend *backend, const char *path, int ask, int tell)
{
    uint8_t byte;
    for (uint32_t number = 1; read(ask, &byte, 1) == 1; number++) {
        byte = (uint8_t)write_once(backend, path, number);
        if (write(tell, &byte, 1) != 1)
            break;
    }
    _exit(0);
}

void company_start(company *c, const anonset_backend *backend, const char *path)
{
    int ask[2], told[2];
    cr_assert(pipe(ask) == 0 && pipe(told) == 0);
    *c = (company){.pid = fork(), .ask = ask[1], .told = told[0]};
    cr_assert_geq(c->pid, 0);
    if (c->pid == 0) {
        close(ask[1]);
        close(told[0]);
        serve(backend, path, ask[0], told[1]);
    }
    close(ask[0]);
    close(told[1]);
}

void company_write(company *c)
{
    uint8_t told = 0xff;
    cr_assert(write(c->ask, "w", 1) == 1 && read(c->told, &told, 1) == 1);
    cr_assert_eq(told, ANONSET_OK, "the other process: %s", anonset_strerror(told));
    c->writes++;
}

void company_end(const company *c)
{
    close(c->ask);
    close(c->told);
    cr_assert_eq(waitpid(c->pid, NULL, 0), c->pid);
}

void company_expect_written(const company *c, anonset_store *store)
{
    anonset_state state;
    cr_assert_eq(anonset_store_state(store, &state, COMPANY_GROUP, NULL), ANONSET_OK);
    cr_expect(state.has_pending && state.target.size == c->writes);
}
