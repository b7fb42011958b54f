// as: common/sample.h
int a;
