/*
 * What the same verdicts cost in plain C, as one would write it for these files alone: every line
 * is found with memchr and read from left to right, each time is computed, each failure is counted
 * in a hash table of the sources, and lines of one connection are one attempt. It knows no other
 * message, form of time or service, checks no bounds, fits no hostile line, and keeps nothing under
 * a ceiling: a measure for `bench -- parse`, no example.
 *
 *   scanner sshd|nginx FILE MAXRETRY FINDTIME  →  {"lines":…,"matched":…,"decisions":…,"cpuSeconds":…}
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CHUNK = 1 << 18, SOURCES = 1 << 18, CONNECTIONS = 1 << 16, WINDOW = 8, YEAR = 2026 };

typedef struct {
  uint64_t address[2];
  int64_t until;
  int64_t times[WINDOW];
  uint32_t failures;
  uint32_t used;
} Source;

typedef struct {
  uint32_t pid;
  uint32_t counted;
} Connection;

static Source sources[SOURCES];
static Connection connections[CONNECTIONS];
static uint64_t lines, matched, decisions;
static uint32_t maxretry;
static int64_t findtime;

static int two(const char *p) { return (p[0] == ' ' ? 0 : p[0] - '0') * 10 + p[1] - '0'; }

static int64_t instant(int year, int month, int day, const char *clock) {
  int y = month <= 2 ? year - 1 : year;
  int era = y / 400, of_era = y - era * 400;
  int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  int64_t days = (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
  return days * 86400 + two(clock) * 3600 + two(clock + 3) * 60 + two(clock + 6);
}

static int month_of(const char *p) {
  static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  for (int i = 0; i < 12; i++)
    if (memcmp(names + i * 3, p, 3) == 0) return i + 1;
  return 0;
}

/* The time at the start of a syslog line; *after: what stands behind it. 0 = there is none. */
static int64_t syslog_time(const char *p, const char *end, const char **after) {
  if (end - p < 33) return 0;
  if (p[4] == '-' && p[10] == 'T') {
    *after = memchr(p, ' ', end - p);
    if (*after == NULL) return 0;
    (*after)++;
    return instant(two(p) * 100 + two(p + 2), two(p + 5), two(p + 8), p + 11);
  }
  int month = month_of(p);
  if (month == 0) return 0;
  *after = p + 16;
  return instant(YEAR, month, two(p + 4), p + 7);
}

/* The address at p in mapped form; what stands behind it, or NULL. */
static const char *read_address(const char *p, const char *end, uint64_t address[2]) {
  uint32_t quad = 0;
  const char *q = p;
  int parts = 0;
  while (q < end && *q >= '0' && *q <= '9') {
    uint32_t value = 0;
    while (q < end && *q >= '0' && *q <= '9') value = value * 10 + (*q++ - '0');
    if (value > 255) break;
    quad = quad << 8 | value;
    if (++parts == 4) {
      address[0] = 0;
      address[1] = 0xffff00000000u | quad;
      return q;
    }
    if (q == end || *q != '.') break;
    q++;
  }
  char text[64];
  size_t length = 0;
  for (q = p; q < end && length < 63 && (strchr("0123456789abcdefABCDEF:.", *q) != NULL); q++) text[length++] = *q;
  text[length] = 0;
  if (inet_pton(AF_INET6, text, address) != 1) return NULL;
  /* A /64, as the jail counts. */
  address[1] = 0;
  return q;
}

static void charge(const uint64_t address[2], int64_t time) {
  uint64_t hash = (address[0] ^ address[1] * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
  Source *s = &sources[hash >> 46];
  while (s->used && (s->address[0] != address[0] || s->address[1] != address[1]))
    s = s == &sources[SOURCES - 1] ? sources : s + 1;
  if (!s->used) {
    s->used = 1;
    s->address[0] = address[0];
    s->address[1] = address[1];
  }
  if (time < s->until) return;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < s->failures; i++)
    if (time - s->times[i] <= findtime) s->times[kept++] = s->times[i];
  s->times[kept++] = time;
  s->failures = kept;
  if (kept < maxretry) return;
  s->failures = 0;
  s->until = time + findtime;
  decisions++;
}

static int begins(const char *p, const char *end, const char *text, size_t length) {
  return (size_t)(end - p) >= length && memcmp(p, text, length) == 0;
}
#define BEGINS(p, end, text) begins(p, end, text, sizeof(text) - 1)

/* " from ADDRESS port DIGITS" and `tail` at the end of a line, found from its right end. */
static int from_right(const char *p, const char *end, const char *tail, uint64_t address[2]) {
  size_t length = strlen(tail);
  if ((size_t)(end - p) < length || memcmp(end - length, tail, length) != 0) return 0;
  const char *q = end - length, *port_end = q;
  while (q > p && q[-1] >= '0' && q[-1] <= '9') q--;
  if (q == port_end || q - p < 6 || memcmp(q - 6, " port ", 6) != 0) return 0;
  const char *stop = q - 6;
  for (q = stop; q > p && q[-1] != ' '; q--)
    ;
  if (q - p < 6 || memcmp(q - 6, " from ", 6) != 0) return 0;
  return read_address(q, stop, address) == stop;
}

static void sshd_line(const char *p, const char *end) {
  const char *host;
  int64_t time = syslog_time(p, end, &host);
  if (time == 0) return;
  const char *tag = memchr(host, ' ', end - host);
  if (tag == NULL || !BEGINS(tag, end, " sshd[")) return;
  const char *q = tag + 6;
  uint32_t pid = 0;
  while (q < end && *q >= '0' && *q <= '9') pid = pid * 10 + (*q++ - '0');
  if (!BEGINS(q, end, "]: ")) return;
  q += 3;
  uint64_t address[2];
  Connection *c = &connections[pid * 2654435761u >> 16];
  if (c->pid != pid) *c = (Connection){pid, 0};
  if (BEGINS(q, end, "Failed password for ")) {
    if (!from_right(q + 20, end, " ssh2", address)) return;
    matched++;
    if (c->counted) c->counted = 0;
    else charge(address, time);
  } else if (BEGINS(q, end, "Invalid user ")) {
    if (!from_right(q + 13, end, "", address)) return;
    matched++;
    c->counted = 1;
    charge(address, time);
  } else if (BEGINS(q, end, "Received disconnect from ") || BEGINS(q, end, "Disconnected from "))
    c->counted = 0;
}

static const char *const probes[] = {"phpmyadmin", "wp-login.php", "pma", "cgi-bin", "mail", "horde", "mysqladmin"};

static void nginx_line(const char *p, const char *end) {
  const char *quote = memchr(p, '"', end - p);
  if (quote == NULL) return;
  const char *close = memchr(quote + 1, '"', end - quote - 1);
  if (close == NULL || !BEGINS(close, end, "\" 404 ")) return;
  const char *path = quote + 1;
  if (BEGINS(path, end, "GET /")) path += 5;
  else if (BEGINS(path, end, "POST /") || BEGINS(path, end, "HEAD /")) path += 6;
  else return;
  size_t i = 0;
  while (i < sizeof(probes) / sizeof(*probes) && !begins(path, close, probes[i], strlen(probes[i]))) i++;
  if (i == sizeof(probes) / sizeof(*probes)) return;
  uint64_t address[2];
  const char *q = read_address(p, end, address);
  if (q == NULL || !BEGINS(q, end, " - - [")) return;
  q += 6;
  int month = month_of(q + 3);
  if (month == 0) return;
  matched++;
  charge(address, instant(two(q + 7) * 100 + two(q + 9), month, two(q), q + 12));
}

int main(int argc, char **argv) {
  static char chunk[CHUNK];
  if (argc != 5) return 2;
  void (*take)(const char *, const char *) = strcmp(argv[1], "sshd") == 0 ? sshd_line : nginx_line;
  int file = open(argv[2], O_RDONLY);
  if (file < 0) return 1;
  maxretry = atoi(argv[3]);
  findtime = atoll(argv[4]);
  if (maxretry > WINDOW) return 2;
  size_t held = 0;
  ssize_t count;
  while ((count = read(file, chunk + held, CHUNK - held)) > 0) {
    held += count;
    const char *p = chunk, *end = chunk + held, *eol;
    while ((eol = memchr(p, '\n', end - p)) != NULL) {
      lines++;
      take(p, eol);
      p = eol + 1;
    }
    held = end - p;
    memmove(chunk, p, held);
  }
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  double seconds = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  printf("{\"lines\":%lu,\"matched\":%lu,\"decisions\":%lu,\"cpuSeconds\":%f}\n", lines, matched, decisions, seconds);
  return 0;
}
