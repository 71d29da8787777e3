// madvise(2). MADV_DONTNEED removes resident pages of a mapping; the next access loads them again
// from the file. src/memory/ceiling.ts decides for which mappings that is safe. MADV_DONTDUMP
// and MADV_DODUMP split a mapping. MADV_HUGEPAGE requests large pages for a buffer.
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "addon.h"

namespace {

using namespace fail2zig;

constexpr uintptr_t kPage = 4096;
/// The end of user space on 64-bit machines with four page-table levels; a larger number is a bug
/// of ours.
constexpr int64_t kAddressMax = int64_t{1} << 47;

using Address = Whole<uintptr_t, kPage, kAddressMax>;
using Length = Whole<size_t, 1, kAddressMax>;

/// 0 or -errno. Both are multiples of the page size, otherwise the kernel returns -EINVAL.
int64_t DropPages(Napi::Env, Address address, Length bytes) {
  return OrErrno(madvise(reinterpret_cast<void*>(address.value), bytes, MADV_DONTNEED));
}

/// 0 or -errno. Splits the range into ranges of `step` bytes: a kernel that maps a whole large
/// folio of a file (6.18) stops at the end of a range. Neighbours only differ in whether a core
/// dump contains them, which never contains clean pages of a file.
int64_t SplitRange(Napi::Env, Address address, Length bytes, Length step) {
  int advice = MADV_DONTDUMP;
  for (size_t at = 0; at < bytes.value; at += step.value) {
    const size_t length = std::min(step.value, bytes.value - at);
    if (madvise(reinterpret_cast<void*>(address.value + at), length, advice) < 0) return -errno;
    advice = advice == MADV_DONTDUMP ? MADV_DODUMP : MADV_DONTDUMP;
  }
  return 0;
}

/// An ArrayBuffer with its memory attached.
struct Memory {
  static bool Fits(const Napi::Value& value) {
    return value.IsArrayBuffer() && !value.As<Napi::ArrayBuffer>().IsDetached();
  }
  explicit Memory(const Napi::Value& given) : buffer(given.As<Napi::ArrayBuffer>()) {}
  Napi::ArrayBuffer buffer;
};

/// 0 or -errno. For the whole pages inside.
int64_t HugePages(Napi::Env, Memory memory) {
  const auto data = reinterpret_cast<uintptr_t>(memory.buffer.Data());
  const auto start = (data + kPage - 1) & ~(kPage - 1);
  const auto end = (data + memory.buffer.ByteLength()) & ~(kPage - 1);
  return end <= start ? 0 : OrErrno(madvise(reinterpret_cast<void*>(start), end - start, MADV_HUGEPAGE));
}

}  // namespace

void fail2zig::ExportMadvise(Napi::Object exports) {
  Export<DropPages>(exports, "dropPages(address: number, bytes: number)");
  Export<SplitRange>(exports, "splitRange(address: number, bytes: number, step: number)");
  Export<HugePages>(exports, "hugePages(memory: ArrayBuffer)");
}
