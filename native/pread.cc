// preadv(2): what stands before a position and what stands behind it, in one call.
#include <sys/uio.h>

#include <cerrno>

#include "addon.h"

namespace {

/// readAround(fd, before, into, position) -> bytes read or -errno. Fills `before` with the bytes
/// that end at `position`, then `into` with those that follow.
Napi::Value ReadAround(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 4 || !fail2zig::IsDescriptor(info[0]) || !fail2zig::IsBytes(info[1]) ||
      !fail2zig::IsBytes(info[2]) || !fail2zig::IsPosition(info[3])) {
    return fail2zig::BadArgument(env, "readAround(fd: number, before, into: Uint8Array, position: number)");
  }
  Napi::Uint8Array before = info[1].As<Napi::Uint8Array>();
  Napi::Uint8Array into = info[2].As<Napi::Uint8Array>();
  const struct iovec parts[2] = {{before.Data(), before.ByteLength()}, {into.Data(), into.ByteLength()}};
  const int64_t position = info[3].As<Napi::Number>().Int64Value() - static_cast<int64_t>(before.ByteLength());
  const ssize_t count = preadv(info[0].As<Napi::Number>().Int32Value(), parts, 2, position);
  return Napi::Number::New(env, static_cast<double>(count < 0 ? -errno : count));
}

}  // namespace

void fail2zig::RegisterPread(Napi::Env env, Napi::Object exports) {
  exports.Set("readAround", Napi::Function::New(env, ReadAround, "readAround"));
}
