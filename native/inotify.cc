// inotify(7). Events are read as bytes and taken apart in src/sources/inotify.ts.
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "addon.h"

namespace {

/// inotifyOpen() -> descriptor (close-on-exec, never waits) or -errno.
Napi::Value Open(const Napi::CallbackInfo& info) {
  const int descriptor = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  return Napi::Number::New(info.Env(), descriptor < 0 ? -errno : descriptor);
}

/// inotifyAdd(fd, path, mask) -> watch descriptor or -errno.
Napi::Value Add(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 3 || !fail2zig::IsDescriptor(info[0]) || !fail2zig::IsText(info[1]) ||
      !fail2zig::IsUint32(info[2])) {
    return fail2zig::BadArgument(env, "inotifyAdd(fd: number, path: string, mask: number)");
  }
  const std::string path = info[1].As<Napi::String>().Utf8Value();
  const int watch =
      inotify_add_watch(info[0].As<Napi::Number>().Int32Value(), path.c_str(),
                        info[2].As<Napi::Number>().Uint32Value());
  return Napi::Number::New(env, watch < 0 ? -errno : watch);
}

/// inotifyRemove(fd, watch) -> 0 or -errno.
Napi::Value Remove(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 2 || !fail2zig::IsDescriptor(info[0]) || !fail2zig::IsInt32(info[1])) {
    return fail2zig::BadArgument(env, "inotifyRemove(fd, watch: number)");
  }
  const int result =
      inotify_rm_watch(info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Number>().Int32Value());
  return Napi::Number::New(env, result < 0 ? -errno : 0);
}

/// inotifyRead(fd, into) -> bytes of whole events or -errno (-EAGAIN: none wait).
Napi::Value Read(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 2 || !fail2zig::IsDescriptor(info[0]) || !fail2zig::IsBytes(info[1])) {
    return fail2zig::BadArgument(env, "inotifyRead(fd: number, into: Uint8Array)");
  }
  Napi::Uint8Array into = info[1].As<Napi::Uint8Array>();
  const ssize_t length = read(info[0].As<Napi::Number>().Int32Value(), into.Data(), into.ByteLength());
  return Napi::Number::New(env, static_cast<double>(length < 0 ? -errno : length));
}

}  // namespace

void fail2zig::RegisterInotify(Napi::Env env, Napi::Object exports) {
  exports.Set("inotifyOpen", Napi::Function::New(env, Open, "inotifyOpen"));
  exports.Set("inotifyAdd", Napi::Function::New(env, Add, "inotifyAdd"));
  exports.Set("inotifyRemove", Napi::Function::New(env, Remove, "inotifyRemove"));
  exports.Set("inotifyRead", Napi::Function::New(env, Read, "inotifyRead"));
}
