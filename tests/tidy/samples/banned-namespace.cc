// as: tests/sim/sample.cc
using namespace std;
