// madvise(2) with MADV_DONTNEED: takes resident pages of a mapping away; the next use of one brings it back from its file.
// Which mappings that is harmless for is decided in src/memory.ts.
#include <sys/mman.h>

#include <cerrno>
#include <cmath>

#include "addon.h"

namespace {

/// User space ends here on 64-bit machines with four page-table levels; larger numbers are a bug of ours.
constexpr double kAddressMax = 140737488355328.0;

/// A whole number from `least` on that a double holds exactly.
bool IsWhole(const Napi::Value& value, double least) {
  if (!value.IsNumber()) return false;
  const double number = value.As<Napi::Number>().DoubleValue();
  return number >= least && number < kAddressMax && std::floor(number) == number;
}

/// dropPages(address, bytes) -> 0 or -errno. Both are multiples of the page size, else -EINVAL comes from the kernel.
Napi::Value DropPages(const Napi::CallbackInfo& info) {
  if (info.Length() != 2 || !IsWhole(info[0], 4096) || !IsWhole(info[1], 1)) {
    return fail2zig::BadArgument(info.Env(), "dropPages(address: number, bytes: number)");
  }
  const auto address = static_cast<uintptr_t>(info[0].As<Napi::Number>().DoubleValue());
  const auto bytes = static_cast<size_t>(info[1].As<Napi::Number>().DoubleValue());
  const int result = madvise(reinterpret_cast<void*>(address), bytes, MADV_DONTNEED);
  return Napi::Number::New(info.Env(), result < 0 ? -errno : 0);
}

}  // namespace

void fail2zig::RegisterMadvise(Napi::Env env, Napi::Object exports) {
  exports.Set("dropPages", Napi::Function::New(env, DropPages, "dropPages"));
}
