// ReaderService: tributary.v1.Reader – linearizable reads of the committed state. An entry
// that has expired is not there.
//
// Thread: gRPC's, many calls at a time.  Lifetime: the store outlives it; it outlives the gRPC
// server. One process commits and reads, so a view opened after a call has come in holds every
// commit that was answered before it: that is linearizable without further ado.
#pragma once

#include "common/clock.h"
#include "common/rpc/identity.h"
#include "control-plane/store/store.h"
#include "tributary/v1/reader.grpc.pb.h"

namespace cp {

class ReaderService final : public tributary::v1::Reader::CallbackService {
 public:
  ReaderService(common::Trust trust, const Store& store, const common::Clock& clock);

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context,
                                const tributary::v1::GetRequest* request,
                                tributary::v1::GetResponse* response) override;
  grpc::ServerWriteReactor<tributary::v1::ScanResponse>* Scan(
      grpc::CallbackServerContext* context, const tributary::v1::ScanRequest* request) override;

 private:
  common::Status CheckMayRead(const grpc::CallbackServerContext& context,
                              const std::string& dataset) const;

  const common::Trust trust_;
  const Store& store_;
  const common::Clock& clock_;
};

}  // namespace cp
