// For tests: any system call, from inside the core, as code that an attacker got to run would make
// it. No part of the program.
#include <napi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace {

/// call(number, ...arguments): a number as it is, bytes as their address. The result or -errno.
Napi::Value Call(const Napi::CallbackInfo& info) {
  long parameters[7] = {};
  for (size_t at = 0; at < info.Length() && at < 7; at++) {
    parameters[at] = info[at].IsNumber()
                         ? static_cast<long>(info[at].As<Napi::Number>().Int64Value())
                         : reinterpret_cast<long>(info[at].As<Napi::Uint8Array>().Data());
  }
  const long result = syscall(parameters[0], parameters[1], parameters[2], parameters[3], parameters[4],
                              parameters[5], parameters[6]);
  return Napi::Number::New(info.Env(), static_cast<double>(result < 0 ? -errno : result));
}

Napi::Object Register(Napi::Env env, Napi::Object exports) {
  exports.Set("call", Napi::Function::New(env, Call, "call"));
  return exports;
}

}  // namespace

NODE_API_MODULE(hook, Register)
