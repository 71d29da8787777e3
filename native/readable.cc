// Calls back from the event loop when a descriptor becomes readable, and lets the callback ask for
// a pause. Node has this only for its own sockets and files, and only with a stream, a buffer and
// an event emitter per call.
#include <uv.h>

#include <memory>

#include "addon.h"

namespace {

using namespace fail2zig;

/// Longest pause that a callback may ask for, ms: an hour. Any other result means none.
constexpr double kRestMillisecondsMax = 3600000;

/// One watched descriptor. Lives until both handles are closed: by the function that `whenReadable`
/// returned, or by the end of the environment.
class Readable {
 public:
  Readable(Napi::Env env, Napi::Function callback)
      : callback_(Napi::Persistent(callback)), context_(env, "fail2zig.readable") {}

  /// 0 or a libuv error (-errno); on an error the object is gone.
  static int Open(Napi::Env env, int descriptor, Napi::Function callback, std::shared_ptr<Readable*>* opened) {
    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(env, &loop);
    auto* self = new Readable(env, callback);
    const int result = uv_poll_init(loop, &self->poll_, descriptor);
    if (result < 0) {
      delete self;
      return result;
    }
    uv_timer_init(loop, &self->timer_);
    self->poll_.data = self;
    self->timer_.data = self;
    napi_add_async_cleanup_hook(
        env, [](napi_async_cleanup_hook_handle, void* data) { static_cast<Readable*>(data)->Close(); }, self,
        &self->cleanup_);
    self->Listen();
    *opened = self->handle_;
    return 0;
  }

  void Close() {
    if (closing_) return;
    closing_ = true;
    *handle_ = nullptr;
    const auto closed = [](uv_handle_t* handle) { static_cast<Readable*>(handle->data)->Closed(); };
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_), closed);
    uv_close(reinterpret_cast<uv_handle_t*>(&timer_), closed);
  }

 private:
  void Listen() {
    resting_ = false;
    uv_poll_start(&poll_, UV_READABLE, [](uv_poll_t* poll, int, int) { static_cast<Readable*>(poll->data)->Call(); });
  }

  /// Calls the callback, which returns for how many milliseconds it needs no call; during that
  /// pause the descriptor is not polled.
  void Call() {
    const Napi::Env env = callback_.Env();
    const Napi::HandleScope scope(env);
    napi_value answered = nullptr;
    // Not through the wrappers: if JavaScript can no longer run because the environment ends, they
    // would end the process.
    const napi_status status =
        napi_make_callback(env, context_, env.Global(), callback_.Value(), 0, nullptr, &answered);
    napi_value thrown = nullptr;
    if (status == napi_pending_exception && napi_get_and_clear_last_exception(env, &thrown) == napi_ok &&
        !IsTermination(env, thrown)) {
      napi_fatal_exception(env, thrown);
      return;
    }
    if (status != napi_ok) {
      Close();
      return;
    }
    const Napi::Value answer(env, answered);
    if (closing_) return;
    if (IsWhole(answer, 1, kRestMillisecondsMax)) {
      const auto rest = static_cast<uint64_t>(answer.As<Napi::Number>().Int64Value());
      if (!resting_) uv_poll_stop(&poll_);
      resting_ = true;
      uv_timer_start(&timer_, [](uv_timer_t* timer) { static_cast<Readable*>(timer->data)->Call(); }, rest, 0);
    } else if (resting_) {
      Listen();
    }
  }

  /// If a thread is ended in the middle of its JavaScript, the thrown value is null.
  static bool IsTermination(napi_env env, napi_value thrown) {
    napi_valuetype type = napi_undefined;
    return napi_typeof(env, thrown, &type) != napi_ok || type == napi_null;
  }

  void Closed() {
    if (++closed_ < 2) return;
    napi_remove_async_cleanup_hook(cleanup_);
    delete this;
  }

  /// Shared with the function that stops it: null from the moment this object is about to be
  /// deleted.
  const std::shared_ptr<Readable*> handle_ = std::make_shared<Readable*>(this);
  uv_poll_t poll_;
  uv_timer_t timer_;
  Napi::FunctionReference callback_;
  Napi::AsyncContext context_;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  bool resting_ = false;
  bool closing_ = false;
  int closed_ = 0;
};

struct Callback {
  static bool Fits(const Napi::Value& value) { return value.IsFunction(); }
  explicit Callback(const Napi::Value& given) : function(given.As<Napi::Function>()) {}
  Napi::Function function;
};

/// A function that stops it, or -errno. The callback is called while the descriptor is readable,
/// and then not for as many milliseconds as it returns. To be stopped before the descriptor is
/// closed.
Napi::Value WhenReadable(Napi::Env env, Descriptor descriptor, Callback callback) {
  std::shared_ptr<Readable*> open;
  const int result = Readable::Open(env, descriptor, callback.function, &open);
  if (result < 0) return ToValue(env, result);
  const auto close = [open](const Napi::CallbackInfo&) {
    if (*open != nullptr) (*open)->Close();
  };
  return Napi::Function::New(env, close, "close");
}

}  // namespace

void fail2zig::ExportReadable(Napi::Object exports) {
  Export<WhenReadable>(exports, "whenReadable(fd: number, callback: () => number)");
}
