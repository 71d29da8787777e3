// What a process gives up permanently: capabilities, files (Landlock), system calls (seccomp).
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "addon.h"

namespace {

using namespace fail2zig;

/// The result or -errno. Of the calling thread.
int64_t Prctl(Napi::Env, Uint32 option, Uint32 second, Uint32 third) {
  return OrErrno(prctl(static_cast<int>(option.value), static_cast<unsigned long>(second.value),
                       static_cast<unsigned long>(third.value), 0UL, 0UL));
}

/// 0 or -errno. Sets the calling thread's effective, permitted and inheritable sets: bits 0 to 31
/// and 32 to 63.
int64_t Capset(Napi::Env, Uint32 low, Uint32 high) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const struct __user_cap_data_struct sets[2] = {{low, low, low}, {high, high, high}};
  return OrErrno(syscall(SYS_capset, &header, sets));
}

/// 0 or -errno; with TSYNC a positive number is a thread that refused. `bytes` is an array of
/// struct sock_filter, which the kernel copies.
int64_t Seccomp(Napi::Env, Uint32 flags, Bytes bytes) {
  const size_t count = bytes.size / sizeof(struct sock_filter);
  if (count > BPF_MAXINSNS || bytes.size % sizeof(struct sock_filter) != 0) return -EINVAL;
  struct sock_filter filter[BPF_MAXINSNS];
  memcpy(filter, bytes.data, bytes.size);
  const struct sock_fprog program = {static_cast<unsigned short>(count), filter};
  return OrErrno(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags.value, &program));
}

// Landlock's calls have these numbers on every architecture; older headers lack them.
constexpr long kCreateRuleset = 444;
constexpr long kAddRule = 445;
constexpr long kRestrictSelf = 446;
constexpr unsigned kVersion = 1;

/// The ABI version of Landlock or -errno.
int64_t LandlockVersion(Napi::Env) { return OrErrno(syscall(kCreateRuleset, nullptr, 0, kVersion)); }

/// A descriptor or -errno.
int64_t LandlockRuleset(Napi::Env, Bytes attributes) {
  return OrErrno(syscall(kCreateRuleset, attributes.data, attributes.size, 0));
}

/// 0 or -errno. `attributes` has the 16 bytes of the larger type.
int64_t LandlockRule(Napi::Env, Descriptor ruleset, Uint32 type, Bytes attributes) {
  constexpr size_t kRuleBytes = 16;
  if (attributes.size < kRuleBytes) return -EINVAL;
  return OrErrno(syscall(kAddRule, ruleset.value, type.value, attributes.data, 0));
}

/// 0 or -errno. Restricts the calling thread, and what it becomes by execve.
int64_t LandlockRestrict(Napi::Env, Descriptor ruleset) { return OrErrno(syscall(kRestrictSelf, ruleset.value, 0)); }

/// Appends `value` in `base` at `end`; returns the new end.
char* Append(char* end, uint64_t value, unsigned base) {
  char digits[24];
  size_t count = 0;
  do {
    digits[count++] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0);
  while (count > 0) *end++ = digits[--count];
  return end;
}

char* Append(char* end, const char* text) {
  while (*text != '\0') *end++ = *text++;
  return end;
}

/// A system call was refused: prints which one and where, and ends the process. Async-signal-safe;
/// a blocked reader of standard error does not delay it.
void OnRefusedCall(int, siginfo_t* refused, void*) {
  char line[160];
  char* end = Append(line, "fail2zig: system call ");
  end = Append(end, static_cast<uint64_t>(refused->si_syscall), 10);
  end = Append(end, " at 0x");
  end = Append(end, reinterpret_cast<uintptr_t>(refused->si_call_addr), 16);
  end = Append(end, " is not in the table of allowed calls: the daemon ends\n");
  struct pollfd output = {STDERR_FILENO, POLLOUT, 0};
  if (poll(&output, 1, 0) == 1 && write(STDERR_FILENO, line, static_cast<size_t>(end - line)) < 0) _exit(71);
  _exit(70);
}

/// 0 or -errno. From now on SIGSYS reports what was refused and ends the process.
int64_t EndAtRefusedCall(Napi::Env) {
  struct sigaction action = {};
  action.sa_sigaction = OnRefusedCall;
  action.sa_flags = SA_SIGINFO;
  return OrErrno(sigaction(SIGSYS, &action, nullptr));
}

}  // namespace

void fail2zig::ExportConfine(Napi::Object exports) {
  Export<Prctl>(exports, "prctl(option, second, third: number)");
  Export<Capset>(exports, "capset(low, high: number)");
  Export<Seccomp>(exports, "seccomp(flags: number, program: Uint8Array)");
  Export<LandlockVersion>(exports, "landlockVersion()");
  Export<LandlockRuleset>(exports, "landlockRuleset(attributes: Uint8Array)");
  Export<LandlockRule>(exports, "landlockRule(ruleset, type: number, attributes: Uint8Array)");
  Export<LandlockRestrict>(exports, "landlockRestrict(ruleset: number)");
  Export<EndAtRefusedCall>(exports, "endAtRefusedCall()");
}
