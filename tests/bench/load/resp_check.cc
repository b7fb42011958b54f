#include "tests/bench/load/resp_check.h"

#include <algorithm>
#include <random>
#include <vector>

#include "tests/bench/load/dataset.h"
#include "tests/bench/load/resp_socket.h"

namespace bench {
namespace {

constexpr std::size_t kPipelineMax = 64;
constexpr std::size_t kFillBytes = 256 * 1024;

class Checker {
 public:
  explicit Checker(const CheckOptions& options)
      : options_(options), random_(options.seed), ours_(options.ours), peer_(options.peer) {}

  void Run() {
    for (std::size_t sent = 0; sent < options_.commands;) {
      std::vector<std::string> commands(1 + random_() % kPipelineMax);
      for (std::string& command : commands) command = RandomCommand();
      SendCut(ours_, commands);
      SendCut(peer_, commands);
      for (const std::string& command : commands) Compare(command);
      sent += commands.size();
    }
  }

 private:
  std::string RandomKey() {
    if (options_.large_keys > 0 && random_() % 50 == 0) {
      return FullKeyOf(options_.keys + random_() % options_.large_keys);
    }
    const std::string key = FullKeyOf(random_() % options_.keys);
    return random_() % 8 == 0 ? key + "-absent" : key;
  }

  std::string RandomCommand() {
    switch (random_() % 8) {
      case 0: {
        std::vector<std::string> words{"MGET"};
        for (std::uint64_t i = 0; i <= random_() % 20; ++i) words.push_back(RandomKey());
        return Command(words);
      }
      case 1:
        return Command({"EXISTS", RandomKey(), RandomKey()});
      case 2:
        return Command({"STRLEN", RandomKey()});
      case 3:
        return Command({"GETRANGE", RandomKey(), std::to_string(random_() % 50),
                        std::to_string(-static_cast<int>(random_() % 50))});
      case 4:
        return Command({"get"});  // wrong arity
      default:
        return Command({"GET", RandomKey()});
    }
  }

  void SendCut(RespSocket& to, const std::vector<std::string>& commands) {
    std::string bytes;
    for (const std::string& command : commands) bytes += command;
    const std::size_t cut = random_() % bytes.size();
    to.Send(std::string_view(bytes).substr(0, cut));
    to.Send(std::string_view(bytes).substr(cut));
  }

  void Compare(const std::string& command) {
    const std::string ours(ours_.Receive());
    const std::string peer(peer_.Receive());
    if (ours == peer) return;
    Die(fmt::format("replies differ (seed {})\n--- command\n{}--- ours\n{}--- peer\n{}",
                    options_.seed, command.substr(0, 500), ours.substr(0, 500),
                    peer.substr(0, 500)));
  }

  const CheckOptions options_;
  std::mt19937_64 random_;
  RespSocket ours_;
  RespSocket peer_;
};

}  // namespace

void CheckSame(const CheckOptions& options) { Checker(options).Run(); }

void FillRedis(const FillOptions& options) {
  RespSocket socket(options.address);
  std::string bytes;
  std::size_t waiting = 0;
  const auto flush = [&] {
    socket.Send(bytes);
    bytes.clear();
    for (; waiting > 0; --waiting) {
      if (socket.Receive() != "+OK\r\n") Die("the server refused SET");
    }
  };
  for (std::uint64_t i = 0; i < options.keys + options.large_keys; ++i) {
    const std::size_t size = i < options.keys ? options.value_bytes : options.large_bytes;
    bytes += Command({"SET", FullKeyOf(i), ValueOf(i, size)});
    ++waiting;
    if (bytes.size() > kFillBytes) flush();
  }
  flush();
}

}  // namespace bench
