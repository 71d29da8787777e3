// The addon's table of contents.
#include "addon.h"

namespace {

Napi::Object Register(Napi::Env env, Napi::Object exports) {
  fail2zig::RegisterNetlink(env, exports);
  fail2zig::RegisterPeer(env, exports);
  fail2zig::RegisterMemfd(env, exports);
  fail2zig::RegisterMadvise(env, exports);
  fail2zig::RegisterBpf(env, exports);
  fail2zig::RegisterXtables(env, exports);
  fail2zig::RegisterInotify(env, exports);
  fail2zig::RegisterReadable(env, exports);
  fail2zig::RegisterPread(env, exports);
  fail2zig::RegisterSeek(env, exports);
  fail2zig::RegisterWrite(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(fail2zig, Register)
