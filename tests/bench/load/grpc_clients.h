// The gRPC ends of the transport benches: a publisher, and subscribers that count and forget.
//
// Thread: made and used on the main thread; counts are read there while gRPC's threads add to them.
// Lifetime: until the program ends; a stream that breaks ends the program with a message.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/mutex.h"
#include "common/rpc/byte_stream.h"
#include "tests/bench/load/wake.h"
#include "tributary/v1/publisher.pb.h"

namespace bench {

// One stream whose messages go to `on_message`, on a gRPC thread.
class Stream {
 public:
  using OnMessage = std::function<void(std::string_view bytes)>;
  ~Stream() { ending_ = true; }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  Stream(const std::string& address, const std::string& method, const std::string& service,
         OnMessage on_message);
  void Write(std::string message);

 private:
  const OnMessage on_message_;
  common::Mutex mutex_;
  std::atomic<bool> ending_ = false;
  std::unique_ptr<common::ByteStream> stream_ TSA_GUARDED_BY(mutex_);  // last: ends the handlers
};

// tributary.v1.Publisher/Publish.
class PublishClient {
 public:
  // Blocks until the control plane has answered the greeting.
  PublishClient(const std::string& address, const std::string& service, Wake& wake);

  // Puts of keys `first`, `first`+1, … (modulo `keys`) as one batch.
  void Publish(std::uint64_t first, std::size_t count, std::uint64_t keys, std::size_t value_bytes,
               std::uint64_t round);
  std::uint64_t sent() const { return sent_; }                    // batches
  std::uint64_t durable() const { return durable_.load(); }       // batches
  std::int64_t durable_at() const { return durable_at_.load(); }  // when the last one was

 private:
  void OnMessage(std::string_view bytes);

  Wake& wake_;
  std::atomic<bool> greeted_ = false;
  std::atomic<std::uint64_t> durable_ = 0;
  std::atomic<std::int64_t> durable_at_ = 0;
  std::uint64_t sent_ = 0;
  Stream stream_;
};

// One agent's stream on delta xDS, without the agent: acknowledges, counts entries, keeps nothing.
class CountingSubscriber {
 public:
  CountingSubscriber(const std::string& address, const std::string& service, int serial,
                     Wake& wake);

  std::uint64_t entries() const { return entries_.load(); }
  std::uint64_t bytes() const { return bytes_.load(); }
  std::uint64_t responses() const { return responses_.load(); }
  bool synced() const { return synced_.load(); }  // a complete marker has come
  std::int64_t last_at() const { return last_at_.load(); }

 private:
  void OnMessage(std::string_view bytes);

  Wake& wake_;
  std::atomic<std::uint64_t> entries_ = 0, bytes_ = 0, responses_ = 0;
  std::atomic<bool> synced_ = false;
  std::atomic<std::int64_t> last_at_ = 0;
  Stream stream_;
};

// etcdserverpb.Watch over all keys of the dataset; counts events.
class EtcdWatcher {
 public:
  // Blocks until the watch is there.
  EtcdWatcher(const std::string& address, Wake& wake);
  std::uint64_t entries() const { return entries_.load(); }
  std::int64_t last_at() const { return last_at_.load(); }

 private:
  void OnMessage(std::string_view bytes);

  Wake& wake_;
  std::atomic<bool> created_ = false;
  std::atomic<std::uint64_t> entries_ = 0;
  std::atomic<std::int64_t> last_at_ = 0;
  Stream stream_;
};

// etcdserverpb.KV: one put, or many in one transaction.
std::string EtcdPut(std::uint64_t key, std::size_t value_bytes, std::uint64_t round);
std::string EtcdTxn(std::uint64_t first, std::size_t count, std::uint64_t keys,
                    std::size_t value_bytes, std::uint64_t round);

// Unary calls on one channel, many at once.
class UnaryClient {
 public:
  explicit UnaryClient(const std::string& address);
  // `done` runs on a gRPC thread; a failed call ends the program.
  void Call(const std::string& method, const std::string& request, std::function<void()> done);

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
};

}  // namespace bench
