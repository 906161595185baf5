/* anonset: the program. Finds the command and runs it. */
#include "cli/command.h"
#include "cli/exits.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static void help(FILE *out)
{
    fprintf(out, "%s\n\nUsage: anonset COMMAND [OPTIONS]\n\nCommands:\n", program_summary);
    for (size_t i = 0; commands[i]; i++)
        fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\nOptions:\n", out);
    for (const struct option_row *row = program_options; row->name; row++)
        fprintf(out, "  --%-8s %s\n", row->name, row->help);
    fputc('\n', out);
    exits_print(out);
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; commands[i]; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

static int run(int argc, char **argv)
{
    const struct command *command;
    struct args args;
    int code;

    if (argc < 2) {
        help(stderr);
        return EXITS_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help(stdout);
        return EXITS_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("anonset %s (%s)\n", anonset_version(), anonset_default_backend());
        return EXITS_DONE;
    }
    command = find(argv[1]);
    if (!command)
        return args_wrong(NULL, "there is no command \"%s\"", argv[1]);
    code = args_parse(&args, command, argc - 1, argv + 1);
    return code == ARGS_GO ? command->run(&args) : code;
}

/* A store opened as descriptor 1 or 2 would be written over by our own output. The wrong direction
 * is chosen so that using a missing stream fails rather than vanishes. */
static bool fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) == -1 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    }
    return true;
}

/* Returns `code`; but output that did not get through is a failure even of what went well. */
static int finish_output(int code)
{
    bool failed = ferror(stdout) != 0;
    int error = 0;

    if (fclose(stdout) != 0) {
        error = errno;
        failed = true;
    }
    if (!failed)
        return code;
    fprintf(stderr,
            "anonset: the output could not be written (%s); what was written is incomplete\n",
            error ? strerror(error) : "write error");
    return exits_worse(code, EXITS_INTERNAL);
}

int main(int argc, char **argv)
{
    /* A reader that goes away, at stdout or at a socket, or a file that may grow no further is an
     * error to report, not a death. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    if (!fill_standard_descriptors())
        return EXITS_INTERNAL;
    (void)sigaction(SIGPIPE, &ignore, NULL); /* fails only for a signal that cannot be ignored */
    (void)sigaction(SIGXFSZ, &ignore, NULL);
    return finish_output(run(argc, argv));
}
