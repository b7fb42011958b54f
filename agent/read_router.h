// ReadRouter: the ReadPort of the socket. Strong reads go to the control plane's Reader, reads of
// on-demand copies to the sync thread, which holds what it gets.
//
// Thread: Read from any loop thread; SetOnDemand before the first.  Lifetime: the remote reader and
// what is behind `ask` outlive the loops.
#pragma once

#include <functional>
#include <vector>

#include "agent/remote/remote_reader.h"
#include "agent/server/read_port.h"
#include "agent/xds/demand.h"

namespace agent {

class ReadRouter final : public ReadPort {
 public:
  using Ask = std::function<void(std::vector<DemandQuestion>)>;

  explicit ReadRouter(ReadPort& remote) : remote_(remote) {}
  void SetOnDemand(Ask ask) { ask_ = std::move(ask); }

  void Read(std::vector<ReadQuestion> questions) override;

 private:
  void Answer(const ReadQuestion& question, DemandAnswer answer);

  ReadPort& remote_;
  Ask ask_;
};

}  // namespace agent
