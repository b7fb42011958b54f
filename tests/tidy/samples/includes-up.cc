// as: agent/cache/sample.cc
#include "agent/xds/syncer.h"
