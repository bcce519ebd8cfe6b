// What a thread is called in top and in a debugger.
#pragma once

#include <pthread.h>

#include <string>

namespace fairlead {

// Names the calling thread; Linux keeps 15 bytes.
inline void NameThread(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

}  // namespace fairlead
