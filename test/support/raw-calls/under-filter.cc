// For tests: makes system calls under a filter, each in a child of its own.
//   under-filter FILTER < CALLS
// FILTER is a file with an array of struct sock_filter, a line of CALLS a number and up to six
// arguments. Prints a line for each: "passed", or "refused" where SIGSYS ended the child.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

int main(int count, char** names) {
  static struct sock_filter filter[BPF_MAXINSNS];
  FILE* file = count == 2 ? fopen(names[1], "r") : nullptr;
  if (file == nullptr) return 2;
  const size_t length = fread(filter, sizeof filter[0], BPF_MAXINSNS, file);
  const struct sock_fprog program = {static_cast<unsigned short>(length), filter};
  const struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  char line[256];
  while (fgets(line, sizeof line, stdin) != nullptr) {
    unsigned long call[7] = {};
    char* at = line;
    for (unsigned long& each : call) each = strtoul(at, &at, 0);
    const pid_t child = fork();
    if (child == 0) {
      // What waits does not wait for long.
      alarm(2);
      if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(99);
      if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) _exit(99);
      syscall(static_cast<long>(call[0]), call[1], call[2], call[3], call[4], call[5], call[6]);
      syscall(SYS_exit_group, 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    const bool broken = WIFEXITED(status) && WEXITSTATUS(status) == 99;
    puts(broken ? "no filter" : WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? "refused" : "passed");
    fflush(stdout);
  }
  return 0;
}
