/* A wall clock that a test moves, for one process: LD_PRELOAD, and REELTAG_TEST_CLOCK names a file
 * whose first eight bytes are the seconds to add (int64).
 *
 * As when an administrator sets the clock, the monotonic clock goes on undisturbed, and a wait on a
 * condition variable until a wall-clock time ends when that time is shown, not when it was due.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SLICE 20000000 /* ns */

typedef int (*wait_fn)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

static volatile int64_t *ahead;
static wait_fn timedwait;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("REELTAG_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = file < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) ahead = page;
    if (file >= 0) close(file);
    timedwait = (wait_fn)dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
}

static int64_t seconds(void) { return ahead ? *ahead : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += seconds();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec fine;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &fine);
    now->tv_sec = fine.tv_sec;
    now->tv_usec = fine.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec fine;
    clock_gettime(CLOCK_REALTIME, &fine);
    if (now) *now = fine.tv_sec;
    return fine.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    if (cond->__data.__wrefs & 2) return timedwait(cond, mutex, until); /* monotonic (glibc) */
    for (;;) {
        struct timespec shown, slice;
        clock_gettime(CLOCK_REALTIME, &shown);
        int64_t left = (until->tv_sec - shown.tv_sec) * 1000000000LL + until->tv_nsec - shown.tv_nsec;
        if (left <= 0) return ETIMEDOUT;
        syscall(SYS_clock_gettime, CLOCK_REALTIME, &slice);
        slice.tv_nsec += left < SLICE ? left : SLICE;
        slice.tv_sec += slice.tv_nsec / 1000000000;
        slice.tv_nsec %= 1000000000;
        int ended = timedwait(cond, mutex, &slice);
        if (ended != ETIMEDOUT) return ended;
    }
}

int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict until) {
    int ended = pthread_cond_timedwait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex, until);
    return ended == 0 ? thrd_success : ended == ETIMEDOUT ? thrd_timedout : thrd_error;
}
