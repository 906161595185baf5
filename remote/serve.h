/*
 * The other end of a sync: answers an ElectrumX client's requests for sets, and for the list of
 * used coin tags, from the finalized sets and the list of a store. Lines in, text out; no socket,
 * no clock, and of anonset only the public functions.
 *
 * A session belongs to one client. Its memory is bounded, whatever the client sends and however
 * slowly it reads: an answer is written piece by piece, and no snapshot is held between two pieces.
 * The coins below a checkpoint never change while it is there, so that the pieces belong together;
 * where it has gone meanwhile, or the list of used tags has changed, the answer cannot be finished
 * and the session ends.
 */
#ifndef AS_SERVE_H
#define AS_SERVE_H

#include <anonset/anonset.h>

#define AS_SERVE_LINE                                                                              \
    4096u /* longest request taken; anonset's own are below ANONSET_REQUEST_TEXT */
#define AS_SERVE_PIECE 65536u /* an answer is written in pieces of about this */

typedef struct as_session as_session;

/* `least`: sets below this gate level are as if they were not there; the list of used tags, which
 * has none, is told whatever it is. NULL: no memory. */
as_session *as_session_new(anonset_store *store, anonset_gate least);
void as_session_free(as_session *session);

/* Takes a request, `len` characters without the line end, when nothing is left to send; `line` is
 * overwritten. */
void as_session_take(as_session *session, char *line, size_t len);

/* A line that was longer than AS_SERVE_LINE: answered by an error, and the end. */
void as_session_refuse_line(as_session *session);

/*
 * What to send next: sets *text to *len characters, which live until the next call, 0 if nothing is
 * left. On any other code than OK the answer cannot be finished: close the connection. NOT_FOUND:
 * its block was reorganized away, or a sync changed the list of used tags. Else the store failed,
 * and the detail tells how.
 */
anonset_code as_session_output(as_session *session, const char **text, size_t *len,
                               anonset_detail *detail);

/* The first `n` characters of it were sent. */
void as_session_sent(as_session *session, size_t n);

/* The last thing told is an error after which the connection is to be closed, once it is sent. */
bool as_session_is_last(const as_session *session);

/* The client has said server.version. */
bool as_session_is_open(const as_session *session);

/* Whether the store failed while a request was taken: an operator should know. Writes how to
 * `detail` and forgets it. */
bool as_session_trouble(as_session *session, anonset_detail *detail);

#endif
