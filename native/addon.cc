// The addon's table of contents.
#include "addon.h"

namespace {

Napi::Object Register(Napi::Env, Napi::Object exports) {
  fail2zig::ExportNetlink(exports);
  fail2zig::ExportPeer(exports);
  fail2zig::ExportMemfd(exports);
  fail2zig::ExportDatagram(exports);
  fail2zig::ExportMadvise(exports);
  fail2zig::ExportBpf(exports);
  fail2zig::ExportXtables(exports);
  fail2zig::ExportInotify(exports);
  fail2zig::ExportReadable(exports);
  fail2zig::ExportFile(exports);
  fail2zig::ExportConfine(exports);
  fail2zig::ExportListener(exports);
  fail2zig::ExportHash(exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(fail2zig, Register)
