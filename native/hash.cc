// SHA-256 of the runtime's own OpenSSL, whose plain functions need none of its providers: loading
// node:crypto for it takes 9 ms and 4 MiB of a start.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "addon.h"

namespace {

using namespace fail2zig;

/// In hexadecimal digits.
Napi::Value Sha256(Napi::Env env, Text text) {
  SHA256_CTX context;
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256_Init(&context);
  SHA256_Update(&context, text.text.data(), text.text.size());
  SHA256_Final(digest, &context);
  char digits[2 * sizeof digest];
  for (size_t at = 0; at < sizeof digest; at++) {
    digits[2 * at] = "0123456789abcdef"[digest[at] >> 4];
    digits[2 * at + 1] = "0123456789abcdef"[digest[at] & 15];
  }
  return Napi::String::New(env, digits, sizeof digits);
}

}  // namespace

void fail2zig::ExportHash(Napi::Object exports) { Export<Sha256>(exports, "sha256(text: string)"); }
