// as: agent/server/sample.cc
#include <mutex>
std::mutex lock;
