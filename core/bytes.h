/* Fixed-width integers in stored and hashed bytes: little-endian, any alignment. */
#ifndef AS_BYTES_H
#define AS_BYTES_H

#include <stdint.h>

static inline void as_put32(uint8_t *out, uint32_t v)
{
    out[0] = (uint8_t)v;
    out[1] = (uint8_t)(v >> 8);
    out[2] = (uint8_t)(v >> 16);
    out[3] = (uint8_t)(v >> 24);
}

static inline uint32_t as_get32(const uint8_t *in)
{
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

static inline void as_put64(uint8_t *out, uint64_t v)
{
    as_put32(out, (uint32_t)v);
    as_put32(out + 4, (uint32_t)(v >> 32));
}

static inline uint64_t as_get64(const uint8_t *in)
{
    /* In one expression, which compilers make one load of; of two halves they do not. */
    return (uint64_t)in[0] | (uint64_t)in[1] << 8 | (uint64_t)in[2] << 16 | (uint64_t)in[3] << 24 |
           (uint64_t)in[4] << 32 | (uint64_t)in[5] << 40 | (uint64_t)in[6] << 48 |
           (uint64_t)in[7] << 56;
}

#endif
