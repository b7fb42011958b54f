// Verb: one command of tributaryctl. Session: what it works with.
//
// Thread: main.  Lifetime: one run of the program; the session outlives the verb's Run.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <istream>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "control-plane/ctl/connection.h"

namespace ctl {

enum class Output { kTable, kJson, kYaml };

struct Io {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool err_is_terminal = false;
  std::size_t columns = 80;
};

struct Session {
  const Io& io;
  Output output;
  const Connection* connection;  // null: the verb needs none
  const CLI::App& app;           // the whole command line, for completion
};

class Verb {
 public:
  Verb() = default;
  Verb(const Verb&) = delete;
  Verb& operator=(const Verb&) = delete;
  virtual ~Verb() = default;

  virtual void Define(CLI::App& app) = 0;
  // A fault of usage that CLI11 cannot see; before anything else happens.
  virtual Status Check() const { return common::OkStatus(); }
  virtual bool needs_connection() const { return true; }
  // SIGINT and SIGTERM are the verb's business (StopWatcher), not the end of the process.
  virtual bool handles_stop() const { return false; }
  virtual Status Run(const Session& session) = 0;
};

struct VerbEntry {
  const char* name;
  const char* summary;
  std::unique_ptr<Verb> (*make)();
};

// In the order of --help.
const std::vector<VerbEntry>& Verbs();

std::unique_ptr<Verb> MakeApply();
std::unique_ptr<Verb> MakeBackup();
std::unique_ptr<Verb> MakeCompletion();
std::unique_ptr<Verb> MakeDelete();
std::unique_ptr<Verb> MakeDescribe();
std::unique_ptr<Verb> MakeExport();
std::unique_ptr<Verb> MakeGet();
std::unique_ptr<Verb> MakeImport();
std::unique_ptr<Verb> MakePut();
std::unique_ptr<Verb> MakeRead();
std::unique_ptr<Verb> MakeRestore();
std::unique_ptr<Verb> MakeScan();
std::unique_ptr<Verb> MakeStatus();
std::unique_ptr<Verb> MakeVerify();
std::unique_ptr<Verb> MakeWatch();

}  // namespace ctl
