// Datagram sockets (unix(7)) to a service manager (sd_notify(3)) and journald, connected, for use
// with writeNow(); and to syslog, whose socket may be recreated at any time.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>

#include "addon.h"

namespace {

using namespace fail2zig;

/// The address of a path, and its length; 0 if the path is too long. "@" begins an abstract name.
socklen_t AddressOf(const std::string& path, struct sockaddr_un* address) {
  *address = {};
  address->sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address->sun_path) return 0;
  memcpy(address->sun_path, path.data(), path.size());
  if (address->sun_path[0] == '@') address->sun_path[0] = '\0';
  return static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + path.size());
}

/// A non-blocking, unconnected descriptor, or -errno. Close-on-exec is off on purpose: the
/// descriptor is for the next stage.
int64_t DatagramOpen(Napi::Env) { return OrErrno(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)); }

/// The same, connected.
int64_t DatagramTo(Napi::Env env, Text path) {
  struct sockaddr_un address;
  const socklen_t length = AddressOf(path.text, &address);
  if (length == 0) return -EINVAL;
  const auto fd = static_cast<int>(DatagramOpen(env));
  if (fd < 0 || connect(fd, reinterpret_cast<const struct sockaddr*>(&address), length) == 0) return fd;
  const int64_t failed = -errno;
  close(fd);
  return failed;
}

/// The bytes sent to whoever listens at `path` now, or -errno (-EAGAIN: it does not keep up).
int64_t DatagramSend(Napi::Env, Descriptor file, Text path, Bytes bytes) {
  struct sockaddr_un address;
  const socklen_t length = AddressOf(path.text, &address);
  if (length == 0) return -EINVAL;
  const auto* to = reinterpret_cast<const struct sockaddr*>(&address);
  return OrErrno(sendto(file, bytes.data, bytes.size, MSG_DONTWAIT | MSG_NOSIGNAL, to, length));
}

}  // namespace

void fail2zig::ExportDatagram(Napi::Object exports) {
  Export<DatagramOpen>(exports, "datagramOpen()");
  Export<DatagramTo>(exports, "datagramTo(path: string)");
  Export<DatagramSend>(exports, "datagramSend(fd: number, path: string, bytes: Uint8Array)");
}
