/* Values as text, and text as values. Pure. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <anonset/anonset.h>
#include <stdio.h>

#define TEXT_BASE64_HASH 45 /* 32 bytes in base64, NUL included */
#define TEXT_BASE64_TAG  49 /* ANONSET_TAG_BYTES, likewise */
#define TEXT_HEX_HASH    65
#define TEXT_COUNT       32 /* any of text_count, text_bytes, text_seconds */

/* A decimal number in [min, max]: digits and nothing else, no sign, no space. */
bool text_number(uint32_t *out, const char *text, uint32_t min, uint32_t max);

/* A hash as the server writes it: canonical base64 of exactly 32 bytes. */
bool text_read_hash(uint8_t out[ANONSET_HASH_BYTES], const char *text);

/* A tag of a used coin, likewise. */
bool text_read_tag(uint8_t out[ANONSET_TAG_BYTES], const char *text);

void text_base64_hash(char out[TEXT_BASE64_HASH], const uint8_t *hash);
void text_hex_hash(char out[TEXT_HEX_HASH], const uint8_t *hash);

/* As nodes and explorers print it: hexadecimal, the last byte first. */
void text_txid(char out[TEXT_HEX_HASH], const uint8_t *tx_hash);

/* Writes `bytes` to `out` as base64. Errors stay in the stream, see ferror. */
void text_write_base64(FILE *out, const uint8_t *bytes, size_t len);

/* 1234567 as "1,234,567". */
const char *text_count(char out[TEXT_COUNT], uint64_t n);

/* 1234567 as "1.2 MB". */
const char *text_bytes(char out[TEXT_COUNT], uint64_t n);

/* Reads GROUP:SIZE:DIGEST, the digest in hexadecimal. */
bool text_read_checkpoint(anonset_trusted *out, const char *text);

/* 3723 seconds as "1:02:03"; below an hour "2:03". */
const char *text_seconds(char out[TEXT_COUNT], uint64_t seconds);

/* "none", "count", "set-hash". */
const char *text_gate(anonset_gate gate);

/* "found", "consistent", "budget", "no_heights", "no_start"; NULL where nothing was looked for. */
const char *text_proof(anonset_proof proof);

#endif
