// What every file of the addon shares. Each file wraps one kernel interface: it checks its
// arguments, makes the call and returns the bytes or a negative errno. Nothing here decides
// anything, and no log byte comes here.
#pragma once

#include <napi.h>

#include <cstdint>

namespace fail2zig {

/// True when `value` is a number that names a possible descriptor.
inline bool IsDescriptor(const Napi::Value& value) {
  return value.IsNumber() && value.As<Napi::Number>().DoubleValue() >= 0 &&
         value.As<Napi::Number>().DoubleValue() <= INT32_MAX;
}

/// True for a Uint8Array.
inline bool IsBytes(const Napi::Value& value) {
  return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
}

/// Raises a TypeError in the caller: a wrong argument is a bug of ours, never an errno.
inline Napi::Value BadArgument(Napi::Env env, const char* message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

void RegisterNetlink(Napi::Env env, Napi::Object exports);
void RegisterPeer(Napi::Env env, Napi::Object exports);
void RegisterMemfd(Napi::Env env, Napi::Object exports);
void RegisterMadvise(Napi::Env env, Napi::Object exports);
void RegisterBpf(Napi::Env env, Napi::Object exports);
void RegisterXtables(Napi::Env env, Napi::Object exports);
void RegisterInotify(Napi::Env env, Napi::Object exports);
void RegisterReadable(Napi::Env env, Napi::Object exports);
void RegisterPread(Napi::Env env, Napi::Object exports);
void RegisterSeek(Napi::Env env, Napi::Object exports);

}  // namespace fail2zig
