// as: common/sample_test.cc
TEST(A, DISABLED_B) {}
