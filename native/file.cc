// Calls on open files that Node lacks: preadv(2), lseek(2) with SEEK_DATA, flock(2), and a write
// that never waits.
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "addon.h"

namespace {

using namespace fail2zig;

/// The bytes read or -errno. Fills `before` with the bytes that end at `position`, then `into` with
/// those that follow.
int64_t ReadAround(Napi::Env, Descriptor file, Bytes before, Bytes into, Position position) {
  const struct iovec parts[2] = {{before.data, before.size}, {into.data, into.size}};
  return OrErrno(preadv(file, parts, 2, position - static_cast<int64_t>(before.size)));
}

/// Where data begins, at or after `position`, or -errno (-ENXIO: only a hole follows).
int64_t NextData(Napi::Env, Descriptor file, Position position) { return OrErrno(lseek(file, position, SEEK_DATA)); }

/// 0, or -errno (-EAGAIN: somebody else holds it). Released when the descriptor is closed.
int64_t TryLock(Napi::Env, Descriptor file) { return OrErrno(flock(file, LOCK_EX | LOCK_NB)); }

/// The bytes written, or -errno (-EAGAIN: it would have to wait). Without O_NONBLOCK: that flag
/// belongs to the open file, which others share.
int64_t WriteNow(Napi::Env, Descriptor file, Bytes bytes) {
  const ssize_t sent = send(file, bytes.data, bytes.size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0 || errno != ENOTSOCK) return OrErrno(sent);
  struct pollfd look = {file, POLLOUT, 0};
  if (poll(&look, 1, 0) == 0) return -EAGAIN;
  return OrErrno(write(file, bytes.data, bytes.size));
}

}  // namespace

void fail2zig::ExportFile(Napi::Object exports) {
  Export<ReadAround>(exports, "readAround(fd: number, before, into: Uint8Array, position: number)");
  Export<NextData>(exports, "nextData(fd, position: number)");
  Export<TryLock>(exports, "tryLock(fd: number)");
  Export<WriteNow>(exports, "writeNow(fd: number, bytes: Uint8Array)");
}
