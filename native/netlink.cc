// netlink(7) sockets: open, send, receive one datagram, wait. Messages are built and read in
// src/backends/netlink/. send() may block for seconds while another nft transaction runs,
// so it never runs on the calling thread; a receive never waits, but while a dump goes on the
// kernel makes its next part inside it: some 10 ms where a set is large.
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "addon.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

namespace {

/// A send is waited for awake for a second at most.
constexpr double kAwakeMicrosecondsMax = 1000000;

/// The privileged option first, then the one everybody may set; the kernel caps the latter.
void SetBufferBytes(int descriptor, int forced, int plain, int bytes) {
  if (bytes <= 0) return;
  if (setsockopt(descriptor, SOL_SOCKET, forced, &bytes, sizeof bytes) < 0) {
    setsockopt(descriptor, SOL_SOCKET, plain, &bytes, sizeof bytes);
  }
}

/// netlinkOpen(protocol, groups, sendBytes, receiveBytes) -> descriptor or -errno. With no groups
/// the socket is connected to the kernel, which then refuses datagrams of any other process for us.
Napi::Value Open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 4 || !fail2zig::IsInt32(info[0]) || !fail2zig::IsUint32(info[1]) ||
      !fail2zig::IsWhole(info[2], 0, INT32_MAX) || !fail2zig::IsWhole(info[3], 0, INT32_MAX)) {
    return fail2zig::BadArgument(env, "netlinkOpen(protocol, groups, sendBytes, receiveBytes: number)");
  }
  const int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, info[0].As<Napi::Number>().Int32Value());
  if (descriptor < 0) return Napi::Number::New(env, -errno);

  SetBufferBytes(descriptor, SO_SNDBUFFORCE, SO_SNDBUF, info[2].As<Napi::Number>().Int32Value());
  SetBufferBytes(descriptor, SO_RCVBUFFORCE, SO_RCVBUF, info[3].As<Napi::Number>().Int32Value());
  const int on = 1;
  setsockopt(descriptor, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  setsockopt(descriptor, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);

  struct sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = info[1].As<Napi::Number>().Uint32Value();
  int result = bind(descriptor, reinterpret_cast<struct sockaddr*>(&address), sizeof address);
  if (result == 0 && address.nl_groups == 0) {
    result = connect(descriptor, reinterpret_cast<struct sockaddr*>(&address), sizeof address);
  }
  if (result < 0) {
    const int error = errno;
    close(descriptor);
    return Napi::Number::New(env, -error);
  }
  return Napi::Number::New(env, descriptor);
}

/// One blocking call on a pool thread, whose result (a count or -errno) settles a promise.
class Call : public Napi::AsyncWorker {
 public:
  explicit Call(Napi::Env env)
      : Napi::AsyncWorker(env, "fail2zig.netlink"), deferred_(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise Promise() const { return deferred_.Promise(); }

 protected:
  void OnOK() override { deferred_.Resolve(Napi::Number::New(Env(), static_cast<double>(result_))); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }
  ssize_t result_ = 0;

 private:
  Napi::Promise::Deferred deferred_;
};

/// The bytes of one send() and, once `done`, what it returned.
struct Job {
  int descriptor;
  const uint8_t* data;
  size_t length;
  ssize_t result = 0;
  std::atomic<bool> done{false};

  void Run() {
    const ssize_t sent = send(descriptor, data, length, 0);
    result = sent < 0 ? -errno : sent;
  }
};

/// A thread that does one job at a time. It exists because a thread that waits is awake sooner than
/// one of libuv's pool and its result need not come back through the event loop. Never destroyed:
/// its thread ends with the process.
class Sender {
 public:
  static Sender& Instance() {
    static auto* instance = new Sender;
    return *instance;
  }

  /// False when a job is under way: this one was not taken.
  bool Post(const std::shared_ptr<Job>& job) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (job_ != nullptr) return false;
      job_ = job;
    }
    posted_.notify_one();
    return true;
  }

  /// Blocks until the job is done.
  void Await(const Job& job) {
    std::unique_lock<std::mutex> lock(mutex_);
    finished_.wait(lock, [&job] { return job.done.load(std::memory_order_acquire); });
  }

 private:
  Sender() { std::thread([this] { Loop(); }).detach(); }

  void Loop() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      posted_.wait(lock, [this] { return job_ != nullptr; });
      const std::shared_ptr<Job> job = job_;
      lock.unlock();
      job->Run();
      lock.lock();
      job_ = nullptr;
      job->done.store(true, std::memory_order_release);
      finished_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable posted_;
  std::condition_variable finished_;
  std::shared_ptr<Job> job_;
};

/// A send that was not over at once: a pool thread waits for it or, where the sender had another
/// job, does it.
class SendCall : public Call {
 public:
  SendCall(Napi::Env env, std::shared_ptr<Job> job, Napi::Uint8Array bytes, bool posted)
      : Call(env), job_(std::move(job)), held_(Napi::Persistent(bytes)), posted_(posted) {}

 protected:
  void Execute() override {
    if (posted_) {
      Sender::Instance().Await(*job_);
    } else {
      job_->Run();
    }
    result_ = job_->result;
  }

 private:
  std::shared_ptr<Job> job_;
  Napi::Reference<Napi::Uint8Array> held_;  // keeps the bytes alive until the call is over
  bool posted_;
};

class WaitCall : public Call {
 public:
  WaitCall(Napi::Env env, int descriptor, int milliseconds)
      : Call(env), descriptor_(descriptor), milliseconds_(milliseconds) {}

 protected:
  void Execute() override {
    struct pollfd watched = {descriptor_, POLLIN, 0};
    const int ready = poll(&watched, 1, milliseconds_);
    result_ = ready < 0 ? -errno : ready;
  }

 private:
  int descriptor_;
  int milliseconds_;
};

/// recv() without waiting: the real length of one datagram or -errno.
ssize_t ReceiveNow(int descriptor, void* into, size_t length) {
  const ssize_t received = recv(descriptor, into, length, MSG_DONTWAIT | MSG_TRUNC);
  return received < 0 ? -errno : received;
}

class ReceiveCall : public Call {
 public:
  ReceiveCall(Napi::Env env, int descriptor, Napi::Uint8Array into)
      : Call(env), descriptor_(descriptor), data_(into.Data()), length_(into.ByteLength()),
        held_(Napi::Persistent(into)) {}

 protected:
  void Execute() override { result_ = ReceiveNow(descriptor_, data_, length_); }

 private:
  int descriptor_;
  uint8_t* data_;
  size_t length_;
  Napi::Reference<Napi::Uint8Array> held_;  // keeps the memory alive until the call is over
};

/// netlinkSend(fd, bytes, microseconds) -> the bytes sent or -errno, where the call was over within
/// that time; else a promise of it.
Napi::Value Send(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 3 || !fail2zig::IsDescriptor(info[0]) || !fail2zig::IsBytes(info[1]) ||
      !fail2zig::IsWhole(info[2], 0, kAwakeMicrosecondsMax)) {
    return fail2zig::BadArgument(env, "netlinkSend(fd: number, bytes: Uint8Array, microseconds: number)");
  }
  const Napi::Uint8Array bytes = info[1].As<Napi::Uint8Array>();
  auto job = std::make_shared<Job>();
  job->descriptor = info[0].As<Napi::Number>().Int32Value();
  job->data = bytes.Data();
  job->length = bytes.ByteLength();
  const auto patience = std::chrono::microseconds(info[2].As<Napi::Number>().Int32Value());
  const bool posted = Sender::Instance().Post(job);
  if (posted) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    do {
      if (job->done.load(std::memory_order_acquire)) return Napi::Number::New(env, static_cast<double>(job->result));
    } while (std::chrono::steady_clock::now() < deadline);
  }
  auto* call = new SendCall(env, std::move(job), bytes, posted);
  call->Queue();
  return call->Promise();
}

/// netlinkWait(fd, milliseconds) -> promise of 1 (something to read), 0 (time is up) or -errno.
Napi::Value Wait(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 2 || !fail2zig::IsDescriptor(info[0]) ||
      !fail2zig::IsWhole(info[1], 0, INT32_MAX)) {
    return fail2zig::BadArgument(env, "netlinkWait(fd: number, milliseconds: number)");
  }
  auto* call =
      new WaitCall(env, info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Number>().Int32Value());
  call->Queue();
  return call->Promise();
}

/// netlinkReceive(fd, into) -> length of one datagram (its real one, even where `into` is shorter)
/// or -errno; never waits.
Napi::Value Receive(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 2 || !fail2zig::IsDescriptor(info[0]) || !fail2zig::IsBytes(info[1])) {
    return fail2zig::BadArgument(env, "netlinkReceive(fd: number, into: Uint8Array)");
  }
  Napi::Uint8Array into = info[1].As<Napi::Uint8Array>();
  const ssize_t received = ReceiveNow(info[0].As<Napi::Number>().Int32Value(), into.Data(), into.ByteLength());
  return Napi::Number::New(env, static_cast<double>(received));
}

/// netlinkReceiveAside(fd, into) -> promise of the same, on a pool thread. `into` is the call's
/// until then.
Napi::Value ReceiveAside(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (info.Length() != 2 || !fail2zig::IsDescriptor(info[0]) || !fail2zig::IsBytes(info[1])) {
    return fail2zig::BadArgument(env, "netlinkReceiveAside(fd: number, into: Uint8Array)");
  }
  auto* call = new ReceiveCall(env, info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Uint8Array>());
  call->Queue();
  return call->Promise();
}

}  // namespace

void fail2zig::RegisterNetlink(Napi::Env env, Napi::Object exports) {
  exports.Set("netlinkOpen", Napi::Function::New(env, Open, "netlinkOpen"));
  exports.Set("netlinkSend", Napi::Function::New(env, Send, "netlinkSend"));
  exports.Set("netlinkWait", Napi::Function::New(env, Wait, "netlinkWait"));
  exports.Set("netlinkReceive", Napi::Function::New(env, Receive, "netlinkReceive"));
  exports.Set("netlinkReceiveAside", Napi::Function::New(env, ReceiveAside, "netlinkReceiveAside"));
}
