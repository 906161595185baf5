#include "tests/fuzz/fuzz.h"

#ifndef ANONSET_LIBFUZZER

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t random_state;
static uint8_t *input; /* the one under way */
static size_t input_len;

/* ---- When an input ends the program --------------------------------------------------------- */

static void leave_input(void)
{
    char name[64];
    (void)snprintf(name, sizeof name, "%s.crash", fuzz.name);
    FILE *file = fopen(name, "wb");
    if (!file || fwrite(input, 1, input_len, file) != input_len || fclose(file) != 0)
        perror(name);
    fprintf(stderr, "%s: the input is in %s\n", fuzz.name, name);
}

static void on_signal(int number)
{
    leave_input();
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* Of the sanitizers, which end a program without a signal; not there in other builds. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void catch_ends(void)
{
    static const int numbers[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(leave_input);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!__sanitizer_set_death_callback || numbers[i] == SIGABRT)
            (void)signal(numbers[i], on_signal);
}

/* ---- Inputs --------------------------------------------------------------------------------- */

/* xorshift64*: the same numbers everywhere. */
static uint32_t random_below(uint32_t bound)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545f4914f6cdd1du) >> 32) % bound;
}

static size_t insert_piece(uint8_t *text, size_t len, size_t cap)
{
    size_t pieces = 0;
    while (fuzz.pieces[pieces])
        pieces++;
    const char *piece = fuzz.pieces[random_below((uint32_t)pieces)];
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
        switch (random_below(fuzz.pieces ? 6 : 5)) {
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

/* ---- Running -------------------------------------------------------------------------------- */

static void run(size_t len)
{
    input_len = len;
    (void)LLVMFuzzerTestOneInput(input, len);
}

static int run_file(const char *path, uint32_t mutations)
{
    uint8_t *whole = malloc(fuzz.most);
    FILE *file = fopen(path, "rb");
    if (!whole || !file) {
        perror(path);
        free(whole);
        return 1;
    }
    size_t len = fread(whole, 1, fuzz.most, file); /* longer files are cut */
    fclose(file);
    memcpy(input, whole, len);
    run(len);
    for (uint32_t i = 0; i < mutations; i++) {
        memcpy(input, whole, len);
        run(mutate(input, len, 2 * fuzz.most));
    }
    free(whole);
    return 0;
}

static void run_random(uint32_t runs)
{
    for (uint32_t i = 0; i < runs; i++) {
        size_t len = random_below((uint32_t)fuzz.most + 1);
        for (size_t at = 0; at < len; at++)
            input[at] = (uint8_t)random_below(256);
        run(len);
    }
}

int main(int argc, char **argv)
{
    uint32_t runs = 300;
    uint64_t seed = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
    int failed = 0, option;
    while ((option = getopt(argc, argv, "n:s:")) != -1) {
        if (option == 'n')
            runs = (uint32_t)strtoul(optarg, NULL, 10);
        else if (option == 's')
            seed = strtoull(optarg, NULL, 10);
        else
            return 2;
    }
    input = malloc(2 * fuzz.most);
    if (!input || LLVMFuzzerInitialize(&argc, &argv) != 0)
        return 1;
    random_state = seed ? seed : 1;
    printf("%s: seed %" PRIu64 "\n", fuzz.name, seed);
    (void)fflush(stdout);
    catch_ends();
    for (int i = optind; i < argc; i++)
        failed |= run_file(argv[i], runs);
    if (optind == argc)
        run_random(runs);
    printf("%s: %d files, %u runs each: %s\n", fuzz.name, argc - optind, runs,
           failed ? "a file could not be read" : "every promise held");
    free(input);
    return failed;
}

#endif
