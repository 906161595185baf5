#include "tests/crash/crash.h"
#include "tests/crash/must.h"

void tc_write_begins(tc_tape *tape, uint64_t shown)
{
    tc_must(tape->n_marks < TC_MARKS, "a run makes no more writes than a tape has room for");
    tape->marks[tape->n_marks++] =
        (tc_mark){.begun = tape->log.n, .acked = SIZE_MAX, .shown = shown};
}

void tc_settled(tc_tape *tape, uint64_t shown)
{
    tc_write_begins(tape, shown);
    tape->marks[tape->n_marks - 1].acked = tape->log.n;
}

void tc_write_acked(tc_tape *tape, unsigned kind, uint64_t shown)
{
    tc_mark *mark = &tape->marks[tape->n_marks - 1];
    mark->acked = tape->log.n;
    mark->shown = shown;
    tape->writes[kind]++;
}
