// What the launch stage hands to the core through execve(2): a sealed memory file, and no
// descriptor of the caller.
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <string>

#include "addon.h"

namespace {

Napi::Value Result(const Napi::CallbackInfo& info, int result) {
  return Napi::Number::New(info.Env(), result < 0 ? -errno : result);
}

/// memfd(name) -> descriptor or -errno. Close-on-exec is left off on purpose: the descriptor is
/// meant for the next stage.
Napi::Value Memfd(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !fail2zig::IsText(info[0])) return fail2zig::BadArgument(info.Env(), "memfd(name: string)");
  const std::string name = info[0].As<Napi::String>().Utf8Value();
  return Result(info, memfd_create(name.c_str(), MFD_ALLOW_SEALING));
}

/// seal(fd) -> 0 or -errno. Nobody can change the memory file any more, whoever holds a descriptor.
Napi::Value Seal(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !fail2zig::IsDescriptor(info[0])) return fail2zig::BadArgument(info.Env(), "seal(fd: number)");
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
  return Result(info, fcntl(info[0].As<Napi::Number>().Int32Value(), F_ADD_SEALS, seals));
}

/// closeOnExec(first, last) -> 0 or -errno. Marks the open descriptors of a range; needs Linux
/// 5.11.
Napi::Value CloseOnExec(const Napi::CallbackInfo& info) {
  if (info.Length() != 2 || !fail2zig::IsUint32(info[0]) || !fail2zig::IsUint32(info[1])) {
    return fail2zig::BadArgument(info.Env(), "closeOnExec(first: number, last: number)");
  }
  const unsigned first = info[0].As<Napi::Number>().Uint32Value();
  const unsigned last = info[1].As<Napi::Number>().Uint32Value();
  return Result(info, static_cast<int>(syscall(SYS_close_range, first, last, CLOSE_RANGE_CLOEXEC)));
}

}  // namespace

void fail2zig::RegisterMemfd(Napi::Env env, Napi::Object exports) {
  exports.Set("memfd", Napi::Function::New(env, Memfd, "memfd"));
  exports.Set("seal", Napi::Function::New(env, Seal, "seal"));
  exports.Set("closeOnExec", Napi::Function::New(env, CloseOnExec, "closeOnExec"));
}
