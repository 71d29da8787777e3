// A write that never waits, without O_NONBLOCK: that flag is of the open file, which others share.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "addon.h"

namespace {

/// writeNow(fd, bytes) -> bytes written, or -errno (-EAGAIN: it would have to wait).
Napi::Value WriteNow(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 2 || !fail2zig::IsDescriptor(info[0]) || !fail2zig::IsBytes(info[1])) {
    return fail2zig::BadArgument(env, "writeNow(fd: number, bytes: Uint8Array)");
  }
  const int descriptor = info[0].As<Napi::Number>().Int32Value();
  Napi::Uint8Array bytes = info[1].As<Napi::Uint8Array>();
  ssize_t count = send(descriptor, bytes.Data(), bytes.ByteLength(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count < 0 && errno == ENOTSOCK) {
    struct pollfd look = {descriptor, POLLOUT, 0};
    if (poll(&look, 1, 0) == 0) return Napi::Number::New(env, -EAGAIN);
    count = write(descriptor, bytes.Data(), bytes.ByteLength());
  }
  return Napi::Number::New(env, static_cast<double>(count < 0 ? -errno : count));
}

}  // namespace

void fail2zig::RegisterWrite(Napi::Env env, Napi::Object exports) {
  exports.Set("writeNow", Napi::Function::New(env, WriteNow, "writeNow"));
}
