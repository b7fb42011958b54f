#include "agent/server/server_pool.h"

#include <fmt/format.h>

#include <utility>

namespace agent {

ServerPool::ServerPool(const ServerOptions& options, std::vector<std::unique_ptr<Reader>> readers,
                       WritePort& writes, ReadPort& reads, const StatusBoard& status,
                       const common::Clock& clock)
    : shared_(readers.size(), options.clients_max) {
  CHECK(!readers.empty());
  const ServerParts parts{
      .writes = writes, .reads = reads, .status = status, .clock = clock, .shared = shared_};
  for (std::size_t loop = 0; loop < readers.size(); ++loop) {
    servers_.push_back(std::make_unique<SocketServer>(options, parts, loop, readers.size(),
                                                      std::move(readers[loop])));
    shared_.loops.push_back(servers_.back().get());
    listener_.Add(servers_.back()->notices());
  }
}

ServerPool::~ServerPool() {
  Stop();
  Join();
}

common::Status ServerPool::Listen() { return servers_.front()->Listen(); }

void ServerPool::Start() {
  for (std::size_t loop = 0; loop < servers_.size(); ++loop) {
    threads_.emplace_back(loop == 0 ? "loop" : fmt::format("loop-{}", loop),
                          [server = servers_[loop].get()] { server->Run(); });
  }
}

void ServerPool::Stop() {
  for (const auto& server : servers_) server->Stop();
}

void ServerPool::Join() { threads_.clear(); }

}  // namespace agent
