/*
 * Another process that writes to the store whenever it is asked to, and waits for no lock: what
 * holds one is found out.
 */
#ifndef TS_COMPANY_H
#define TS_COMPANY_H

#include <anonset/backend.h>
#include <sys/types.h>

#define COMPANY_GROUP 7u /* what it writes to */

typedef struct company {
    pid_t pid;
    int ask, told;   /* pipes: a byte asks for a write, a byte tells its code */
    uint32_t writes; /* so far */
} company;

/* To be called before this process opens a store: no handle is carried along. */
void company_start(company *c, const anonset_backend *backend, const char *path);
/* It writes now; the test ends if it could not. */
void company_write(company *c);
void company_end(const company *c);
/* Its last write is in the store. */
void company_expect_written(const company *c, anonset_store *store);

#endif
