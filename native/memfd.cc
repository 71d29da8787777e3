// How data is handed to the core: by the launch stage through execve(2), in a sealed memory file
// and with its own descriptors, none of the caller's; by a client at a reload, in a sealed memory
// file.
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "addon.h"

namespace {

using namespace fail2zig;

/// A descriptor or -errno. Close-on-exec is off on purpose: the descriptor is for the next stage.
int64_t Memfd(Napi::Env, Text name) { return OrErrno(memfd_create(name.c_str(), MFD_ALLOW_SEALING)); }

/// 0 or -errno. Nobody can change the memory file any more, whoever has a descriptor.
int64_t Seal(Napi::Env, Descriptor file) {
  return OrErrno(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL));
}

/// The seals of a memory file (F_SEAL_*), or -errno (-EINVAL: not a memory file).
int64_t Seals(Napi::Env, Descriptor file) { return OrErrno(fcntl(file, F_GET_SEALS)); }

/// 0 or -errno. Marks the open descriptors of a range; needs Linux 5.11.
int64_t CloseOnExec(Napi::Env, Uint32 first, Uint32 last) {
  return OrErrno(syscall(SYS_close_range, first.value, last.value, CLOSE_RANGE_CLOEXEC));
}

/// 0 or -errno. execve keeps the descriptor open.
int64_t KeepOnExec(Napi::Env, Descriptor file) { return OrErrno(fcntl(file, F_SETFD, 0)); }

}  // namespace

void fail2zig::ExportMemfd(Napi::Object exports) {
  Export<Memfd>(exports, "memfd(name: string)");
  Export<Seal>(exports, "seal(fd: number)");
  Export<Seals>(exports, "seals(fd: number)");
  Export<KeepOnExec>(exports, "keepOnExec(fd: number)");
  Export<CloseOnExec>(exports, "closeOnExec(first: number, last: number)");
}
