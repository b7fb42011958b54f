// import: the records of a file as many batches in flight on one publish stream; resumable.
#include <random>

#include "common/backoff.h"
#include "common/limits.h"
#include "common/names.h"
#include "control-plane/ctl/import_source.h"
#include "control-plane/ctl/import_window.h"
#include "control-plane/ctl/objects.h"
#include "control-plane/ctl/progress.h"
#include "control-plane/ctl/publish_once.h"
#include "control-plane/ctl/stop_watcher.h"
#include "control-plane/ctl/stream_events.h"
#include "control-plane/ctl/verb.h"

namespace ctl {
namespace {

using common::Error;
using common::InvalidArgument;
using common::OkStatus;
using common::StatusCode;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr const char* kMethod = "/tributary.v1.Publisher/Publish";
constexpr milliseconds kProgressInterval{200};
constexpr milliseconds kForgetWait{5'000};
constexpr int kBadShown = 10;

milliseconds Since(Clock::time_point begin) {
  return std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
}

bool IsPassing(StatusCode code) {
  return code == StatusCode::kUnavailable || code == StatusCode::kResourceExhausted ||
         code == StatusCode::kAborted;
}

// One run of an import: feeds the window from the source, keeps a stream, tries again.
class Importer {
 public:
  Importer(const Session& session, const ImportOptions& options, milliseconds retry_for)
      : session_(session),
        options_(options),
        retry_for_(retry_for),
        backoff_(common::kImportBackoffMin, common::kImportBackoffMax, std::random_device{}()) {}

  Status Run() {
    StopWatcher stop([this] { events_.PostStop(); });
    RETURN_IF_ERROR(OpenSource());
    window_.emplace(source_->identity().value_or(NewPublisherId()));
    Connect();
    Status status = Pump();
    ClearProgress();
    if (status.ok()) {
      PrintSummary();
      return status;
    }
    return Explain(status);
  }

 private:
  enum class Failure { kNone, kRefused, kBadFile, kOutOfReach, kStopped };

  Status OpenSource() {
    ASSIGN_OR_RETURN(source_,
                     ImportSource::Open(options_, session_.io.in,
                                        [this](const std::string& fault) { OnBad(fault); }));
    source_ended_ = false;
    return OkStatus();
  }

  void OnBad(const std::string& fault) {
    if (++bad_shown_ > kBadShown) return;
    ClearProgress();
    session_.io.err << "tributaryctl: skipped " << fault
                    << (bad_shown_ == kBadShown ? " (no more of these are shown)\n" : "\n");
  }

  void Connect() {
    reconnect_at_.reset();
    events_.Open(*session_.connection, kMethod);
    events_.Write(window_->Greeting().SerializeAsString());
  }

  // Until all is durable.
  Status Pump() {
    while (true) {
      RETURN_IF_ERROR(Fill());
      if (source_ended_ && window_->idle() && window_->greeted()) return OkStatus();
      ShowProgress();
      for (const StreamEvent& event : events_.TakeFor(WaitTime())) {
        RETURN_IF_ERROR(OnEvent(event));
      }
      if (reconnect_at_ && Clock::now() >= *reconnect_at_) Connect();
    }
  }

  Status Fill() {
    while (!source_ended_ && window_->CanAdd() && file_fault_.ok()) {
      StatusOr<ImportSource::Next> next = source_->NextBatch();
      if (!next.ok()) {
        file_fault_ = next.status();
        break;
      }
      if (next->batch) window_->Add(*std::move(next->batch), next->is_last);
      source_ended_ = !next->batch || next->is_last;
      SendWaiting();
    }
    SendWaiting();
    // What was sent before a bad record shall be decided before it is reported.
    if (!file_fault_.ok() && window_->idle()) return Fail(Failure::kBadFile, file_fault_);
    return OkStatus();
  }

  void SendWaiting() {
    while (const auto request = window_->Next()) events_.Write(request->SerializeAsString());
  }

  milliseconds WaitTime() const {
    if (!reconnect_at_) return kProgressInterval;
    const auto left = std::chrono::ceil<milliseconds>(*reconnect_at_ - Clock::now());
    return std::clamp(left, milliseconds(1), kProgressInterval);
  }

  Status OnEvent(const StreamEvent& event) {
    if (event.kind == StreamEvent::Kind::kStop) {
      return Fail(Failure::kStopped, Error(StatusCode::kCancelled, "interrupted"));
    }
    if (event.kind == StreamEvent::Kind::kClosed) return OnClosed(event.status);
    tributary::v1::PublishResponse response;
    if (!response.ParseFromString(*event.bytes)) {
      return Fail(Failure::kRefused,
                  Error(StatusCode::kInternal, "the control plane sent a malformed answer"));
    }
    const std::uint64_t done_before = window_->batches_done();
    const StatusOr<ImportWindow::Verdict> verdict = window_->OnResponse(response);
    connected_once_ = true;
    if (window_->batches_done() > done_before) {
      last_progress_ = Clock::now();
      backoff_.Reset();
    }
    if (!verdict.ok()) return Fail(Failure::kRefused, verdict.status());
    switch (*verdict) {
      case ImportWindow::Verdict::kGoOn:
        events_.ReadNext();
        return OkStatus();
      case ImportWindow::Verdict::kRetry:
        return OnClosed(window_->retry_reason());
      case ImportWindow::Verdict::kStartOver:
        return StartOver();
    }
    return OkStatus();
  }

  Status OnClosed(const Status& status) {
    events_.Close();
    if (!IsPassing(status.code())) return Fail(Failure::kRefused, status);
    const bool give_up = !connected_once_ || Since(last_progress_) > retry_for_;
    if (give_up) return Fail(Failure::kOutOfReach, status);
    reconnect_at_ = Clock::now() + backoff_.Next();
    return OkStatus();
  }

  Status StartOver() {
    events_.Close();
    ClearProgress();
    session_.io.err << "tributaryctl: an earlier run of this import was refused in part: importing "
                       "from the begin of the file\n";
    window_->StartOver();
    RETURN_IF_ERROR(OpenSource());
    Connect();
    return OkStatus();
  }

  Status Fail(Failure failure, const Status& status) {
    failure_ = failure;
    return status;
  }

  // A refused import begins anew when it is run again, so the control plane need not remember it.
  void Forget() {
    records_at_failure_ = window_->records_done();
    window_->StartOver();
    Connect();
    const Clock::time_point deadline = Clock::now() + kForgetWait;
    while (Clock::now() < deadline) {
      for (const StreamEvent& event : events_.TakeFor(kProgressInterval)) {
        if (event.kind != StreamEvent::Kind::kMessage) return;
        return;  // the greeting's answer: it is forgotten
      }
    }
  }

  Status Explain(const Status& status) {
    records_at_failure_ = window_->records_done();
    if (failure_ == Failure::kRefused || failure_ == Failure::kBadFile) Forget();
    const std::string done = WithThousands(records_at_failure_);
    const bool resumable = source_->identity().has_value();
    switch (failure_) {
      case Failure::kBadFile:
        return Error(status.code(),
                     "{} ({} records before it are imported; mend it, or pass over such records "
                     "with --skip-bad)",
                     common::Message(status), done);
      case Failure::kOutOfReach:
      case Failure::kStopped:
        return Error(status.code(), "{} after {} records; {}", common::Message(status), done,
                     resumable ? "run the same command again to go on from there"
                               : "standard input cannot be resumed: import again from the begin");
      default:
        return Error(status.code(), "{} ({} records are imported)", common::Message(status), done);
    }
  }

  Progress Now() const {
    return {.records = window_->records_done(),
            .batches = window_->batches_done(),
            .records_skipped = source_->records_skipped(),
            .bytes_done = source_->bytes_read(),
            .bytes_total = source_->bytes_total(),
            .elapsed = Since(begin_)};
  }

  void ShowProgress() {
    if (!session_.io.err_is_terminal || Since(shown_at_) < kProgressInterval) return;
    shown_at_ = Clock::now();
    is_shown_ = true;
    session_.io.err << "\r\x1b[K" << ProgressLine(Now(), session_.io.columns - 1) << std::flush;
  }

  void ClearProgress() {
    if (is_shown_) session_.io.err << "\r\x1b[K" << std::flush;
    is_shown_ = false;
  }

  void PrintSummary() const {
    const Progress progress = Now();
    if (session_.output != Output::kTable) {
      const Json json = {{"dataset", options_.dataset},
                         {"records", progress.records},
                         {"batches", progress.batches},
                         {"batches_resumed", window_->batches_skipped()},
                         {"records_skipped", progress.records_skipped},
                         {"seconds", static_cast<double>(progress.elapsed.count()) / 1000}};
      session_.io.out << (session_.output == Output::kJson ? json.dump() + "\n" : ToYaml(json));
      return;
    }
    session_.io.out << SummaryLine(progress);
    if (window_->batches_skipped() > 0) {
      session_.io.out << fmt::format("; {} of the batches were there from an earlier run",
                                     WithThousands(window_->batches_skipped()));
    }
    session_.io.out << '\n';
  }

  const Session& session_;
  const ImportOptions options_;
  const milliseconds retry_for_;
  const Clock::time_point begin_ = Clock::now();
  common::Backoff backoff_;
  std::unique_ptr<ImportSource> source_;
  std::optional<ImportWindow> window_;
  bool source_ended_ = false;
  bool connected_once_ = false;
  Status file_fault_;
  Failure failure_ = Failure::kNone;
  std::uint64_t records_at_failure_ = 0;
  Clock::time_point last_progress_ = Clock::now();
  std::optional<Clock::time_point> reconnect_at_;
  Clock::time_point shown_at_{};
  bool is_shown_ = false;
  int bad_shown_ = 0;
  StreamEvents events_;
};

class Import final : public Verb {
 public:
  void Define(CLI::App& app) override {
    app.add_option("dataset", options_.dataset, "the dataset, which must be ours")->required();
    app.add_option("--from", options_.path, "the file, or - for standard input")->required();
    app.add_option("--format", format_, "jsonl, csv or tsv; by the file's ending if not given")
        ->check(CLI::IsMember({"jsonl", "csv", "tsv"}));
    app.add_option("--key", options_.records.key, "the field that is the key")->required();
    app.add_option("--value", options_.records.value,
                   "the field that is the value; without it, the record as JSON");
    app.add_flag("--skip-bad", options_.skip_bad, "pass over bad records and count them");
    app.add_option("--retry-for", retry_seconds_, "seconds without progress after which to give up")
        ->default_val(60);
  }
  bool handles_stop() const override { return true; }
  Status Check() const override {
    RETURN_IF_ERROR(common::ValidateDatasetName(options_.dataset));
    return Format().status();
  }
  Status Run(const Session& session) override {
    ASSIGN_OR_RETURN(options_.records.format, Format());
    return Importer(session, options_, std::chrono::seconds(retry_seconds_)).Run();
  }

 private:
  StatusOr<RecordFormat> Format() const {
    if (format_ == "csv") return RecordFormat::kCsv;
    if (format_ == "tsv") return RecordFormat::kTsv;
    if (format_ == "jsonl" || options_.path == "-") return RecordFormat::kJsonl;
    return FormatOfFile(options_.path);
  }

  ImportOptions options_;
  std::string format_;
  std::uint32_t retry_seconds_ = 60;
};

}  // namespace

std::unique_ptr<Verb> MakeImport() { return std::make_unique<Import>(); }

}  // namespace ctl
