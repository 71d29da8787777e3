// inotify(7). Events are read as bytes and taken apart in src/sources/inotify.ts.
#include <sys/inotify.h>
#include <unistd.h>

#include "addon.h"

namespace {

using namespace fail2zig;

/// A descriptor (close-on-exec, never waits) or -errno.
int64_t Open(Napi::Env) { return OrErrno(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)); }

/// A watch descriptor or -errno.
int64_t Add(Napi::Env, Descriptor queue, Text path, Uint32 mask) {
  return OrErrno(inotify_add_watch(queue, path.c_str(), mask));
}

/// 0 or -errno.
int64_t Remove(Napi::Env, Descriptor queue, Int32 watch) { return OrErrno(inotify_rm_watch(queue, watch)); }

/// The bytes of whole events or -errno (-EAGAIN: none wait).
int64_t Read(Napi::Env, Descriptor queue, Bytes into) { return OrErrno(read(queue, into.data, into.size)); }

}  // namespace

void fail2zig::ExportInotify(Napi::Object exports) {
  Export<Open>(exports, "inotifyOpen()");
  Export<Add>(exports, "inotifyAdd(fd: number, path: string, mask: number)");
  Export<Remove>(exports, "inotifyRemove(fd, watch: number)");
  Export<Read>(exports, "inotifyRead(fd: number, into: Uint8Array)");
}
