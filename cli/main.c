#include <anonset/anonset.h>
#include <stdio.h>

int main(void)
{
    printf("anonset %s (%s)\n", anonset_version(), anonset_default_backend());
    return 0;
}
