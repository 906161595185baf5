/* Growable text, base64 and hex. The test server ends with a message when memory is short. */
#ifndef SERVER_TEXT_H
#define SERVER_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct text {
    char *data; /* not NUL-ended */
    size_t len;
    size_t cap;
} text;

/* Prints the message and ends the program. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

void *grow_array(void *array, size_t *cap, size_t need, size_t element);
#define GROW(array, cap, need) ((array) = grow_array((array), (cap), (need), sizeof *(array)))

/* Makes room for `more` bytes and returns where they go; the caller adds to len. */
char *text_room(text *t, size_t more);
void text_add(text *t, const void *bytes, size_t len);
void text_put(text *t, const char *string);
void text_format(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_fill(text *t, char c, size_t count);
void text_base64(text *t, const uint8_t *bytes, size_t len);
/* Takes `len` bytes away at the front. */
void text_drop(text *t, size_t len);
void text_free(text *t);

/* Decodes base64 as firod does; false if it is none or does not fit. */
bool base64_decode(uint8_t *out, size_t cap, size_t *len, const char *in, size_t in_len);
/* `out` takes 2 * len characters and a NUL. */
void hex_encode(char *out, const uint8_t *bytes, size_t len);

#endif
