// The settings of a node that are not tensors: an axis, a shape, a rate.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "descent/core/shape.h"

namespace descent {

using Attr = std::variant<int64_t, double, std::string, std::vector<int64_t>, DType>;

// Sorted (name, value) pairs, so that printing, parsing, hashing and equality are written once for every op.
class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<std::string, Attr>> items);

  Attrs& set(std::string name, Attr value);
  bool has(std::string_view name) const { return find(name) != nullptr; }

  // Each fails, naming the attribute, if it is absent or of another kind.
  int64_t integer(std::string_view name) const;
  double number(std::string_view name) const;  // an integer will do
  const std::string& string(std::string_view name) const;
  const std::vector<int64_t>& integers(std::string_view name) const;
  DType dtype(std::string_view name) const;
  Shape shape(std::string_view name) const { return Shape(integers(name)); }

  int64_t integer_or(std::string_view name, int64_t fallback) const { return has(name) ? integer(name) : fallback; }
  double number_or(std::string_view name, double fallback) const { return has(name) ? number(name) : fallback; }

  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  bool empty() const { return items_.empty(); }
  uint64_t hash() const;
  friend bool operator==(const Attrs&, const Attrs&) = default;

 private:
  const Attr* find(std::string_view name) const;
  std::vector<std::pair<std::string, Attr>> items_;
};

std::string to_text(const Attrs& attrs);       // `axis=1, shape=[2,3], rate=0.5, to=bf16, name="x"`
Attrs attrs_from_text(std::string_view text);  // the inverse; fails naming what it could not read

}  // namespace descent
