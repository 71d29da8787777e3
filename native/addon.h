// What all files of the addon share. Each file wraps one kernel interface: its functions take
// checked arguments, make the call and return the bytes or a negative errno. Nothing here decides
// anything, and no log byte comes here.
//
// The parameter types of a function say what JavaScript must pass: `Export` checks and converts
// each argument before the function is called. A wrong argument is a TypeError, since it is a bug
// of ours, never an errno.
#pragma once

#include <napi.h>

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace fail2zig {

/// True for a whole number within bounds. Every number is checked before it is converted, so that
/// none is truncated or wraps.
inline bool IsWhole(const Napi::Value& value, double least, double most) {
  if (!value.IsNumber()) return false;
  const double number = value.As<Napi::Number>().DoubleValue();
  return number >= least && number <= most && std::floor(number) == number;
}

/// A whole number within bounds.
template <typename Number, int64_t least, int64_t most>
struct Whole {
  static bool Fits(const Napi::Value& value) {
    return IsWhole(value, static_cast<double>(least), static_cast<double>(most));
  }
  explicit Whole(const Napi::Value& given) : value(static_cast<Number>(given.As<Napi::Number>().Int64Value())) {}
  operator Number() const { return value; }
  const Number value;
};

using Int32 = Whole<int, INT32_MIN, INT32_MAX>;
using Uint32 = Whole<uint32_t, 0, UINT32_MAX>;
using Count = Whole<int, 0, INT32_MAX>;
/// A number that names a possible descriptor.
using Descriptor = Count;
/// A position in a file that JavaScript can represent exactly.
using Position = Whole<int64_t, 0, (int64_t{1} << 53) - 1>;

/// A Uint8Array with its memory attached, and a length that every system call accepts.
struct Bytes {
  static bool Fits(const Napi::Value& value) {
    if (!value.IsTypedArray()) return false;
    const Napi::TypedArray array = value.As<Napi::TypedArray>();
    return array.TypedArrayType() == napi_uint8_array && !array.ArrayBuffer().IsDetached() &&
           array.ByteLength() <= INT32_MAX;
  }
  explicit Bytes(const Napi::Value& given)
      : array(given.As<Napi::Uint8Array>()), data(array.Data()), size(array.ByteLength()) {}
  Napi::Uint8Array array;
  uint8_t* data;
  size_t size;
};

/// A string without a NUL inside.
struct Text {
  static bool Fits(const Napi::Value& value) {
    return value.IsString() && value.As<Napi::String>().Utf8Value().find('\0') == std::string::npos;
  }
  explicit Text(const Napi::Value& given) : text(given.As<Napi::String>().Utf8Value()) {}
  const char* c_str() const { return text.c_str(); }
  const std::string text;
};

/// The result of a system call, or -errno. To be called right after it.
inline int64_t OrErrno(int64_t result) { return result < 0 ? -errno : result; }

inline Napi::Value ToValue(Napi::Env env, int64_t number) {
  return Napi::Number::New(env, static_cast<double>(number));
}
inline Napi::Value ToValue(Napi::Env, Napi::Value value) { return value; }

/// Raises a TypeError in the caller.
inline Napi::Value BadArgument(Napi::Env env, const char* message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

template <auto function, typename Result, typename... Types, size_t... at>
Napi::Value Call(const Napi::CallbackInfo& info, Result (*)(Napi::Env, Types...), std::index_sequence<at...>) {
  if (info.Length() != sizeof...(Types) || !(Types::Fits(info[at]) && ...)) {
    return BadArgument(info.Env(), static_cast<const char*>(info.Data()));
  }
  return ToValue(info.Env(), function(info.Env(), Types(info[at])...));
}

template <typename Result, typename... Types>
std::index_sequence_for<Types...> PlacesOf(Result (*)(Napi::Env, Types...));

/// Exports a function of the environment and its arguments; `usage` begins with its name and is the
/// message for wrong arguments.
template <auto function>
void Export(Napi::Object exports, const char* usage) {
  const auto checked = [](const Napi::CallbackInfo& info) {
    return Call<function>(info, function, decltype(PlacesOf(function))());
  };
  const std::string name(usage, strcspn(usage, "("));
  exports.Set(name, Napi::Function::New(exports.Env(), checked, name, const_cast<char*>(usage)));
}

/// One blocking call on a pool thread, whose result (a count or -errno) settles a promise.
class Aside : public Napi::AsyncWorker {
 public:
  /// `held`: the memory that is kept alive until the call is over.
  static Napi::Value Run(Napi::Env env, std::function<int64_t()> call, std::initializer_list<Napi::Uint8Array> held) {
    auto* self = new Aside(env, std::move(call));
    for (const auto& array : held) self->held_.push_back(Napi::Persistent(array));
    self->Queue();
    return self->deferred_.Promise();
  }

 protected:
  void Execute() override { result_ = call_(); }
  void OnOK() override { deferred_.Resolve(ToValue(Env(), result_)); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Aside(Napi::Env env, std::function<int64_t()> call)
      : Napi::AsyncWorker(env, "fail2zig"), deferred_(Napi::Promise::Deferred::New(env)), call_(std::move(call)) {}

  Napi::Promise::Deferred deferred_;
  std::function<int64_t()> call_;
  std::vector<Napi::Reference<Napi::Uint8Array>> held_;
  int64_t result_ = 0;
};

void ExportNetlink(Napi::Object exports);
void ExportPeer(Napi::Object exports);
void ExportMemfd(Napi::Object exports);
void ExportDatagram(Napi::Object exports);
void ExportMadvise(Napi::Object exports);
void ExportBpf(Napi::Object exports);
void ExportXtables(Napi::Object exports);
void ExportInotify(Napi::Object exports);
void ExportReadable(Napi::Object exports);
void ExportFile(Napi::Object exports);
void ExportConfine(Napi::Object exports);
void ExportListener(Napi::Object exports);
void ExportHash(Napi::Object exports);

}  // namespace fail2zig
