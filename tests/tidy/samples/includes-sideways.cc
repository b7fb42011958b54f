// as: agent/xds/sample.cc
#include "control-plane/store/store.h"
