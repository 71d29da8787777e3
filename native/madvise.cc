// madvise(2). MADV_DONTNEED takes resident pages of a mapping away; the next use of one brings it
// back from its file. Which mappings that is harmless for is decided in src/memory/ceiling.ts.
// MADV_HUGEPAGE asks for large pages behind a buffer.
#include <sys/mman.h>

#include <cerrno>

#include "addon.h"

namespace {

/// User space ends here on 64-bit machines with four page-table levels; larger numbers are a bug of
/// ours.
constexpr double kAddressMax = 140737488355328.0;

/// dropPages(address, bytes) -> 0 or -errno. Both are multiples of the page size, else -EINVAL
/// comes from the kernel.
Napi::Value DropPages(const Napi::CallbackInfo& info) {
  if (info.Length() != 2 || !fail2zig::IsWhole(info[0], 4096, kAddressMax) ||
      !fail2zig::IsWhole(info[1], 1, kAddressMax)) {
    return fail2zig::BadArgument(info.Env(), "dropPages(address: number, bytes: number)");
  }
  const auto address = static_cast<uintptr_t>(info[0].As<Napi::Number>().DoubleValue());
  const auto bytes = static_cast<size_t>(info[1].As<Napi::Number>().DoubleValue());
  const int result = madvise(reinterpret_cast<void*>(address), bytes, MADV_DONTNEED);
  return Napi::Number::New(info.Env(), result < 0 ? -errno : 0);
}

/// hugePages(memory) -> 0 or -errno. The whole pages inside an ArrayBuffer.
Napi::Value HugePages(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !info[0].IsArrayBuffer() || info[0].As<Napi::ArrayBuffer>().IsDetached()) {
    return fail2zig::BadArgument(info.Env(), "hugePages(memory: ArrayBuffer)");
  }
  auto memory = info[0].As<Napi::ArrayBuffer>();
  constexpr uintptr_t kPage = 4096;
  const auto start = (reinterpret_cast<uintptr_t>(memory.Data()) + kPage - 1) & ~(kPage - 1);
  const auto end = (reinterpret_cast<uintptr_t>(memory.Data()) + memory.ByteLength()) & ~(kPage - 1);
  if (end <= start) return Napi::Number::New(info.Env(), 0);
  const int result = madvise(reinterpret_cast<void*>(start), end - start, MADV_HUGEPAGE);
  return Napi::Number::New(info.Env(), result < 0 ? -errno : 0);
}

}  // namespace

void fail2zig::RegisterMadvise(Napi::Env env, Napi::Object exports) {
  exports.Set("dropPages", Napi::Function::New(env, DropPages, "dropPages"));
  exports.Set("hugePages", Napi::Function::New(env, HugePages, "hugePages"));
}
