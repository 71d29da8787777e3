// What every file of the addon shares. Each file wraps one kernel interface: it checks its
// arguments, makes the call and returns the bytes or a negative errno. Nothing here decides
// anything, and no log byte comes here.
#pragma once

#include <napi.h>

#include <cmath>
#include <cstdint>
#include <string>

namespace fail2zig {

/// True for a whole number within bounds. Every number is checked by this before it is converted,
/// so that none is cut or wraps.
inline bool IsWhole(const Napi::Value& value, double least, double most) {
  if (!value.IsNumber()) return false;
  const double number = value.As<Napi::Number>().DoubleValue();
  return number >= least && number <= most && std::floor(number) == number;
}

inline bool IsInt32(const Napi::Value& value) { return IsWhole(value, INT32_MIN, INT32_MAX); }
inline bool IsUint32(const Napi::Value& value) { return IsWhole(value, 0, UINT32_MAX); }

/// True for a position in a file that JavaScript can say exactly.
inline bool IsPosition(const Napi::Value& value) { return IsWhole(value, 0, 9007199254740991.0); }

/// True for a number that names a possible descriptor.
inline bool IsDescriptor(const Napi::Value& value) { return IsWhole(value, 0, INT32_MAX); }

/// True for a Uint8Array whose memory is there, and whose length every system call can take.
inline bool IsBytes(const Napi::Value& value) {
  if (!value.IsTypedArray()) return false;
  const Napi::TypedArray array = value.As<Napi::TypedArray>();
  return array.TypedArrayType() == napi_uint8_array && !array.ArrayBuffer().IsDetached() &&
         array.ByteLength() <= INT32_MAX;
}

/// True for a string that a C string can hold: without a zero inside.
inline bool IsText(const Napi::Value& value) {
  return value.IsString() &&
         value.As<Napi::String>().Utf8Value().find('\0') == std::string::npos;
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
void RegisterWrite(Napi::Env env, Napi::Object exports);

}  // namespace fail2zig
