// netlink(7) sockets: open, send, receive one datagram, wait. Messages are built and read in
// src/backends/netlink/. send() may block for seconds while another nft transaction runs, so it
// never runs on the calling thread. A receive never waits, but during a dump the kernel builds the
// next part inside it: some 10 ms for a large set.
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
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

using namespace fail2zig;

/// The calling thread waits awake for a send for at most a second.
constexpr int64_t kAwakeMicrosecondsMax = 1000000;

int SetOption(int descriptor, int level, int option, int value) {
  return setsockopt(descriptor, level, option, &value, sizeof value);
}

/// Tries the privileged option first, then the one that everybody may set, whose value the kernel
/// caps.
void SetBufferBytes(int descriptor, int forced, int plain, int bytes) {
  if (bytes > 0 && SetOption(descriptor, SOL_SOCKET, forced, bytes) < 0) {
    SetOption(descriptor, SOL_SOCKET, plain, bytes);
  }
}

/// A descriptor or -errno. Without groups the socket is connected to the kernel, which then rejects
/// datagrams of any other process.
int64_t Open(Napi::Env, Int32 protocol, Uint32 groups, Count sendBytes, Count receiveBytes) {
  const int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
  if (descriptor < 0) return -errno;
  SetBufferBytes(descriptor, SO_SNDBUFFORCE, SO_SNDBUF, sendBytes);
  SetBufferBytes(descriptor, SO_RCVBUFFORCE, SO_RCVBUF, receiveBytes);
  SetOption(descriptor, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  SetOption(descriptor, SOL_NETLINK, NETLINK_CAP_ACK, 1);

  struct sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  const auto* const own = reinterpret_cast<struct sockaddr*>(&address);
  int result = bind(descriptor, own, sizeof address);
  if (result == 0 && groups == 0) result = connect(descriptor, own, sizeof address);
  if (result == 0) return descriptor;
  const int error = errno;
  close(descriptor);
  return -error;
}

/// The bytes of one send() and, once `done`, its result.
struct Job {
  int descriptor;
  const uint8_t* data;
  size_t length;
  int64_t result = 0;
  std::atomic<bool> done{false};

  void Run() { result = OrErrno(send(descriptor, data, length, 0)); }
};

/// A thread that does one job at a time. A thread that waits wakes up sooner than one of libuv's
/// pool, and its result does not have to pass the event loop. Never destroyed: its thread ends with
/// the process.
class Sender {
 public:
  static Sender& Instance() {
    static auto* instance = new Sender;
    return *instance;
  }

  /// False if a job is in progress: this one was not accepted.
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

using Microseconds = Whole<int, 0, kAwakeMicrosecondsMax>;

/// The bytes sent or -errno, if the call finished within that time; else a promise of it. A pool
/// thread waits for it, or does the send itself if the sender was busy.
Napi::Value Send(Napi::Env env, Descriptor descriptor, Bytes bytes, Microseconds awake) {
  auto job = std::make_shared<Job>();
  job->descriptor = descriptor;
  job->data = bytes.data;
  job->length = bytes.size;
  const bool posted = Sender::Instance().Post(job);
  if (posted) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(awake.value);
    do {
      if (job->done.load(std::memory_order_acquire)) return ToValue(env, job->result);
    } while (std::chrono::steady_clock::now() < deadline);
  }
  const auto finish = [job, posted] {
    if (posted) {
      Sender::Instance().Await(*job);
    } else {
      job->Run();
    }
    return job->result;
  };
  return Aside::Run(env, finish, {bytes.array});
}

/// A promise of 1 (readable), 0 (timeout) or -errno.
Napi::Value Wait(Napi::Env env, Descriptor descriptor, Count milliseconds) {
  const auto wait = [descriptor = descriptor.value, milliseconds = milliseconds.value] {
    struct pollfd watched = {descriptor, POLLIN, 0};
    return OrErrno(poll(&watched, 1, milliseconds));
  };
  return Aside::Run(env, wait, {});
}

int64_t ReceiveNow(int descriptor, void* into, size_t length) {
  return OrErrno(recv(descriptor, into, length, MSG_DONTWAIT | MSG_TRUNC));
}

/// The length of one datagram (its real one, even if `into` is shorter) or -errno; never waits.
int64_t Receive(Napi::Env, Descriptor descriptor, Bytes into) { return ReceiveNow(descriptor, into.data, into.size); }

/// A promise of the same, on a pool thread. `into` must not be touched until then.
Napi::Value ReceiveAside(Napi::Env env, Descriptor descriptor, Bytes into) {
  const auto receive = [descriptor = descriptor.value, data = into.data, size = into.size] {
    return ReceiveNow(descriptor, data, size);
  };
  return Aside::Run(env, receive, {into.array});
}

}  // namespace

void fail2zig::ExportNetlink(Napi::Object exports) {
  Export<Open>(exports, "netlinkOpen(protocol, groups, sendBytes, receiveBytes: number)");
  Export<Send>(exports, "netlinkSend(fd: number, bytes: Uint8Array, microseconds: number)");
  Export<Wait>(exports, "netlinkWait(fd: number, milliseconds: number)");
  Export<Receive>(exports, "netlinkReceive(fd: number, into: Uint8Array)");
  Export<ReceiveAside>(exports, "netlinkReceiveAside(fd: number, into: Uint8Array)");
}
