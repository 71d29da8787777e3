// A datagram socket of a service manager (unix(7), sd_notify(3)). What is sent goes through
// writeNow().
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>

#include "addon.h"

namespace {

using namespace fail2zig;

/// A descriptor that never waits, or -errno. A path that begins with "@" is an abstract name.
/// Close-on-exec is left off on purpose: the descriptor is meant for the next stage.
int64_t DatagramTo(Napi::Env, Text path) {
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.text.empty() || path.text.size() >= sizeof address.sun_path) return -EINVAL;
  memcpy(address.sun_path, path.text.data(), path.text.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  const auto length = static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + path.text.size());
  if (connect(fd, reinterpret_cast<const struct sockaddr*>(&address), length) == 0) return fd;
  const int64_t failed = -errno;
  close(fd);
  return failed;
}

}  // namespace

void fail2zig::ExportDatagram(Napi::Object exports) { Export<DatagramTo>(exports, "datagramTo(path: string)"); }
