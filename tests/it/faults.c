/* Disturbs the calls of a program on files below a folder: the nth of a kind fails, or does half of what it was asked.
   Preloaded; it takes its orders from the environment and notes every call below the folder in a file, those that it
   disturbed with a `!`. It makes the calls themselves, so it works for what goes through the C library only. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int matched;

static int number(const char *name) {
    const char *text = getenv(name);
    return text ? atoi(text) : 0;
}

/* Notes a call below the folder; true if it is to be disturbed. */
static int strikes(const char *call, const char *path) {
    const char *below = getenv("FAULTS_BELOW"), *wanted = getenv("FAULTS_CALL"), *noted = getenv("FAULTS_NOTED");
    if (!below || !wanted || !noted || strncmp(path, below, strlen(below)) != 0)
        return 0;
    int struck = 0;
    if (strcmp(call, wanted) == 0) {
        int nth = number("FAULTS_NTH"), step = number("FAULTS_STEP"), now = atomic_fetch_add(&matched, 1) + 1;
        struck = now == nth || (step > 0 && now > nth && (now - nth) % step == 0);
    }
    char line[32];
    int length = snprintf(line, sizeof line, "%s%s\n", call, struck ? "!" : "");
    int handle = syscall(SYS_openat, AT_FDCWD, noted, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    syscall(SYS_write, handle, line, length);
    syscall(SYS_close, handle);
    return struck;
}

static int strikes_handle(const char *call, int handle) {
    char link[32], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return strikes(call, path);
}

/* The error with which a struck call fails; none where it does half of its work. */
#define FAILS(struck) ((struck) && (errno = number("FAULTS_ERRNO")) != 0)
#define HALF(struck, count) ((struck) && (count) > 1 ? (count) / 2 : (count))

#define TRANSFER(name, system, bytes_type, more, ...)                                                                  \
    ssize_t name(int handle, bytes_type bytes, size_t count more) {                                                    \
        int struck = strikes_handle(#system, handle);                                                                  \
        return FAILS(struck) ? -1 : syscall(SYS_##system, handle, bytes, HALF(struck, count) __VA_ARGS__);             \
    }
#define AT , off64_t at
TRANSFER(read, read, void *, , )
TRANSFER(write, write, const void *, , )
TRANSFER(pread64, pread64, void *, AT, , at)
TRANSFER(pwrite64, pwrite64, const void *, AT, , at)

int fsync(int handle) { return FAILS(strikes_handle("fsync", handle)) ? -1 : syscall(SYS_fsync, handle); }

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return FAILS(strikes("open", path)) ? -1 : syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int mkdir(const char *path, mode_t mode) {
    return FAILS(strikes("mkdir", path)) ? -1 : syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int rename(const char *from, const char *to) {
    return FAILS(strikes("rename", to)) ? -1 : syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    return FAILS(strikes("link", to)) ? -1 : syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}

int unlink(const char *path) { return FAILS(strikes("unlink", path)) ? -1 : syscall(SYS_unlinkat, AT_FDCWD, path, 0); }
