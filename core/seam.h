/* Where a group's own coins begin, behind those of the group before. */
#ifndef AS_SEAM_H
#define AS_SEAM_H

#include <anonset/anonset.h>

typedef struct as_seam {
    uint32_t size;    /* coins that are the group before's newest; 0: not known */
    uint32_t old_at;  /* position of the first of them there */
    anonset_meta old; /* of the group before, as finalized */
    bool proven;      /* its set hash is */
    bool final;       /* the server says that it is the group's last */
    bool checked;     /* both ends equal the server's */
} as_seam;

#endif
