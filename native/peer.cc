// SO_PEERCRED and SO_PEERGROUPS (unix(7)): who connected to a unix socket, as the kernel recorded
// it at connect(). SCM_RIGHTS: a descriptor that one side sends to the other with one byte.
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "addon.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

namespace {

using namespace fail2zig;

/// The kernel allows a process this many supplementary groups (NGROUPS_MAX).
constexpr size_t kGroupsMax = 65536;

/// { pid, uid, gid, groups } or -errno.
Napi::Value PeerCredentials(Napi::Env env, Descriptor descriptor) {
  struct ucred credentials = {};
  socklen_t length = sizeof credentials;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0) return ToValue(env, -errno);

  std::vector<gid_t> groups(64);
  length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  int result = getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length);
  if (result < 0 && errno == ERANGE && length <= kGroupsMax * sizeof(gid_t)) {
    groups.resize(length / sizeof(gid_t));
    result = getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length);
  }
  if (result < 0) return ToValue(env, -errno);
  groups.resize(length / sizeof(gid_t));

  Napi::Object peer = Napi::Object::New(env);
  peer.Set("pid", Napi::Number::New(env, credentials.pid));
  peer.Set("uid", Napi::Number::New(env, credentials.uid));
  peer.Set("gid", Napi::Number::New(env, credentials.gid));
  Napi::Array list = Napi::Array::New(env, groups.size());
  for (uint32_t index = 0; index < groups.size(); index++) list.Set(index, Napi::Number::New(env, groups[index]));
  peer.Set("groups", list);
  return peer;
}

/// One byte, with room for the descriptors that come with it.
struct Handed {
  char byte = 0;
  struct iovec piece = {&byte, 1};
  alignas(struct cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = {};
  struct msghdr message = {nullptr, 0, &piece, 1, control, sizeof control, 0};
};

/// 0 or -errno. Sends `file` over the connected unix socket, with one byte.
int64_t SendDescriptor(Napi::Env, Descriptor socket, Descriptor file) {
  Handed handed;
  handed.message.msg_controllen = CMSG_SPACE(sizeof(int));
  struct cmsghdr* head = CMSG_FIRSTHDR(&handed.message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  const int given = file;
  memcpy(CMSG_DATA(head), &given, sizeof given);
  const int64_t sent = OrErrno(sendmsg(socket, &handed.message, MSG_NOSIGNAL));
  return sent < 0 ? sent : 0;
}

/// The descriptor that comes with the next byte (close-on-exec), without waiting, or -errno:
/// -EAGAIN none yet, -EPIPE the peer closed, -EBADMSG not exactly one. Further descriptors are
/// closed.
int64_t ReceiveDescriptor(Napi::Env, Descriptor socket) {
  Handed handed;
  const int64_t length = OrErrno(recvmsg(socket, &handed.message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  if (length <= 0) return length < 0 ? length : -EPIPE;
  std::vector<int> files;
  for (struct cmsghdr* head = CMSG_FIRSTHDR(&handed.message); head; head = CMSG_NXTHDR(&handed.message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    const size_t known = files.size();
    const size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    files.resize(known + count);
    memcpy(files.data() + known, CMSG_DATA(head), count * sizeof(int));
  }
  const bool fits = files.size() == 1 && !(handed.message.msg_flags & MSG_CTRUNC);
  if (fits) return files[0];
  for (const int file : files) close(file);
  return -EBADMSG;
}

}  // namespace

void fail2zig::ExportPeer(Napi::Object exports) {
  Export<PeerCredentials>(exports, "peerCredentials(fd: number)");
  Export<SendDescriptor>(exports, "sendDescriptor(socket: number, fd: number)");
  Export<ReceiveDescriptor>(exports, "receiveDescriptor(socket: number)");
}
