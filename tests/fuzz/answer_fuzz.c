/*
 * anonset_answer_read on anything at all: every input is decoded as an answer to each kind of
 * request in both dialects, in a heap block of exactly its length, and what comes out must hold
 * what the header promises.
 *
 * With libFuzzer (clang):
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -DANONSET_LIBFUZZER -Iinclude -I. -IBUILD \
 *         tests/fuzz/answer_fuzz.c remote/json.c remote/jsonrpc.c core/base64.c core/error.c
 *
 * Without, it has a main of its own, which make check runs: files, each whole and then mutated a
 * bounded number of times, the same mutations at every run.
 *     answer_fuzz [-n MUTATIONS] [-s SEED] FILE…
 */
#include <anonset/anonset.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IDS   32u /* the recorded answers have ids from 0 to 26; firod's get 7 */
#define ASKED 25u

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

static bool inside(const uint8_t *bytes, size_t len, const char *text, size_t text_len)
{
    const char *at = (const char *)bytes;
    return at >= text && len <= text_len && (size_t)(at - text) <= text_len - len;
}

static void check_coins(const anonset_answer *answer, const char *text, size_t len)
{
    require(answer->n <= ASKED + 1, "at most one coin more than asked");
    require(answer->n == 0 || answer->coins, "coins are there");
    for (uint32_t i = 0; i < answer->n; i++) {
        const anonset_coin *coin = &answer->coins[i];
        require(inside(coin->serialized, coin->serialized_len, text, len) &&
                    inside(coin->tx_hash, ANONSET_HASH_BYTES, text, len) &&
                    inside(coin->context, coin->context_len, text, len),
                "a coin's bytes lie in the text");
        require(coin->serialized + coin->serialized_len < coin->tx_hash &&
                    coin->tx_hash + ANONSET_HASH_BYTES < coin->context,
                "a coin's fields do not overlap");
    }
}

static void check_answer(const anonset_answer *answer, const anonset_request *request,
                         const char *text, size_t len)
{
    static const anonset_answer_kind fitting[] = {
        [ANONSET_REQUEST_META] = ANONSET_ANSWER_META,
        [ANONSET_REQUEST_SECTOR] = ANONSET_ANSWER_COINS,
        [ANONSET_REQUEST_NEWEST_GROUP] = ANONSET_ANSWER_NUMBER,
        [ANONSET_REQUEST_GENESIS] = ANONSET_ANSWER_HASH,
        [ANONSET_REQUEST_HEIGHT] = ANONSET_ANSWER_NUMBER,
    };
    bool sector = request->kind == ANONSET_REQUEST_SECTOR;
    bool of_group = sector || request->kind == ANONSET_REQUEST_META;
    require(answer->wire_bytes == len && answer->text_bytes <= len, "byte counts");
    require(memchr(answer->text, '\0', sizeof answer->text), "text has an end");
    for (const char *c = answer->text; *c; c++)
        require(*c >= 0x20 && *c < 0x7f, "text is printable ASCII");
    if (answer->kind == ANONSET_ANSWER_NONE)
        return;
    require(answer->id < IDS, "the id was asked");
    if (answer->kind <= ANONSET_ANSWER_HASH)
        require(answer->kind == fitting[request->kind], "a result fits its request");
    else if (answer->kind <= ANONSET_ANSWER_TOO_LARGE)
        require(answer->kind == ANONSET_ANSWER_NO_GROUP ? of_group : sector,
                "a refusal fits its request");
    else
        require(answer->kind <= ANONSET_ANSWER_ERROR, "the kind is known");
    require(request->kind != ANONSET_REQUEST_HEIGHT || answer->number <= INT32_MAX,
            "a height is one");
    check_coins(answer, text, len);
}

static void decode(const uint8_t *data, size_t size, anonset_request_kind kind,
                   anonset_dialect dialect)
{
    anonset_request outstanding[IDS] = {{0}};
    anonset_answer answer;
    anonset_detail detail = {.code = ANONSET_OK};
    for (uint32_t i = 0; i < IDS; i++)
        outstanding[i] = (anonset_request){.id = i, .kind = kind, .group = 1, .end = ASKED};
    char *text = malloc(size ? size : 1);
    require(text, "memory");
    if (size)
        memcpy(text, data, size);
    const anonset_request *first = dialect == ANONSET_FIROD ? &outstanding[7] : outstanding;
    size_t n = dialect == ANONSET_FIROD ? 1 : IDS;
    anonset_code code = anonset_answer_read(&answer, text, size, first, n, dialect, &detail);
    if (code == ANONSET_OK) {
        check_answer(&answer, first, text, size);
        anonset_answer_clear(&answer);
    } else {
        require(code == ANONSET_BAD_ANSWER && detail.code == code, "the code is documented");
        require(memchr(detail.text, '\0', sizeof detail.text) && *detail.text, "a detail is told");
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int kind = ANONSET_REQUEST_META; kind <= ANONSET_REQUEST_HEIGHT; kind++) {
        decode(data, size, (anonset_request_kind)kind, ANONSET_ELECTRUMX);
        decode(data, size, (anonset_request_kind)kind, ANONSET_FIROD);
    }
    return 0;
}

#ifndef ANONSET_LIBFUZZER

#define INPUT_MOST 65536u /* longer files are cut: most mutations of a long one hit a coin */

static uint64_t random_state;

/* xorshift64*: the same numbers everywhere. */
static uint32_t random_below(uint32_t bound)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545f4914f6cdd1du) >> 32) % bound;
}

/* What JSON, base64 and these answers are made of. */
static const char *const pieces[] = {
    "{",          "}",          "[",
    "]",          ",",          ":",
    "\"",         "\\",         "\\u00",
    "\\\"",       " ",          "\n",
    "\t",         "=",          "==",
    "null",       "true",       "-1",
    "0",          "7",          "1e5",
    "1.5",        "[]",         "{}",
    "\"id\"",     "\"id\":7",   "\"result\"",
    "\"error\"",  "\"coins\"",  "\"size\"",
    "\"code\"",   "\"method\"", "18446744073709551616",
    "4294967296", "[[[[[[[[",   "\"\"",
    "AAAA",       "/",          "\xff",
    "\xc3\xa9",   "\"height\"", "2147483648",
};

static size_t insert_piece(uint8_t *text, size_t len, size_t cap)
{
    const char *piece = pieces[random_below(sizeof pieces / sizeof *pieces)];
    size_t n = strlen(piece), at = random_below((uint32_t)len + 1);
    if (len + n > cap)
        return len;
    memmove(text + at + n, text + at, len - at);
    memcpy(text + at, piece, n);
    return len + n;
}

static size_t remove_piece(uint8_t *text, size_t len)
{
    size_t at = random_below((uint32_t)len), most = len - at < 64 ? len - at : 64;
    size_t n = 1 + random_below((uint32_t)most);
    memmove(text + at, text + at + n, len - at - n);
    return len - n;
}

static size_t copy_piece(uint8_t *text, size_t len, size_t cap)
{
    size_t from = random_below((uint32_t)len), most = len - from < 256 ? len - from : 256;
    size_t n = 1 + random_below((uint32_t)most), at = random_below((uint32_t)len + 1);
    uint8_t piece[256];
    if (len + n > cap)
        return len;
    memcpy(piece, text + from, n);
    memmove(text + at + n, text + at, len - at);
    memcpy(text + at, piece, n);
    return len + n;
}

static size_t mutate(uint8_t *text, size_t len, size_t cap)
{
    for (uint32_t steps = 1 + random_below(4); steps > 0 && len > 0; steps--) {
        switch (random_below(6)) {
        case 0:
            text[random_below((uint32_t)len)] = (uint8_t)random_below(256);
            break;
        case 1:
            text[random_below((uint32_t)len)] ^= (uint8_t)(1u << random_below(8));
            break;
        case 2:
            len = remove_piece(text, len);
            break;
        case 3:
            len = copy_piece(text, len, cap);
            break;
        case 4:
            len = random_below(4) ? len : random_below((uint32_t)len); /* cut */
            break;
        default:
            len = insert_piece(text, len, cap);
            break;
        }
    }
    return len;
}

/* The recorder's id is a string; with a number in its place the answer gets past its envelope. */
static size_t set_id(uint8_t *text, size_t len)
{
    static const char recorded[] = "\"cap\"";
    for (size_t i = 0; i + sizeof recorded <= len; i++) {
        if (memcmp(text + i, recorded, sizeof recorded - 1) == 0)
            memcpy(text + i, "7    ", sizeof recorded - 1);
    }
    return len;
}

static int run_file(const char *path, uint32_t mutations)
{
    static uint8_t seed[INPUT_MOST], text[2 * INPUT_MOST];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    size_t len = set_id(seed, fread(seed, 1, sizeof seed, file));
    fclose(file);
    LLVMFuzzerTestOneInput(seed, len);
    for (uint32_t i = 0; i < mutations; i++) {
        memcpy(text, seed, len);
        LLVMFuzzerTestOneInput(text, mutate(text, len, sizeof text));
    }
    return 0;
}

int main(int argc, char **argv)
{
    uint32_t mutations = 300;
    uint64_t seed = 1;
    int arg = 1, failed = 0;
    for (; arg + 1 < argc && argv[arg][0] == '-'; arg += 2) {
        if (argv[arg][1] == 'n')
            mutations = (uint32_t)strtoul(argv[arg + 1], NULL, 10);
        else if (argv[arg][1] == 's')
            seed = strtoull(argv[arg + 1], NULL, 10);
    }
    random_state = seed ? seed : 1;
    if (arg == argc) {
        fprintf(stderr, "usage: answer_fuzz [-n MUTATIONS] [-s SEED] FILE...\n");
        return 2;
    }
    for (int i = arg; i < argc; i++)
        failed |= run_file(argv[i], mutations);
    printf("answer_fuzz: %d files, %u mutations each, seed %llu: %s\n", argc - arg, mutations,
           (unsigned long long)seed, failed ? "a file could not be read" : "every promise held");
    return failed;
}

#endif
