#include "config.h"

#include "tests/crash/crash.h"

#include "tests/crash/must.h"
#include "tests/support/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FATES     16384 /* operations that are not settled, at most */
#define TOLD      5     /* bad images that are told of */
#define FINISH_IN 16    /* one image in so many is gone on with */
#define LITTER_IN 4     /* … has garbage for a lock file and shared memory */

/* ---- What is known of images, across processes ---------------------------------------------- */

typedef struct entry {
    uint64_t hash; /* 0: free */
    uint64_t shown;
} entry;

/* Shared by the process that records and those that look. */
typedef struct ledger {
    tc_figures figures;
    uint64_t now;    /* hash of the image that is being looked at; 0: none */
    uint64_t now_of; /* the point of the log, … */
    tc_model model;  /* … the model */
    unsigned n_told;
    size_t mask;
    entry entries[]; /* images by hash, and losses by hash and what was lost */
} ledger;

static size_t ledger_bytes(size_t places)
{
    return sizeof(ledger) + places * sizeof(entry);
}

static ledger *ledger_new(unsigned long states)
{
    size_t places = 1u << 16;
    while (places < 2 * (size_t)states)
        places *= 2;
    ledger *l = mmap(NULL, ledger_bytes(places), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    tc_must(l != MAP_FAILED, "there is memory for what is known of images");
    l->mask = places - 1;
    return l;
}

/* The entry of `hash`; its hash is 0 if it is new. */
static entry *find(ledger *l, uint64_t hash)
{
    size_t i = (size_t)hash & l->mask;
    while (l->entries[i].hash != 0 && l->entries[i].hash != hash)
        i = (i + 1) & l->mask;
    return &l->entries[i];
}

static bool is_first(ledger *l, uint64_t hash)
{
    entry *e = find(l, hash);
    bool first = e->hash == 0;
    e->hash = hash;
    return first;
}

/* ---- What may show ------------------------------------------------------------------------ */

/* Whether `shown` is the state after the newest of `acked` writes, or after one behind it that had
 * begun at the point. */
static bool may_show(const tc_tape *tape, size_t acked, size_t point, uint64_t shown)
{
    bool may = shown == (acked == 0 ? tape->first : tape->marks[acked - 1].shown);
    for (size_t i = acked; i < tape->n_marks && !may && tape->marks[i].begun < point; i++)
        may = tape->marks[i].shown == shown;
    return may;
}

/* ---- Looking ------------------------------------------------------------------------------ */

typedef struct search {
    const tc_subject *subject;
    const tc_limits *limits;
    const tc_tape *tape;
    tc_image *image;
    ledger *known;
    const char *folder; /* for images */
    char path[300];
    double until;
    size_t point;
    size_t acked; /* writes, at this point */
    tw_rng rng;
    uint8_t fates[FATES];
} search;

static void empty_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *one;
    tc_must(dir != NULL, "the folder for images can be read");
    while ((one = readdir(dir)) != NULL)
        if (one->d_name[0] != '.')
            tc_must(unlinkat(dirfd(dir), one->d_name, 0) == 0, "images can be removed");
    (void)closedir(dir);
}

/* After a power loss nobody can tell what these files hold. */
static void litter(const search *s, uint64_t hash)
{
    static const char *const ends[] = {"-shm", "-lock"};
    uint8_t bytes[32768];
    tw_rng rng = {.state = hash};
    for (size_t i = 0; i < sizeof bytes; i += 8) {
        uint64_t word = tw_random(&rng);
        memcpy(bytes + i, &word, sizeof word);
    }
    for (size_t i = 0; i < 2; i++) {
        char path[340];
        (void)snprintf(path, sizeof path, "%s%s", s->path, ends[i]);
        ts_write_file(path, bytes, sizeof bytes);
    }
}

static void lay_out(const search *s, uint64_t hash)
{
    empty_folder(s->folder);
    tc_image_write(s->image, s->folder);
    if (hash % LITTER_IN == 0)
        litter(s, hash);
}

static void tell(const search *s, const char *what, const char *why)
{
    if (s->limits->quiet || s->known->n_told++ >= TOLD)
        return;
    (void)fprintf(stderr,
                  "%s: seed %llu, %s model, behind operation %zu of %zu, %zu writes acknowledged: "
                  "%s%s%s\n",
                  s->subject->name, (unsigned long long)s->tape->seed,
                  tc_model_name[s->known->model], s->point, s->tape->log.n, s->acked, what,
                  *why ? ": " : "", why);
}

static void go_on(search *s, uint64_t hash)
{
    char why[TC_WHY] = "";
    lay_out(s, hash);
    s->known->figures.finished++;
    if (!s->subject->go_on(s->tape, s->path, why)) {
        s->known->figures.stopped++;
        tell(s, "the next sync does not finish", why);
    }
}

/* Looks at an image that was not seen before. */
static uint64_t look(search *s, uint64_t hash)
{
    char why[TC_WHY] = "";
    s->known->now = hash;
    s->known->now_of = s->point;
    lay_out(s, hash);
    uint64_t shown = s->subject->look(s->subject->mode, s->path, why);
    if (shown == TC_BAD) {
        s->known->figures.corrupt[s->known->model]++;
        tell(s, "the store cannot be read", why);
    } else if (s->subject->go_on && (hash >> 8) % FINISH_IN == 0) {
        go_on(s, hash);
    }
    s->known->now = 0;
    return shown;
}

static bool ever_shown(const tc_tape *tape, uint64_t shown)
{
    bool ever = shown == tape->first;
    for (size_t i = 0; i < tape->n_marks && !ever; i++)
        ever = tape->marks[i].shown == shown;
    return ever;
}

/* Exactly the state before or after the write that was interrupted. */
static void judge(search *s, uint64_t hash, uint64_t shown)
{
    const tc_tape *tape = s->tape;
    s->known->figures.checked++;
    if (shown == TC_BAD || may_show(tape, s->acked, s->point, shown))
        return;
    bool lost = ever_shown(tape, shown);
    if (!is_first(s->known, hash * 31 + lost + 1))
        return;
    if (lost)
        s->known->figures.lost[s->known->model]++;
    else
        s->known->figures.corrupt[s->known->model]++;
    tell(s, lost ? "an acknowledged write is lost" : "the store shows what never was", "");
}

static void check(search *s)
{
    uint64_t hash = tc_image_build(s->image, s->fates, tw_random(&s->rng)) | 1;
    entry *e = find(s->known, hash);
    if (e->hash == 0) {
        e->hash = hash;
        e->shown = TC_BAD; /* if it is the last thing that this process does */
        s->known->figures.states[s->known->model]++;
        e->shown = look(s, hash);
    }
    judge(s, hash, e->shown);
}

/* ---- Choosing images ---------------------------------------------------------------------- */

static void all(search *s, size_t n, tc_fate fate)
{
    memset(s->fates, fate, n);
}

static void check_all_but(search *s, size_t n, size_t which, tc_fate most, tc_fate one)
{
    all(s, n, most);
    s->fates[which] = (uint8_t)one;
    check(s);
}

static void check_subsets(search *s, size_t n)
{
    for (uint32_t set = 0; set < 1u << n; set++) {
        for (size_t i = 0; i < n; i++)
            s->fates[i] = set >> i & 1 ? TC_KEPT : TC_LOST;
        check(s);
    }
}

/* A file does not grow by what was not written, in the ordered model. */
static tc_fate worst(tc_model model)
{
    return model == TC_ORDERED ? TC_TORN : TC_NOISE;
}

static void check_random(search *s, size_t n)
{
    double kept = (double)tw_between(&s->rng, 0, 20) / 20;
    for (size_t i = 0; i < n; i++)
        s->fates[i] = (uint8_t)(tw_chance(&s->rng, kept)
                                    ? TC_KEPT
                                    : tw_between(&s->rng, TC_LOST, worst(s->known->model)));
    check(s);
}

/* Everything is issued in order and nothing synced: the cut may be anywhere, and the rest torn. */
static void check_prefix(search *s, size_t n)
{
    size_t cut = tw_between(&s->rng, 0, (uint32_t)n - 1);
    for (size_t i = 0; i < n; i++)
        s->fates[i] = i < cut ? TC_KEPT : TC_LOST;
    s->fates[cut] = TC_TORN;
    check(s);
}

static void check_point(search *s, tc_model model)
{
    size_t n = tc_image_at(s->image, model, s->point);
    tc_must(n <= FATES, "there is room for the operations that are not settled");
    s->known->model = model;
    for (size_t i = s->acked; i < s->tape->n_marks && s->tape->marks[i].begun <= s->point; i++)
        if (s->tape->marks[i].acked <= s->point)
            s->acked = i + 1;
    all(s, n, TC_KEPT);
    check(s);
    if (n == 0)
        return;
    all(s, n, TC_LOST);
    check(s);
    for (tc_fate fate = TC_LOST; fate <= worst(model); fate++)
        check_all_but(s, n, n - 1, TC_KEPT, fate);
    check_all_but(s, n, n - 1, TC_LOST, TC_KEPT);
    check_all_but(s, n, n - 1, TC_LOST, TC_TORN);
    if (n <= 4)
        check_subsets(s, n);
    for (size_t i = 0; i < 3 && n > 1; i++) {
        size_t one = tw_between(&s->rng, 0, (uint32_t)n - 1);
        check_all_but(s, n, one, TC_KEPT, tw_between(&s->rng, TC_LOST, worst(s->known->model)));
        check_all_but(s, n, one, TC_LOST, TC_KEPT);
        check_prefix(s, n);
    }
    for (size_t i = 0; i < (model == TC_ORDERED ? 4 : 10) && n > 1; i++)
        check_random(s, n);
}

/* Each model has its share. */
static bool has_enough(const search *s, tc_model model)
{
    return s->known->figures.states[model] >= s->limits->states / TC_MODELS || ts_now() >= s->until;
}

static bool is_over(const search *s)
{
    bool over = true;
    for (tc_model model = 0; model < TC_MODELS; model++)
        over = over && has_enough(s, model);
    return over;
}

static void search_tape(search *s)
{
    disk_skip_syncs(true);
    for (tc_model model = 0; model < TC_MODELS; model++) {
        s->rng.state = s->tape->seed * TC_MODELS + model;
        s->acked = 0;
        for (s->point = s->tape->from; s->point <= s->tape->log.n && !has_enough(s, model);
             s->point++)
            check_point(s, model);
    }
}

/* ---- Processes ---------------------------------------------------------------------------- */

#ifdef ANONSET_SANITIZED
/* A signal ends the process that looks, as it does elsewhere, and without a report for each. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "handle_segv=0:handle_sigbus=0";
}
#endif

/* The process that looked was killed while it did. */
static void blame(search *s, int status)
{
    char why[TC_WHY];
    ledger *known = s->known;
    bool broken = WIFEXITED(status) && WEXITSTATUS(status) == TC_BROKEN;
    tc_must(!broken && known->now != 0, "only images end the process that looks at them");
    (void)snprintf(why, sizeof why, WIFSIGNALED(status) ? "signal %d" : "sanitizer, code %d",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    known->now = 0;
    known->figures.corrupt[known->model]++;
    known->figures.signals++;
    s->point = known->now_of;
    tell(s, "the store cannot be read", why);
}

/* What was looked at before a signal is known, so that going through all again is quick. */
static void search_in_children(search *s)
{
    int status = 1;
    while (status != 0) {
        pid_t pid = fork();
        tc_must(pid >= 0, "there is a process to look at images");
        if (pid == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody would read what it finds */
            search_tape(s);
            _exit(0);
        }
        tc_must(waitpid(pid, &status, 0) == pid, "the process that looks can be waited for");
        if (status != 0)
            blame(s, status);
    }
}

/* The log must show all that was done, or the images are worth nothing. */
static void check_log(search *s)
{
    uint8_t none[1];
    size_t n = tc_image_at(s->image, TC_STRICT, s->tape->log.n);
    all(s, n, TC_KEPT);
    (void)tc_image_build(s->image, n ? s->fates : none, 0);
    tc_must(tc_image_is(s->image, s->tape->folder), "the log shows all that was written");
}

static void record(const tc_subject *subject, tc_tape *tape, const char *folder, uint64_t seed)
{
    memset(tape, 0, sizeof *tape);
    tape->seed = seed;
    tape->folder = folder;
    tape->first = TC_ABSENT;
    (void)snprintf(tape->path, sizeof tape->path, "%s/store", folder);
    if (subject->prepare)
        subject->prepare(subject->mode, tape);
    disk_record(&tape->log, folder);
    tape->from = tape->log.found;
    subject->record(subject->mode, tape);
    disk_stop();
}

static void one_tape(search *s, const char *folder, uint64_t seed)
{
    static tc_tape tape;
    tc_figures *f = &s->known->figures;
    record(s->subject, &tape, folder, seed);
    s->tape = &tape;
    s->image = tc_image_new(&tape.log);
    check_log(s);
    search_in_children(s);
    f->runs++;
    f->ops += tape.log.n;
    for (size_t i = 0; i < TC_WRITES; i++)
        f->writes[i] += tape.writes[i];
    tc_image_free(s->image);
    if (s->subject->forget)
        s->subject->forget(&tape);
    disk_log_free(&tape.log);
    empty_folder(folder);
}

/* Where files are memory, if there is such a place: an image lives for a millisecond. */
static void folder_make(ts_dir *dir)
{
    if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
        (void)setenv("TMPDIR", "/dev/shm", 0);
    ts_dir_make(dir);
}

void tc_run(tc_figures *figures, const tc_subject *subject, const tc_limits *limits)
{
    static search s;
    ts_dir store, images;
    double from = ts_now();
    folder_make(&store);
    folder_make(&images);
    s = (search){.subject = subject,
                 .limits = limits,
                 .known = ledger_new(limits->states),
                 .folder = images.path,
                 .until = from + limits->seconds};
    (void)snprintf(s.path, sizeof s.path, "%s/store", images.path);
    for (uint64_t seed = limits->seed; !is_over(&s); seed++)
        one_tape(&s, store.path, seed);
    *figures = s.known->figures;
    figures->seconds = ts_now() - from;
    (void)munmap(s.known, ledger_bytes(s.known->mask + 1));
    ts_dir_remove(&store);
    ts_dir_remove(&images);
}

/* ---- Figures ------------------------------------------------------------------------------ */

unsigned long tc_bad(const tc_figures *f)
{
    unsigned long bad = f->stopped;
    for (tc_model model = 0; model < TC_MODELS; model++)
        bad += f->corrupt[model] + f->lost[model];
    return bad;
}

void tc_print_head(void)
{
    (void)printf("%-24s %-8s %14s %8s %18s %9s\n", "store", "model", "unique states", "corrupt",
                 "acknowledged lost", "seconds");
    (void)fflush(stdout);
}

void tc_print(const tc_subject *subject, const tc_figures *f)
{
    for (tc_model model = 0; model < TC_MODELS; model++) {
        (void)printf("%-24s %-8s %14lu %8lu %18lu", subject->name, tc_model_name[model],
                     f->states[model], f->corrupt[model], f->lost[model]);
        if (model == 0)
            (void)printf(" %9.1f", f->seconds);
        (void)printf("\n");
    }
    (void)printf("    %lu runs recorded, %lu operations;", f->runs, f->ops);
    for (size_t i = 0; i < TC_WRITES && subject->write_names[i]; i++)
        (void)printf(" %lu %s,", f->writes[i], subject->write_names[i]);
    (void)printf(" %lu signals\n    %lu images checked against what may show; the next sync run on "
                 "%lu, not finished on %lu\n",
                 f->signals, f->checked, f->finished, f->stopped);
    (void)fflush(stdout);
}
