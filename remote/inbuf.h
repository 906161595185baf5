/*
 * A receive buffer. It grows only as bytes come in, up to a ceiling that the caller sets by what
 * was asked; no number that a server sent decides its size. One message is taken at a time and may
 * be decoded in place; bytes of the next one wait behind it.
 */
#ifndef AS_INBUF_H
#define AS_INBUF_H

#include <anonset/anonset.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct as_inbuf {
    char *bytes;
    size_t len; /* bytes held, the message taken included */
    size_t cap;
    size_t scanned; /* of them, known to hold no line end */
    size_t taken;   /* length of the message taken, its line end included; 0: none */
} as_inbuf;

/* Frees everything; the struct, all-zero, may be used again. */
void as_inbuf_free(as_inbuf *in);

/*
 * Sets *room to where the next bytes go and *len to how many fit, at least 1. The message under way
 * may not get longer than `ceiling` bytes, line end included.
 * BAD_ANSWER: it already is as long. NO_MEMORY.
 */
anonset_code as_inbuf_room(as_inbuf *in, char **room, size_t *len, size_t ceiling);

/* `n` bytes were put where as_inbuf_room told. */
void as_inbuf_added(as_inbuf *in, size_t n);

/* Copies bytes in. As as_inbuf_room; on failure some may have been copied. */
anonset_code as_inbuf_append(as_inbuf *in, const char *bytes, size_t n, size_t ceiling);

/* Takes the next whole line: *line (without its end, which becomes a NUL) lives until
 * as_inbuf_drop. False: there is none yet. Gives memory back when it is much more than is held. */
bool as_inbuf_take_line(as_inbuf *in, char **line, size_t *len);

/* Takes everything held as one message, as as_inbuf_take_line does. */
void as_inbuf_take_all(as_inbuf *in, char **text, size_t *len);

/* Takes what is held up to the next line end, without it, as a piece of a line; *last: it was
 * there. False: nothing is held. */
bool as_inbuf_take_piece(as_inbuf *in, char **piece, size_t *len, bool *last);

/* Forgets the message taken. Its memory is kept for the next one. */
void as_inbuf_drop(as_inbuf *in);

/* Forgets everything held, as as_inbuf_drop does. */
void as_inbuf_clear(as_inbuf *in);

#endif
