// The socket options of legacy iptables and ipset (linux/netfilter_ipv4/ip_tables.h, ip_set.h).
// The tables are read and built in src/backends/xtables/xtables.ts.
#include <netinet/in.h>
#include <sys/socket.h>

#include "addon.h"

namespace {

/// Offsets in struct ipt_replace and ip6t_replace: size of the entries, number of counters, address
/// of the counters.
constexpr size_t kEntriesSize = 40;
constexpr size_t kCountersCount = 84;
constexpr size_t kCountersPointer = 88;
constexpr size_t kReplaceHeader = 96;
constexpr size_t kCounterBytes = 16;
constexpr int kSetReplace = 64;

using namespace fail2zig;

/// IPv4 or IPv6, by its number.
struct Family {
  static bool Fits(const Napi::Value& value) { return IsWhole(value, 4, 4) || IsWhole(value, 6, 6); }
  explicit Family(const Napi::Value& given) : number(IsWhole(given, 6, 6) ? AF_INET6 : AF_INET) {}
  int number;
};

/// The descriptor of a plain datagram socket or -errno.
int64_t Open(Napi::Env, Family family) { return OrErrno(socket(family.number, SOCK_DGRAM | SOCK_CLOEXEC, 0)); }

/// The length that getsockopt(2) filled in `bytes`, or -errno.
int64_t GetOption(Napi::Env, Descriptor descriptor, Int32 level, Int32 option, Bytes bytes) {
  auto length = static_cast<socklen_t>(bytes.size);
  const int result = getsockopt(descriptor, level, option, bytes.data, &length);
  return result < 0 ? -errno : static_cast<int64_t>(length);
}

/// 0 or -errno.
int64_t SetOption(Napi::Env, Descriptor descriptor, Int32 level, Int32 option, Bytes bytes) {
  return OrErrno(setsockopt(descriptor, level, option, bytes.data, static_cast<socklen_t>(bytes.size)));
}

/// IPT_SO_SET_REPLACE: a promise of 0 or -errno; `counters` receives those of the old table. On a
/// pool thread, since it may take milliseconds and waits for other replaces.
Napi::Value Replace(Napi::Env env, Descriptor descriptor, Int32 level, Bytes replace, Bytes counters) {
  if (replace.size < kReplaceHeader) return BadArgument(env, "xtablesReplace: no header");
  uint32_t size = 0;
  memcpy(&size, replace.data + kEntriesSize, sizeof size);
  // The kernel reads that many bytes of entries.
  if (replace.size - kReplaceHeader < size) return BadArgument(env, "xtablesReplace: entries cut");
  uint32_t count = 0;
  memcpy(&count, replace.data + kCountersCount, sizeof count);
  // The kernel writes that many counters to the address below.
  if (counters.size / kCounterBytes < count) return BadArgument(env, "xtablesReplace: counters too small");
  memcpy(replace.data + kCountersPointer, &counters.data, sizeof counters.data);
  const auto call = [descriptor = descriptor.value, level = level.value, data = replace.data, bytes = replace.size] {
    return OrErrno(setsockopt(descriptor, level, kSetReplace, data, static_cast<socklen_t>(bytes)));
  };
  return Aside::Run(env, call, {replace.array, counters.array});
}

}  // namespace

void fail2zig::ExportXtables(Napi::Object exports) {
  Export<Open>(exports, "xtablesOpen(family: 4 | 6)");
  Export<GetOption>(exports, "socketOption(fd, level, option: number, bytes: Uint8Array)");
  Export<SetOption>(exports, "setSocketOption(fd, level, option: number, bytes: Uint8Array)");
  Export<Replace>(exports, "xtablesReplace(fd, level: number, replace, counters: Uint8Array)");
}
