/* Where fuzz targets keep their files: a folder in memory if there is one, since
 * a sync costs nothing there. */
#ifndef PLACE_H
#define PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* Makes the folder, which goes when the program ends, behind a last call of `report`. False: a
 * message was printed. */
bool place_make(const char *name, void (*report)(void));
/* The path of `file` in it. */
void place_path(char *path, size_t cap, const char *file);

#endif
