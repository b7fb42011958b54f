# as: tests/e2e/test_sample.py
BIN = "/home/someone/build"
