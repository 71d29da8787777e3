// Creates the control socket in the launch stage, which may still give it to a group.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "addon.h"

namespace {

using namespace fail2zig;

/// A new socket, passed to `use` with the address of `path`: descriptor or -errno.
int64_t Open(const Text& path, int flags, int (*use)(int, const struct sockaddr*, socklen_t)) {
  struct sockaddr_un address = {};
  if (path.text.size() >= sizeof(address.sun_path)) return -ENAMETOOLONG;
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.c_str(), path.text.size() + 1);
  const int descriptor = socket(AF_UNIX, SOCK_STREAM | flags, 0);
  if (descriptor < 0) return -errno;
  if (use(descriptor, reinterpret_cast<struct sockaddr*>(&address), sizeof(address)) == 0) return descriptor;
  const int error = errno;
  close(descriptor);
  return -error;
}

/// A descriptor that the next stage inherits, or -errno. It does not listen yet.
int64_t UnixBind(Napi::Env, Text path) { return Open(path, 0, bind); }

/// 0 if somebody listens there, or -errno (-EAGAIN: the backlog is full).
int64_t UnixProbe(Napi::Env, Text path) {
  const int64_t descriptor = Open(path, SOCK_NONBLOCK | SOCK_CLOEXEC, connect);
  if (descriptor >= 0) close(static_cast<int>(descriptor));
  return descriptor < 0 ? descriptor : 0;
}

}  // namespace

void fail2zig::ExportListener(Napi::Object exports) {
  Export<UnixBind>(exports, "unixBind(path: string)");
  Export<UnixProbe>(exports, "unixProbe(path: string)");
}
