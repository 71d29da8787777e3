// memfd_create(2): an anonymous file that survives execve, to hand the core its configuration
// without a name on disk.
#include <sys/mman.h>

#include <cerrno>
#include <string>

#include "addon.h"

namespace {

/// memfd(name) -> descriptor or -errno. Close-on-exec is left off on purpose: the descriptor is meant for the next stage.
Napi::Value Memfd(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !info[0].IsString()) return fail2zig::BadArgument(info.Env(), "memfd(name: string)");
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  const int descriptor = memfd_create(name.c_str(), 0);
  return Napi::Number::New(info.Env(), descriptor < 0 ? -errno : descriptor);
}

}  // namespace

void fail2zig::RegisterMemfd(Napi::Env env, Napi::Object exports) {
  exports.Set("memfd", Napi::Function::New(env, Memfd, "memfd"));
}
