/* LD_PRELOAD recorder: every write, truncation, sync, link, rename and removal under $IOLOG_DIR goes to $IOLOG_FILE, with its
   data and in order, so that tests/powercut/disk.py can rebuild what a disk may hold after the power was cut at any of them.
   gcc -O2 -shared -fPIC -o iolog.so iolog.c -ldl */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define DESCRIPTORS 4096
#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))
#define NAME(fd) ((fd) >= 0 && (fd) < DESCRIPTORS ? names[fd] : 0)

static char *names[DESCRIPTORS];
static int log_fd = -1;
static const char *folder;

struct record {
    char op;
    uint32_t name_bytes;
    uint64_t offset, data_bytes;
} __attribute__((packed));

__attribute__((constructor)) static void begin(void) {
    if (folder) return;
    folder = getenv("IOLOG_DIR");
    if (!folder) folder = "/nowhere";
    const char *path = getenv("IOLOG_FILE");
    if (path) log_fd = REAL(open)(path, O_CREAT | O_WRONLY | O_APPEND, 0644);
}

/* Operations: C made, T length set, W written, S synced, R renamed, L linked, U removed. */
static void put(char op, const char *name, uint64_t offset, const void *data, uint64_t bytes) {
    if (log_fd < 0) return;
    struct record head = {op, (uint32_t)strlen(name), offset, bytes};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)name, head.name_bytes}, {(void *)data, data ? bytes : 0}};
    REAL(writev)(log_fd, parts, 3);
}

static int ours(const char *path) { begin(); return path && strstr(path, folder) == path && !strstr(path, "-shm"); }

static const char *resolved(int at, const char *path, char *whole) {
    if (path[0] == '/' || at == AT_FDCWD) return path;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t n = readlink(link, whole, PATH_MAX);
    if (n < 0) return path;
    snprintf(whole + n, PATH_MAX - n, "/%s", path);
    return whole;
}

static int opened(int fd, const char *path, int flags) {
    if (fd >= 0 && fd < DESCRIPTORS && ours(path)) {
        free(names[fd]);
        names[fd] = strdup(path);
        if (flags & O_CREAT) put('C', path, 0, 0, 0);
        if (flags & O_TRUNC) put('T', path, 0, 0, 0);
    }
    return fd;
}

#define MODE(mode, last) va_list more; va_start(more, last); mode_t mode = va_arg(more, int); va_end(more)
int open(const char *path, int flags, ...) { MODE(m, flags); return opened(REAL(open)(path, flags, m), path, flags); }
int open64(const char *path, int flags, ...) { MODE(m, flags); return opened(REAL(open64)(path, flags, m), path, flags); }
int openat(int at, const char *path, int flags, ...) {
    MODE(m, flags);
    char whole[2 * PATH_MAX];
    return opened(REAL(openat)(at, path, flags, m), resolved(at, path, whole), flags);
}
int openat64(int at, const char *path, int flags, ...) {
    MODE(m, flags);
    char whole[2 * PATH_MAX];
    return opened(REAL(openat64)(at, path, flags, m), resolved(at, path, whole), flags);
}
int close(int fd) {
    if (fd == log_fd) return 0;
    if (NAME(fd)) { free(names[fd]); names[fd] = 0; }
    return REAL(close)(fd);
}

static uint64_t position(int fd) {
    struct stat status;
    if (fcntl(fd, F_GETFL) & O_APPEND) { fstat(fd, &status); return status.st_size; }
    return lseek(fd, 0, SEEK_CUR);
}
ssize_t write(int fd, const void *data, size_t bytes) {
    if (!NAME(fd)) return REAL(write)(fd, data, bytes);
    uint64_t at = position(fd);
    ssize_t done = REAL(write)(fd, data, bytes);
    if (done > 0) put('W', names[fd], at, data, done);
    return done;
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!NAME(fd)) return REAL(writev)(fd, parts, count);
    uint64_t at = position(fd);
    ssize_t done = REAL(writev)(fd, parts, count), left = done;
    for (int i = 0; i < count && left > 0; i++) {
        ssize_t bytes = parts[i].iov_len < (size_t)left ? (ssize_t)parts[i].iov_len : left;
        put('W', names[fd], at, parts[i].iov_base, bytes);
        at += bytes;
        left -= bytes;
    }
    return done;
}
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at) {
    ssize_t done = REAL(pwrite)(fd, data, bytes, at);
    if (NAME(fd) && done > 0) put('W', names[fd], at, data, done);
    return done;
}
ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at) {
    ssize_t done = REAL(pwrite64)(fd, data, bytes, at);
    if (NAME(fd) && done > 0) put('W', names[fd], at, data, done);
    return done;
}
/* Copies inside the kernel are refused, so that the caller copies by reading and writing, which is seen. */
ssize_t sendfile(int out, int in, off_t *at, size_t bytes) {
    if (NAME(out)) { errno = ENOSYS; return -1; }
    return REAL(sendfile)(out, in, at, bytes);
}
ssize_t sendfile64(int out, int in, off64_t *at, size_t bytes) {
    if (NAME(out)) { errno = ENOSYS; return -1; }
    return REAL(sendfile64)(out, in, at, bytes);
}
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t bytes, unsigned flags) {
    if (NAME(out)) { errno = ENOSYS; return -1; }
    return REAL(copy_file_range)(in, from, out, to, bytes, flags);
}
int ftruncate(int fd, off_t bytes) { int r = REAL(ftruncate)(fd, bytes); if (NAME(fd)) put('T', names[fd], bytes, 0, 0); return r; }
int ftruncate64(int fd, off64_t bytes) { int r = REAL(ftruncate64)(fd, bytes); if (NAME(fd)) put('T', names[fd], bytes, 0, 0); return r; }
int fsync(int fd) { int r = REAL(fsync)(fd); if (NAME(fd) && !r) put('S', names[fd], 0, 0, 0); return r; }
int fdatasync(int fd) { int r = REAL(fdatasync)(fd); if (NAME(fd) && !r) put('S', names[fd], 0, 0, 0); return r; }
int rename(const char *a, const char *b) { int r = REAL(rename)(a, b); if (!r && ours(a)) put('R', a, 0, b, strlen(b)); return r; }
int renameat(int x, const char *a, int y, const char *b) { int r = REAL(renameat)(x, a, y, b); if (!r && ours(a)) put('R', a, 0, b, strlen(b)); return r; }
int link(const char *a, const char *b) { int r = REAL(link)(a, b); if (!r && ours(a)) put('L', a, 0, b, strlen(b)); return r; }
int linkat(int x, const char *a, int y, const char *b, int flags) { int r = REAL(linkat)(x, a, y, b, flags); if (!r && ours(a)) put('L', a, 0, b, strlen(b)); return r; }
int unlink(const char *a) { int r = REAL(unlink)(a); if (!r && ours(a)) put('U', a, 0, 0, 0); return r; }
int unlinkat(int at, const char *a, int flags) {
    char whole[2 * PATH_MAX];
    const char *path = resolved(at, a, whole);
    int r = REAL(unlinkat)(at, a, flags);
    if (!r && !(flags & AT_REMOVEDIR) && ours(path)) put('U', path, 0, 0, 0);
    return r;
}
