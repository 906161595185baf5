/* A backend whose calls fail when calls.h says so. */
#ifndef FAILING_H
#define FAILING_H

#include <anonset/backend.h>

/* `backend` with every call that can fail made to; one at a time. */
anonset_backend failing_backend(const anonset_backend *backend);
/* What a failing call returns from now on. */
void failing_with(anonset_code code);

#endif
