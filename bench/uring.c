/*
 * What a batched reader would gain: the same growth of the same files, read by preadv(2) file after
 * file, as the daemon does, and by one io_uring_enter(2) for up to 64 files. Only the reading is timed.
 *
 * uring DIRECTORY FILES LINES_PER_SECOND ROUNDS; a round is one wake-up of 125 a second. Prints, for
 * both ways, nanoseconds, reads and bytes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { wakes = 125, lineBytes = 100, bufferBytes = 64 * 1024, markBytes = 256, batch = 64, filesMax = 512 };

static char line[lineBytes + 1];
static char buffers[batch][bufferBytes];
static char marks[batch][markBytes];
static struct iovec parts[batch][2];
static struct file { int append, read; off_t position, size; } files[filesMax];

static struct io_uring_sqe *sqes;
static struct io_uring_cqe *cqes;
static unsigned *sqTail, *sqMask, *sqArray, *cqHead, *cqTail, *cqMask;
static int ring;

static void die(const char *what) { perror(what); exit(1); }

static void openRing(void) {
  struct io_uring_params p = {0};
  ring = (int)syscall(SYS_io_uring_setup, batch, &p);
  if (ring < 0) die("io_uring_setup");
  char *sq = mmap(0, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
  char *cq = mmap(0, p.cq_off.cqes + p.cq_entries * sizeof *cqes, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
  sqes = mmap(0, p.sq_entries * sizeof *sqes, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
  if (sq == MAP_FAILED || cq == MAP_FAILED || (void *)sqes == MAP_FAILED) die("mmap");
  sqTail = (unsigned *)(sq + p.sq_off.tail), sqMask = (unsigned *)(sq + p.sq_off.ring_mask);
  sqArray = (unsigned *)(sq + p.sq_off.array);
  cqHead = (unsigned *)(cq + p.cq_off.head), cqTail = (unsigned *)(cq + p.cq_off.tail);
  cqMask = (unsigned *)(cq + p.cq_off.ring_mask), cqes = (struct io_uring_cqe *)(cq + p.cq_off.cqes);
}

static off_t before(const struct file *f) { return f->position < markBytes ? f->position : markBytes; }

/* One read that begins with the bytes before the position, whose hash the daemon compares. */
static struct iovec *partsOf(int slot, const struct file *f) {
  parts[slot][0] = (struct iovec){marks[slot], (size_t)before(f)};
  parts[slot][1] = (struct iovec){buffers[slot], bufferBytes};
  return parts[slot];
}

static uint64_t readEach(struct file **list, int count) {
  uint64_t bytes = 0;
  for (int i = 0; i < count; i++) {
    ssize_t got = preadv(list[i]->read, partsOf(0, list[i]), 2, list[i]->position - before(list[i]));
    if (got < 0) die("preadv");
    got -= before(list[i]);
    list[i]->position += got, bytes += (uint64_t)got;
  }
  return bytes;
}

static uint64_t readBatch(struct file **list, int count) {
  uint64_t bytes = 0;
  unsigned tail = *sqTail;
  for (int i = 0; i < count; i++, tail++) {
    unsigned at = tail & *sqMask;
    sqes[at] = (struct io_uring_sqe){.opcode = IORING_OP_READV, .fd = list[i]->read, .addr = (uint64_t)(uintptr_t)partsOf(i, list[i]),
        .len = 2, .off = (uint64_t)(list[i]->position - before(list[i])), .user_data = (uint64_t)i};
    sqArray[at] = at;
  }
  __atomic_store_n(sqTail, tail, __ATOMIC_RELEASE);
  if (syscall(SYS_io_uring_enter, ring, count, count, IORING_ENTER_GETEVENTS, 0, 0) != count) die("io_uring_enter");
  unsigned head = *cqHead;
  for (; head != __atomic_load_n(cqTail, __ATOMIC_ACQUIRE); head++) {
    struct io_uring_cqe *done = &cqes[head & *cqMask];
    struct file *f = list[done->user_data];
    if (done->res < 0) die("read");
    off_t got = done->res - before(f);
    f->position += got, bytes += (uint64_t)got;
  }
  __atomic_store_n(cqHead, head, __ATOMIC_RELEASE);
  return bytes;
}

static uint64_t nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  int count = atoi(argv[2]), rounds = atoi(argv[4]);
  long perWake = atol(argv[3]) / wakes;
  if (count < 1 || count > filesMax) return 2;
  memset(line, 'x', lineBytes - 1), line[lineBytes - 1] = '\n';
  openRing();
  for (int i = 0; i < count; i++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%d.log", argv[1], i);
    files[i].append = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600);
    files[i].read = open(path, O_RDONLY);
    if (files[i].append < 0 || files[i].read < 0) die(path);
  }
  uint64_t took[2] = {0}, reads[2] = {0}, bytes[2] = {0};
  for (int round = 0, next = 0; round < 2 * rounds; round++) {
    struct file *list[filesMax];
    int active = perWake < count ? (int)perWake : count, way = round & 1;
    for (int i = 0; i < active; i++, next = (next + 1) % count) {
      list[i] = &files[next];
      long lines = perWake / active + (i < perWake % active);
      /* A file is not longer than what one read takes, as for a reader that keeps up. */
      for (long each = 0; each < lines && (each + 1) * lineBytes <= bufferBytes; each++)
        if (write(list[i]->append, line, lineBytes) != lineBytes) die("write");
    }
    uint64_t start = nanoseconds();
    for (int from = 0; from < active; from += batch) {
      int some = active - from < batch ? active - from : batch;
      bytes[way] += way == 0 ? readEach(list + from, some) : readBatch(list + from, some);
      reads[way] += (uint64_t)some;
    }
    took[way] += nanoseconds() - start;
    for (int i = 0; i < active; i++) {
      if (list[i]->position < 16 * 1024 * 1024) continue;
      if (ftruncate(list[i]->append, 0) < 0) die("ftruncate");
      list[i]->position = 0;
    }
  }
  for (int way = 0; way < 2; way++) printf("%lu %lu %lu\n", took[way], reads[way], bytes[way]);
}
