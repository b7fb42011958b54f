// as: common/sample.cc
int a;
