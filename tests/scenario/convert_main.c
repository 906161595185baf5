/* anonset-convert's main under another name, to be called by a test. */
int convert_main(int argc, char **argv);

#define main convert_main
#include "cli/convert.c"
