// bpf(2) and the clock that eBPF programs read. Attributes are laid out, and buffers sized, in
// src/backends/xdp/bpf.ts.
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "addon.h"

namespace {

/// More than union bpf_attr of any kernel; the kernel refuses what it does not know.
constexpr size_t kAttributeBytesMax = 256;
/// Pointers of one call: no command that we use has more.
constexpr size_t kPointersMax = 4;

using fail2zig::IsBytes;

/// bpf(command, attributes, offset, buffer, offset, buffer...) -> result or -errno. The address of
/// each buffer is put at its offset; the kernel's answer is in `attributes` and the buffers, which
/// must be as large as the map or command says.
Napi::Value Bpf(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const char* const usage = "bpf(command: number, attributes: Uint8Array, ...(offset: number, buffer: Uint8Array))";
  const size_t count = info.Length();
  if (count < 2 || count % 2 != 0 || count > 2 + 2 * kPointersMax || !fail2zig::IsInt32(info[0]) || !IsBytes(info[1])) {
    return fail2zig::BadArgument(env, usage);
  }
  Napi::Uint8Array attributes = info[1].As<Napi::Uint8Array>();
  const size_t length = attributes.ByteLength();
  if (length > kAttributeBytesMax) return fail2zig::BadArgument(env, usage);
  alignas(8) uint8_t copy[kAttributeBytesMax] = {};
  memcpy(copy, attributes.Data(), length);
  for (size_t at = 2; at < count; at += 2) {
    if (length < 8 || !fail2zig::IsWhole(info[at], 0, static_cast<double>(length - 8)) || !IsBytes(info[at + 1])) {
      return fail2zig::BadArgument(env, usage);
    }
    const size_t offset = info[at].As<Napi::Number>().Uint32Value();
    if (offset % 8 != 0) return fail2zig::BadArgument(env, usage);
    const uint64_t address = reinterpret_cast<uint64_t>(info[at + 1].As<Napi::Uint8Array>().Data());
    memcpy(copy + offset, &address, sizeof address);
  }
  const long result = syscall(SYS_bpf, info[0].As<Napi::Number>().Int32Value(), copy, length);
  const int error = errno;
  // Addresses stay here; numbers that the kernel filled in go back.
  for (size_t at = 2; at < count; at += 2) memset(copy + info[at].As<Napi::Number>().Uint32Value(), 0, 8);
  memcpy(attributes.Data(), copy, length);
  return Napi::Number::New(env, static_cast<double>(result < 0 ? -error : result));
}

/// bpfProgramInfo(fd, info, mapIds) -> 0 or -errno: struct bpf_prog_info in `info`, the ids of its
/// maps in `mapIds`, as many as fit. Apart from bpf() because the address of the ids stands inside
/// the answer's buffer.
Napi::Value ProgramInfo(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 3 || !fail2zig::IsDescriptor(info[0]) || !IsBytes(info[1]) || !IsBytes(info[2])) {
    return fail2zig::BadArgument(env, "bpfProgramInfo(fd: number, info: Uint8Array, mapIds: Uint8Array)");
  }
  Napi::Uint8Array into = info[1].As<Napi::Uint8Array>();
  Napi::Uint8Array ids = info[2].As<Napi::Uint8Array>();
  struct bpf_prog_info program = {};
  program.nr_map_ids = static_cast<uint32_t>(ids.ByteLength() / sizeof(uint32_t));
  program.map_ids = reinterpret_cast<uint64_t>(ids.Data());
  union bpf_attr attributes = {};
  attributes.info.bpf_fd = static_cast<uint32_t>(info[0].As<Napi::Number>().Int32Value());
  attributes.info.info_len = sizeof program;
  attributes.info.info = reinterpret_cast<uint64_t>(&program);
  const long result = syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attributes, sizeof attributes);
  const int error = errno;
  program.map_ids = 0;
  memcpy(into.Data(), &program, std::min(into.ByteLength(), sizeof program));
  return Napi::Number::New(env, static_cast<double>(result < 0 ? -error : result));
}

/// bootNanoseconds() -> CLOCK_BOOTTIME, which bpf_ktime_get_boot_ns reads, as a bigint.
Napi::Value BootNanoseconds(const Napi::CallbackInfo& info) {
  struct timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  const auto seconds = static_cast<uint64_t>(now.tv_sec);
  const auto nanoseconds = static_cast<uint64_t>(now.tv_nsec);
  return Napi::BigInt::New(info.Env(), seconds * 1000000000u + nanoseconds);
}

}  // namespace

void fail2zig::RegisterBpf(Napi::Env env, Napi::Object exports) {
  exports.Set("bpf", Napi::Function::New(env, Bpf, "bpf"));
  exports.Set("bpfProgramInfo", Napi::Function::New(env, ProgramInfo, "bpfProgramInfo"));
  exports.Set("bootNanoseconds", Napi::Function::New(env, BootNanoseconds, "bootNanoseconds"));
}
