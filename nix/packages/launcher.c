/* The program of snowshed's daemons on macOS: waits until what it is to start can be reached, then becomes it.
 *
 * launchd may start a daemon before the volume of /nix is mounted. wait4path(1) is macOS's own way to wait for that,
 * woken by the mount.
 */
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef WAIT4PATH
#define WAIT4PATH "/bin/wait4path"
#endif

extern char **environ;

int main(int count, char **words)
{
    char *wait[3] = {WAIT4PATH, NULL, NULL};
    pid_t child;
    int status;

    if (count < 2 || words[1][0] != '/') {
        fprintf(stderr, "usage: snowshed /PROGRAM [ARGUMENT]...\n");
        return 64;
    }
    wait[1] = words[1];
    if (access(words[1], X_OK) != 0 && posix_spawn(&child, wait[0], NULL, NULL, wait, environ) == 0)
        waitpid(child, &status, 0);
    execv(words[1], words + 1);
    perror(words[1]);
    return 71;
}
