// bpf(2) and the clock that eBPF programs read. src/backends/xdp/bpf.ts lays out the attributes and
// sizes the buffers.
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "addon.h"

namespace {

/// Larger than union bpf_attr of any kernel; the kernel refuses what it does not know.
constexpr size_t kAttributeBytesMax = 256;
/// Pointers of one call: none of our commands has more.
constexpr size_t kPointersMax = 4;

using namespace fail2zig;

/// bpf(command, attributes, offset, buffer, offset, buffer...) -> result or -errno. The address of
/// each buffer is put at its offset; the kernel's answer is in `attributes` and the buffers, which
/// must be as large as the map or command says.
Napi::Value Bpf(const Napi::CallbackInfo& info) {
  const auto bad = [&info] {
    return BadArgument(info.Env(), "bpf(command: number, attributes: Uint8Array, ...(offset: number, buffer: Uint8Array))");
  };
  const size_t count = info.Length();
  if (count < 2 || count % 2 != 0 || count > 2 + 2 * kPointersMax || !Int32::Fits(info[0]) || !Bytes::Fits(info[1])) {
    return bad();
  }
  const Bytes attributes(info[1]);
  if (attributes.size > kAttributeBytesMax) return bad();
  alignas(8) uint8_t copy[kAttributeBytesMax] = {};
  memcpy(copy, attributes.data, attributes.size);
  size_t offsets[kPointersMax] = {};
  for (size_t at = 2; at < count; at += 2) {
    if (!Count::Fits(info[at]) || !Bytes::Fits(info[at + 1])) return bad();
    const size_t offset = Count(info[at]).value;
    if (offset % 8 != 0 || offset + 8 > attributes.size) return bad();
    const uint64_t address = reinterpret_cast<uint64_t>(Bytes(info[at + 1]).data);
    memcpy(copy + offset, &address, sizeof address);
    offsets[at / 2 - 1] = offset;
  }
  const int64_t result = OrErrno(syscall(SYS_bpf, Int32(info[0]).value, copy, attributes.size));
  // Addresses are not returned to JavaScript; numbers that the kernel filled in are.
  for (size_t pointer = 0; pointer < count / 2 - 1; pointer++) memset(copy + offsets[pointer], 0, 8);
  memcpy(attributes.data, copy, attributes.size);
  return ToValue(info.Env(), result);
}

/// 0 or -errno: struct bpf_prog_info in `into`, the ids of the program's maps in `ids`, as many as
/// fit. Separate from bpf() because the address of the ids is inside the answer's buffer.
int64_t ProgramInfo(Napi::Env, Descriptor descriptor, Bytes into, Bytes ids) {
  struct bpf_prog_info program = {};
  program.nr_map_ids = static_cast<uint32_t>(ids.size / sizeof(uint32_t));
  program.map_ids = reinterpret_cast<uint64_t>(ids.data);
  union bpf_attr attributes = {};
  attributes.info.bpf_fd = static_cast<uint32_t>(descriptor.value);
  attributes.info.info_len = sizeof program;
  attributes.info.info = reinterpret_cast<uint64_t>(&program);
  const int64_t result = OrErrno(syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attributes, sizeof attributes));
  program.map_ids = 0;
  memcpy(into.data, &program, std::min(into.size, sizeof program));
  return result;
}

/// CLOCK_BOOTTIME, which bpf_ktime_get_boot_ns reads, as a bigint.
Napi::Value BootNanoseconds(Napi::Env env) {
  struct timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  const auto seconds = static_cast<uint64_t>(now.tv_sec);
  return Napi::BigInt::New(env, seconds * 1000000000u + static_cast<uint64_t>(now.tv_nsec));
}

}  // namespace

void fail2zig::ExportBpf(Napi::Object exports) {
  exports.Set("bpf", Napi::Function::New(exports.Env(), Bpf, "bpf"));
  Export<ProgramInfo>(exports, "bpfProgramInfo(fd: number, info: Uint8Array, mapIds: Uint8Array)");
  Export<BootNanoseconds>(exports, "bootNanoseconds()");
}
