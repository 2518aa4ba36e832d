#include "descent/runtime/backend.h"

namespace descent {

namespace {

std::vector<Backend*>& registered() {
  static std::vector<Backend*> list;
  return list;
}

}  // namespace

void register_backend(Backend& backend) { registered().push_back(&backend); }

std::span<Backend* const> backends() { return registered(); }

Backend& default_backend() {
  if (registered().empty()) fail("no backend is registered: link the program with the whole of libdescent");
  return *registered().front();
}

}  // namespace descent
