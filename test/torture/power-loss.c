/*
 * A model of a power cut, preloaded into the service: what was synced survives, what was not does not.
 *
 * At each fsync or fdatasync of something below POWER_ROOT that succeeds, its state of the moment before is put into
 * POWER_SHADOW: a file's bytes under its inode, a directory's entries likewise. A name counts only once its directory
 * was synced, so that renames and new files must be followed by a sync of their directory, as POSIX has it. After a
 * SIGKILL the shadow holds exactly what a disk would after a power cut.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int below_root(int fd, char *path) {
  const char *root = getenv("POWER_ROOT");
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (!root || length < 0) return 0;
  path[length] = 0;
  return strncmp(path, root, strlen(root)) == 0;
}

static void shadow_name(char *name, const char *kind, ino_t inode, const char *suffix) {
  snprintf(name, PATH_MAX, "%s/%s-%lu%s", getenv("POWER_SHADOW"), kind, (unsigned long)inode, suffix);
}

/* Writes the state aside; returns the name it is to get when the sync has succeeded. */
static int set_aside(int fd, const struct stat *info, const char *path, char *aside, char *final) {
  char suffix[32];
  snprintf(suffix, sizeof suffix, ".%ld", (long)syscall(SYS_gettid));
  const char *kind = S_ISDIR(info->st_mode) ? "dir" : "file";
  shadow_name(aside, kind, info->st_ino, suffix);
  shadow_name(final, kind, info->st_ino, "");
  int out = open(aside, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (out < 0) return 0;
  if (S_ISDIR(info->st_mode)) {
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
      if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
      dprintf(out, "%c %lu %s\n", entry->d_type == DT_DIR ? 'd' : 'f', (unsigned long)entry->d_ino, entry->d_name);
    }
    if (dir) closedir(dir);
  } else {
    char buffer[1 << 16];
    off_t at = 0;
    /* Through the descriptor that is there: closing another one of the file would drop SQLite's locks on it. */
    int written_only = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY;
    int in = written_only ? open(path, O_RDONLY) : fd;
    for (ssize_t count; (count = pread(in, buffer, sizeof buffer, at)) > 0; at += count)
      if (write(out, buffer, count) != count) break;
    if (written_only) close(in);
  }
  close(out);
  return 1;
}

static pthread_mutex_t directories = PTHREAD_MUTEX_INITIALIZER;

static int model(int fd, const char *name) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  char path[PATH_MAX], aside[PATH_MAX], final[PATH_MAX];
  struct stat info;
  if (!below_root(fd, path) || fstat(fd, &info) != 0) return real(fd);
  /* Of two threads that sync one directory, the one that looked first must not have the last word. */
  if (S_ISDIR(info.st_mode)) pthread_mutex_lock(&directories);
  int modelled = set_aside(fd, &info, path, aside, final);
  int result = real(fd);
  if (modelled && result == 0) rename(aside, final);
  if (S_ISDIR(info.st_mode)) pthread_mutex_unlock(&directories);
  return result;
}

int fsync(int fd) { return model(fd, "fsync"); }
int fdatasync(int fd) { return model(fd, "fdatasync"); }
