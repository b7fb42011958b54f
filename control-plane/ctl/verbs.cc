#include "control-plane/ctl/verb.h"

namespace ctl {

const std::vector<VerbEntry>& Verbs() {
  static const std::vector<VerbEntry> kVerbs = {
      {"apply", "Declare datasets and subscriptions from files", &MakeApply},
      {"get", "List datasets, subscriptions or agents", &MakeGet},
      {"describe", "Show all about one dataset or subscription", &MakeDescribe},
      {"delete", "Withdraw declared objects, or delete entries", &MakeDelete},
      {"put", "Publish one entry", &MakePut},
      {"read", "Read entries from the committed state", &MakeRead},
      {"scan", "List a dataset's entries in key order", &MakeScan},
      {"watch", "Print the changes of a dataset as they happen", &MakeWatch},
      {"import", "Publish the records of a file", &MakeImport},
      {"export", "Write a dataset's entries as JSON lines", &MakeExport},
      {"status", "Show how far each agent's copies are", &MakeStatus},
      {"verify", "Hold a dataset and every copy of it against its digest", &MakeVerify},
      {"backup", "Write all that the control plane keeps into a file", &MakeBackup},
      {"restore", "Make a data directory out of a backup", &MakeRestore},
      {"completion", "Print a completion script for bash, zsh or fish", &MakeCompletion},
  };
  return kVerbs;
}

}  // namespace ctl
