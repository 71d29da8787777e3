// SO_PEERCRED and SO_PEERGROUPS (unix(7)): who connected to a unix socket, as the kernel recorded
// it at connect().
#include <sys/socket.h>

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

}  // namespace

void fail2zig::ExportPeer(Napi::Object exports) { Export<PeerCredentials>(exports, "peerCredentials(fd: number)"); }
