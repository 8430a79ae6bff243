/*
 * A disk that does SLOW_OPERATIONS operations a second, preloaded into the service: each sync waits for as many as the
 * writes since the last sync of that file make, one after another, in turn with what other threads sync meanwhile.
 * Neighbouring writes share an operation of at most 16 KiB, as small cloud disks count them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 4096, MERGED = 16 * 1024 };
static const long SECOND = 1000000000L;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { long operations; off64_t end; size_t merged; } files[FILES];
static long long free_at; /* ns: when the disk can begin its next operation */

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * (long long)SECOND + time.tv_nsec;
}

static void written(int fd, off64_t at, ssize_t bytes) {
  if (fd < 0 || fd >= FILES || bytes <= 0) return;
  pthread_mutex_lock(&lock);
  if (at != files[fd].end || files[fd].merged + bytes > MERGED || files[fd].operations == 0) {
    files[fd].operations++;
    files[fd].merged = 0;
  }
  files[fd].merged += bytes;
  files[fd].end = at + bytes;
  pthread_mutex_unlock(&lock);
}

/* One operation of the disk: the next that is free. */
static void operate(long each) {
  pthread_mutex_lock(&lock);
  long long begin = now();
  if (free_at > begin) begin = free_at;
  free_at = begin + each;
  long long end = free_at;
  pthread_mutex_unlock(&lock);
  struct timespec until = {end / SECOND, end % SECOND};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void synced(int fd) {
  const char *rate = getenv("SLOW_OPERATIONS");
  if (!rate || fd < 0 || fd >= FILES) return;
  pthread_mutex_lock(&lock);
  long operations = files[fd].operations;
  files[fd].operations = 0;
  pthread_mutex_unlock(&lock);
  for (; operations > 0; operations--) operate(SECOND / atol(rate));
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at) {
  ssize_t count = REAL(pwrite64)(fd, data, bytes, at);
  written(fd, at, count);
  return count;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at) {
  ssize_t count = REAL(pwrite)(fd, data, bytes, at);
  written(fd, at, count);
  return count;
}

int fsync(int fd) {
  synced(fd);
  return REAL(fsync)(fd);
}

int fdatasync(int fd) {
  synced(fd);
  return REAL(fdatasync)(fd);
}
