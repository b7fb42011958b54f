// as: control-plane/stream/sample.cc
void Wait() { std::this_thread::sleep_for(1s); }
