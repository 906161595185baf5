/* anonset's main under another name, to be called by a test. */
int anonset_main(int argc, char **argv);

#define main anonset_main
#include "cli/main.c"
