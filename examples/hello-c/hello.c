#include <stdio.h>
#include <sys/utsname.h>

int main(void)
{
    struct utsname machine;

    if (uname(&machine) != 0)
        return 1;
    printf("Hello from %s, compiled and run inside a Nix build.\n", machine.machine);
    return 0;
}
