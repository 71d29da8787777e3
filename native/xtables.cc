// The socket options of legacy iptables and ipset (linux/netfilter_ipv4/ip_tables.h, ip_set.h), and
// the flock(2) with which the iptables programs take turns. The tables are read and built in
// src/backends/xtables/xtables.ts.
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "addon.h"

namespace {

/// Where struct ipt_replace and ip6t_replace hold the bytes of their entries, the number of
/// counters and their address.
constexpr size_t kEntriesSize = 40;
constexpr size_t kCountersCount = 84;
constexpr size_t kCountersPointer = 88;
constexpr size_t kReplaceHeader = 96;
constexpr size_t kCounterBytes = 16;
constexpr int kSetReplace = 64;

using fail2zig::IsBytes;

/// xtablesOpen(family 4 or 6) -> descriptor of a plain datagram socket or -errno.
Napi::Value Open(const Napi::CallbackInfo& info) {
  const bool isV6 = info.Length() == 1 && fail2zig::IsWhole(info[0], 6, 6);
  if (!isV6 && (info.Length() != 1 || !fail2zig::IsWhole(info[0], 4, 4))) {
    return fail2zig::BadArgument(info.Env(), "xtablesOpen(family: 4 | 6)");
  }
  const int family = isV6 ? AF_INET6 : AF_INET;
  const int descriptor = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  return Napi::Number::New(info.Env(), descriptor < 0 ? -errno : descriptor);
}

/// socketOption(fd, level, option, bytes) -> length that getsockopt(2) filled in `bytes`, or
/// -errno.
Napi::Value GetOption(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 4 || !fail2zig::IsDescriptor(info[0]) || !fail2zig::IsInt32(info[1]) ||
      !fail2zig::IsInt32(info[2]) || !IsBytes(info[3])) {
    return fail2zig::BadArgument(env, "socketOption(fd, level, option: number, bytes: Uint8Array)");
  }
  Napi::Uint8Array bytes = info[3].As<Napi::Uint8Array>();
  socklen_t length = static_cast<socklen_t>(bytes.ByteLength());
  const int result = getsockopt(info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Number>().Int32Value(),
                                info[2].As<Napi::Number>().Int32Value(), bytes.Data(), &length);
  return Napi::Number::New(env, result < 0 ? -errno : static_cast<int>(length));
}

/// setSocketOption(fd, level, option, bytes) -> 0 or -errno.
Napi::Value SetOption(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 4 || !fail2zig::IsDescriptor(info[0]) || !fail2zig::IsInt32(info[1]) ||
      !fail2zig::IsInt32(info[2]) || !IsBytes(info[3])) {
    return fail2zig::BadArgument(env, "setSocketOption(fd, level, option: number, bytes: Uint8Array)");
  }
  Napi::Uint8Array bytes = info[3].As<Napi::Uint8Array>();
  const int result = setsockopt(info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Number>().Int32Value(),
                                info[2].As<Napi::Number>().Int32Value(), bytes.Data(),
                                static_cast<socklen_t>(bytes.ByteLength()));
  return Napi::Number::New(env, result < 0 ? -errno : 0);
}

/// IPT_SO_SET_REPLACE on a pool thread, since it may take milliseconds and waits for whoever else
/// replaces.
class ReplaceCall : public Napi::AsyncWorker {
 public:
  ReplaceCall(Napi::Env env, int descriptor, int level, Napi::Uint8Array replace, Napi::Uint8Array counters)
      : Napi::AsyncWorker(env, "fail2zig.xtables"),
        deferred_(Napi::Promise::Deferred::New(env)),
        descriptor_(descriptor),
        level_(level),
        data_(replace.Data()),
        length_(replace.ByteLength()),
        replace_(Napi::Persistent(replace)),
        counters_(Napi::Persistent(counters)) {}
  Napi::Promise Promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    const int result = setsockopt(descriptor_, level_, kSetReplace, data_, static_cast<socklen_t>(length_));
    result_ = result < 0 ? -errno : 0;
  }
  void OnOK() override { deferred_.Resolve(Napi::Number::New(Env(), result_)); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  int descriptor_;
  int level_;
  uint8_t* data_;
  size_t length_;
  int result_ = 0;
  Napi::Reference<Napi::Uint8Array> replace_;
  Napi::Reference<Napi::Uint8Array> counters_;
};

/// xtablesReplace(fd, level, replace, counters) -> promise of 0 or -errno; `counters` receives
/// those of the old table.
Napi::Value Replace(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 4 || !fail2zig::IsDescriptor(info[0]) || !fail2zig::IsInt32(info[1]) || !IsBytes(info[2]) ||
      !IsBytes(info[3])) {
    return fail2zig::BadArgument(env, "xtablesReplace(fd, level: number, replace, counters: Uint8Array)");
  }
  Napi::Uint8Array replace = info[2].As<Napi::Uint8Array>();
  Napi::Uint8Array counters = info[3].As<Napi::Uint8Array>();
  if (replace.ByteLength() < kReplaceHeader) return fail2zig::BadArgument(env, "xtablesReplace: no header");
  uint32_t size = 0;
  std::memcpy(&size, replace.Data() + kEntriesSize, sizeof size);
  // The kernel reads that many bytes of entries.
  if (replace.ByteLength() - kReplaceHeader < size) return fail2zig::BadArgument(env, "xtablesReplace: entries cut");
  uint32_t count = 0;
  std::memcpy(&count, replace.Data() + kCountersCount, sizeof count);
  // The kernel writes that many counters to the address below.
  if (counters.ByteLength() / kCounterBytes < count) {
    return fail2zig::BadArgument(env, "xtablesReplace: counters too small");
  }
  const uint8_t* pointer = counters.Data();
  std::memcpy(replace.Data() + kCountersPointer, &pointer, sizeof pointer);
  auto* call = new ReplaceCall(env, info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Number>().Int32Value(),
                               replace, counters);
  call->Queue();
  return call->Promise();
}

/// tryLock(fd) -> 0, or -errno (-EAGAIN: somebody else holds it). Released when the descriptor is
/// closed.
Napi::Value TryLock(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !fail2zig::IsDescriptor(info[0])) {
    return fail2zig::BadArgument(info.Env(), "tryLock(fd: number)");
  }
  const int result = flock(info[0].As<Napi::Number>().Int32Value(), LOCK_EX | LOCK_NB);
  return Napi::Number::New(info.Env(), result < 0 ? -errno : 0);
}

}  // namespace

void fail2zig::RegisterXtables(Napi::Env env, Napi::Object exports) {
  exports.Set("xtablesOpen", Napi::Function::New(env, Open, "xtablesOpen"));
  exports.Set("socketOption", Napi::Function::New(env, GetOption, "socketOption"));
  exports.Set("setSocketOption", Napi::Function::New(env, SetOption, "setSocketOption"));
  exports.Set("xtablesReplace", Napi::Function::New(env, Replace, "xtablesReplace"));
  exports.Set("tryLock", Napi::Function::New(env, TryLock, "tryLock"));
}
