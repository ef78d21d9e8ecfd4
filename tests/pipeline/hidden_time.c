/* Loaded into a process by LD_PRELOAD: CLOCK_MONOTONIC lags behind by the time in the file
   HIDDEN_TIME, nanoseconds as eight bytes, as it does after a suspension of the machine. All other
   clocks go on. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *hidden;

__attribute__((constructor)) static void map_hidden_time(void)
{
    const char *path = getenv("HIDDEN_TIME");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *page = mmap(NULL, sizeof *hidden, PROT_READ, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED)
        hidden = page;
    close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_MONOTONIC && hidden) {
        int64_t nanos = time->tv_sec * INT64_C(1000000000) + time->tv_nsec - *hidden;
        time->tv_sec = nanos / 1000000000;
        time->tv_nsec = nanos % 1000000000;
    }
    return result;
}
