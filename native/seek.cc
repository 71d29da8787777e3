// lseek(2) with SEEK_DATA: where the next bytes of a sparse file stand.
#include <unistd.h>

#include <cerrno>

#include "addon.h"

namespace {

/// nextData(fd, position) -> where data begins, at `position` or behind it, or -errno (-ENXIO: only
/// a hole follows).
Napi::Value NextData(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 2 || !fail2zig::IsDescriptor(info[0]) || !fail2zig::IsPosition(info[1])) {
    return fail2zig::BadArgument(env, "nextData(fd, position: number)");
  }
  const off_t at = lseek(info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Number>().Int64Value(), SEEK_DATA);
  return Napi::Number::New(env, static_cast<double>(at < 0 ? -errno : at));
}

}  // namespace

void fail2zig::RegisterSeek(Napi::Env env, Napi::Object exports) {
  exports.Set("nextData", Napi::Function::New(env, NextData, "nextData"));
}
