/*
 * Writes JSON to a stream: commas and escapes are its job, shape is the caller's. Inside an object
 * each value has a key; inside an array, and at the top, the key is NULL. Errors stay in the
 * stream, see ferror.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <anonset/anonset.h>
#include <stdio.h>

typedef struct json {
    FILE *out;
    bool comma; /* the next value needs one before it */
} json;

void json_begin(json *j, const char *key, char bracket); /* '{' or '[' */
void json_end(json *j, char bracket);                    /* '}' or ']' */
void json_null(json *j, const char *key);
void json_bool(json *j, const char *key, bool value);
void json_number(json *j, const char *key, uint64_t value);
void json_seconds(json *j, const char *key, double value); /* to the millisecond */
/* UTF-8; bytes that are not become U+FFFD. NULL becomes null. */
void json_string(json *j, const char *key, const char *value);
void json_base64(json *j, const char *key, const uint8_t *hash); /* NULL becomes null */
void json_hex(json *j, const char *key, const uint8_t *hash);    /* NULL becomes null */
/* Five fields, "block_hash", "set_hash", "size", "digest", "gate", of a finalized set; all null if
 * there is none. */
void json_finalized(json *j, const anonset_state *state);

#endif
