// Every bound of the system in one place, with the relations between them.
//
// Thread: any.  Lifetime: constants.  Sizes are bytes unless the name says otherwise.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace common {

inline constexpr std::size_t kKiB = 1024;
inline constexpr std::size_t kMiB = 1024 * kKiB;

// --- data -------------------------------------------------------------------------------------
inline constexpr std::size_t kKeyBytesMax = 400;
inline constexpr std::size_t kDatasetNameBytesMax = 253;  // DNS labels joined by dots
inline constexpr std::size_t kServiceNameBytesMax = 253;
inline constexpr std::size_t kDnsLabelBytesMax = 63;
inline constexpr std::size_t kValueBytesMax = 1 * kMiB;
inline constexpr std::size_t kContentTypeBytesMax = 128;
inline constexpr std::size_t kBatchBytesMax = 16 * kMiB;  // keys + values
inline constexpr std::size_t kBatchEntriesMax = 65'536;
inline constexpr std::size_t kLmdbKeyBytesMax = 511;  // compiled into Debian's liblmdb

// --- xDS --------------------------------------------------------------------------------------
inline constexpr std::size_t kResponseBytesMax = 2 * kMiB;     // any one response
inline constexpr std::size_t kResponseBytesTarget = 1 * kMiB;  // where a bulk response is cut
inline constexpr std::size_t kUnackedBytesMax = 32 * kMiB;     // per stream
inline constexpr std::size_t kExplicitNamesPerStreamMax = 100'000;
inline constexpr std::size_t kRequestBytesMax = 64 * kMiB;  // with initial resource versions
inline constexpr std::size_t kResponseReceiveBytesMax =
    2047 * kMiB;  // foreign servers do not chunk
inline constexpr std::size_t kResourceNameBytesMax = 2 * kKiB;
inline constexpr std::size_t kStreamsMax = 20'000;
inline constexpr std::size_t kTypesPerStreamMax = 16;
inline constexpr std::size_t kCollectionsPerStreamMax = 10'000;
inline constexpr std::size_t kChunkCacheBytesMax = 64 * kMiB;  // encoded responses kept for sharing
inline constexpr std::size_t kChunksCachedMax = 4096;

// --- publishing -------------------------------------------------------------------------------
inline constexpr std::size_t kPublisherIdBytesMax = 64;
inline constexpr std::size_t kPublisherResultsKept = 1024;  // outcomes remembered per publisher
inline constexpr std::size_t kPublisherBatchesInFlightMax = 1024;
inline constexpr std::size_t kImportBatchesInFlightMax = 64;
inline constexpr std::size_t kPublishBytesInFlightMax = 2 * kBatchBytesMax;  // then read no more
inline constexpr std::size_t kCommitGroupBatchesMax = 4096;
inline constexpr std::size_t kCommitGroupBytesMax = 64 * kMiB;
inline constexpr std::size_t kCommitWaitingBytesMax = 512 * kMiB;  // jobs; beyond: refused
inline constexpr std::size_t kDatasetsMax = 100'000;
inline constexpr std::size_t kSubscriptionsMax = 1'000'000;

// An agent's writes that wait for the control plane; beyond: refused.
inline constexpr std::size_t kPublishWaitingBytesMax = 128 * kMiB;
inline constexpr std::size_t kPublishMessageBytesTarget = 1 * kMiB;
inline constexpr std::chrono::milliseconds kPublishBackoffMin{100};
inline constexpr std::chrono::milliseconds kPublishBackoffMax{2'000};

// --- reading from the control plane -----------------------------------------------------------
inline constexpr std::size_t kReaderKeysMax = 10'000;      // of one Get
inline constexpr std::size_t kReaderBytesMax = 64 * kMiB;  // of one answer

// --- agent: cache -----------------------------------------------------------------------------
inline constexpr std::size_t kApplyBytesMax = 16 * kMiB;  // in memory before spilling to staging
inline constexpr std::size_t kCopiesMax = 1024;           // collections an agent may carry
inline constexpr std::size_t kGenerationsMax = 2 * kCopiesMax + 64;
inline constexpr std::size_t kChangedKeysMax = 65'536;  // named in one notice; beyond: "replaced"

// --- agent: socket ----------------------------------------------------------------------------
inline constexpr std::size_t kClientsMax = 10'000;
inline constexpr std::size_t kLoopThreadsMax = 64;
inline constexpr std::size_t kRespInlineBytesMax = 64 * kKiB;
inline constexpr std::size_t kRespBulkBytesMax = kValueBytesMax + 64 * kKiB;
inline constexpr std::size_t kRespArgumentsMax = 2 * kBatchEntriesMax + 1;
inline constexpr std::size_t kRespCommandBytesMax = 32 * kMiB;  // one command, all arguments
inline constexpr std::size_t kRespOutputBytesSoft = 1 * kMiB;   // stop reading from the client
inline constexpr std::size_t kRespOutputBytesMax = 64 * kMiB;   // close the client
inline constexpr std::size_t kMultiCommandsMax = kBatchEntriesMax;
inline constexpr std::size_t kPendingWritesPerClientMax = 1024;
inline constexpr std::size_t kSubscriptionsPerClientMax = 10'000;
inline constexpr std::size_t kScanCursorsMax = 65'536;
inline constexpr std::size_t kScanCountMax = 10'000;
inline constexpr std::size_t kKeysReplyMax = 1'000'000;

// --- agent: sync ------------------------------------------------------------------------------
// How long changes may stay in memory, unacknowledged, when the server falls silent.
inline constexpr std::chrono::milliseconds kHeldMax{50};
inline constexpr std::chrono::milliseconds kAnswerTimeout{15'000};  // then a name is reported
inline constexpr std::chrono::milliseconds kStatusInterval{50};     // between two status notices
inline constexpr std::chrono::milliseconds kSyncTickMax{500};
inline constexpr std::chrono::milliseconds kReloadBackoffMin{1'000};  // reloads for a mismatch
inline constexpr std::chrono::milliseconds kReloadBackoffMax{300'000};

// --- streams ----------------------------------------------------------------------------------
inline constexpr std::chrono::milliseconds kKeepaliveTime{20'000};     // silence before a ping
inline constexpr std::chrono::milliseconds kKeepaliveTimeout{10'000};  // then the peer is gone

// --- tributaryctl -----------------------------------------------------------------------------
inline constexpr std::size_t kRecordBytesMax = 8 * kMiB;  // of a file to import
inline constexpr std::size_t kImportPieceBytes = 1 * kMiB;
inline constexpr std::size_t kImportBatchEntries = 1'000;
inline constexpr std::size_t kImportBatchBytes = 1 * kMiB;
inline constexpr std::chrono::milliseconds kImportBackoffMin{100};
inline constexpr std::chrono::milliseconds kImportBackoffMax{5'000};

// --- declarations and configuration files -------------------------------------------------------
inline constexpr std::size_t kYamlBytesMax = 8 * kMiB;
inline constexpr std::size_t kYamlDepthMax = 32;
inline constexpr std::size_t kYamlNodesMax = 500'000;
inline constexpr std::size_t kConsumersMax = 1'000;  // patterns of one dataset
inline constexpr std::chrono::milliseconds kMaxStalenessMax{std::chrono::hours{720}};

// --- retries ----------------------------------------------------------------------------------
inline constexpr std::chrono::milliseconds kReconnectBackoffMin{500};
inline constexpr std::chrono::milliseconds kReconnectBackoffMax{30'000};

static_assert(kKeyBytesMax + 8 <= kLmdbKeyBytesMax, "store keys carry a dataset id prefix");
static_assert(kResponseBytesTarget + kValueBytesMax < kResponseBytesMax + kKiB * 64,
              "a response never needs more than one entry beyond the target");
static_assert(kUnackedBytesMax > kApplyBytesMax, "or agent and server wait for each other");
static_assert(kRespBulkBytesMax > kValueBytesMax);

}  // namespace common
