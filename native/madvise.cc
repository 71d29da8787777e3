// madvise(2). MADV_DONTNEED takes resident pages of a mapping away; the next use of one brings it
// back from its file. Which mappings that is harmless for is decided in src/memory/ceiling.ts.
// MADV_HUGEPAGE asks for large pages behind a buffer.
#include <sys/mman.h>

#include "addon.h"

namespace {

using namespace fail2zig;

constexpr uintptr_t kPage = 4096;
/// User space ends here on 64-bit machines with four page-table levels; larger numbers are a bug of
/// ours.
constexpr int64_t kAddressMax = int64_t{1} << 47;

using Address = Whole<uintptr_t, kPage, kAddressMax>;
using Length = Whole<size_t, 1, kAddressMax>;

/// 0 or -errno. Both are multiples of the page size, else -EINVAL comes from the kernel.
int64_t DropPages(Napi::Env, Address address, Length bytes) {
  return OrErrno(madvise(reinterpret_cast<void*>(address.value), bytes, MADV_DONTNEED));
}

/// An ArrayBuffer whose memory is there.
struct Memory {
  static bool Fits(const Napi::Value& value) {
    return value.IsArrayBuffer() && !value.As<Napi::ArrayBuffer>().IsDetached();
  }
  explicit Memory(const Napi::Value& given) : buffer(given.As<Napi::ArrayBuffer>()) {}
  Napi::ArrayBuffer buffer;
};

/// 0 or -errno. The whole pages inside.
int64_t HugePages(Napi::Env, Memory memory) {
  const auto data = reinterpret_cast<uintptr_t>(memory.buffer.Data());
  const auto start = (data + kPage - 1) & ~(kPage - 1);
  const auto end = (data + memory.buffer.ByteLength()) & ~(kPage - 1);
  return end <= start ? 0 : OrErrno(madvise(reinterpret_cast<void*>(start), end - start, MADV_HUGEPAGE));
}

}  // namespace

void fail2zig::ExportMadvise(Napi::Object exports) {
  Export<DropPages>(exports, "dropPages(address: number, bytes: number)");
  Export<HugePages>(exports, "hugePages(memory: ArrayBuffer)");
}
