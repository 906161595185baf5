#include "tests/support/hostile.h"

#include <string.h>

#define COIN "[\"AQID\",\"ERERERERERERERERERERERERERERERERERERERERERE=\",\"BAU=\"]"

/* `repeat` fills what `head` leaves. */
static const struct {
    const char *head, *repeat;
} patterns[] = {
    {"", "["},
    {"", "{\"a\":"},
    {"", " "},
    {"", "\\"},
    {"{\"id\":7", " "},
    {"{\"id\":7,\"result\":{\"coins\":[", "["},
    {"{\"id\":7,\"result\":{\"coins\":[", "[],"},
    {"{\"id\":7,\"result\":{\"coins\":[", "{},"},
    {"{\"id\":7,\"result\":{\"coins\":[", COIN ","},
    {"{\"id\":7,\"result\":{\"coins\":[", "1,"},
    {"{\"id\":7,\"result\":{\"coins\":[", "\"\\\\\","},
    {"{\"id\":7,\"result\":{\"coins\":[\"", "\\u0041"},
    {"{\"id\":7,\"result\":{\"coins\":[\"", "\\\""},
    {"{\"id\":7,\"result\":{", "\"coins\":[],"},
    {"{\"id\":7,", "\"i\\u0064d\":7,"},
    {"{\"id\":7,\"error\":{\"code\":1,\"message\":\"", "Incorrect blockHash provide"},
    {"{\"id\":7,\"error\":{\"code\":", "9"},
    {"{\"id\":", "7"},
    {"}", " "},
};

const size_t ts_hostile_count = sizeof patterns / sizeof *patterns;

void ts_hostile_fill(char *text, size_t len, size_t which)
{
    size_t head = strlen(patterns[which].head), step = strlen(patterns[which].repeat);
    memcpy(text, patterns[which].head, head);
    for (size_t i = head; i < len; i++)
        text[i] = patterns[which].repeat[(i - head) % step];
}
